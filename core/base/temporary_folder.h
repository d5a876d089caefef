// A folder that goes away with its owner.
#ifndef OMSERVE_CORE_BASE_TEMPORARY_FOLDER_H_
#define OMSERVE_CORE_BASE_TEMPORARY_FOLDER_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace omserve {

class TemporaryFolder {
 public:
  // Makes <parent>/<prefix>XXXXXX, readable by this user alone. An empty parent means $TMPDIR, else /tmp.
  static absl::StatusOr<std::unique_ptr<TemporaryFolder>> Create(absl::string_view prefix, std::string parent = "");
  // Removes the folder and all in it.
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  const std::string& path() const { return path_; }
  std::string File(absl::string_view name) const { return absl::StrCat(path_, "/", name); }

 private:
  explicit TemporaryFolder(std::string path) : path_(std::move(path)) {}
  const std::string path_;
};

}  // namespace omserve

#endif  // OMSERVE_CORE_BASE_TEMPORARY_FOLDER_H_
