// JSON from outside, read with located errors: every message names the place ("cluster[0].cluster_nodes[1].port"),
// the value found and what would be right.
//
//   ASSIGN_OR_RETURN(JsonDocument doc, JsonDocument::Parse(text, "cluster_config.json"));
//   ASSIGN_OR_RETURN(int64_t size, doc.root().Field("tensor_parallel_size").Int());
#ifndef OMSERVE_CORE_BASE_JSON_H_
#define OMSERVE_CORE_BASE_JSON_H_

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "nlohmann/json.hpp"

namespace omserve {

// A place in a document: the value there, or nothing when a field on the way is absent. A cheap value; valid while
// its JsonDocument lives.
class JsonPlace {
 public:
  JsonPlace(const nlohmann::json* value, std::string path) : value_(value), path_(std::move(path)) {}

  bool present() const { return value_ != nullptr && !value_->is_null(); }
  const std::string& path() const { return path_; }
  const nlohmann::json* value() const { return value_; }

  // A member of an object; absent when this is absent, no object, or has no such member.
  JsonPlace Field(absl::string_view name) const;

  // INVALID_ARGUMENT when absent or of another kind.
  absl::StatusOr<int64_t> Int() const;
  absl::StatusOr<int64_t> IntInRange(int64_t low, int64_t high) const;
  absl::StatusOr<bool> Bool() const;
  absl::StatusOr<std::string> String() const;
  absl::StatusOr<std::vector<JsonPlace>> Array() const;
  absl::Status CheckObject() const;
  // INVALID_ARGUMENT naming the first member that is not in `known`, with the list of known ones.
  absl::Status CheckFields(std::initializer_list<absl::string_view> known) const;

  // INVALID_ARGUMENT "<path>: <what>".
  absl::Status Error(absl::string_view what) const;

 private:
  absl::Status Expected(absl::string_view kind) const;
  const nlohmann::json* value_;
  std::string path_;
};

class JsonDocument {
 public:
  // `source` names the text in messages. // comments are accepted (the documented samples have them); nesting is
  // limited to 64 levels. INVALID_ARGUMENT names line and column.
  static absl::StatusOr<JsonDocument> Parse(absl::string_view text, absl::string_view source);
  static absl::StatusOr<JsonDocument> ReadFile(const std::string& path);

  JsonPlace root() const { return JsonPlace(value_.get(), source_); }

 private:
  JsonDocument(std::string source, std::unique_ptr<const nlohmann::json> value)
      : source_(std::move(source)), value_(std::move(value)) {}
  std::string source_;
  std::unique_ptr<const nlohmann::json> value_;
};

}  // namespace omserve

#endif  // OMSERVE_CORE_BASE_JSON_H_
