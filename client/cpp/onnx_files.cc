#include "client/cpp/onnx_files.h"

#include <algorithm>
#include <cstdint>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "core/base/status.h"
#include "core/om/wire.h"

namespace omserve::client {
namespace {

// A level of subgraphs is three messages deep: node, attribute, graph.
constexpr int kMaxDepth = 64;

// The messages on the way from ModelProto to a tensor, by the field numbers of onnx.proto3.
enum class Kind { kModel, kGraph, kNode, kAttribute, kFunction, kSparseTensor, kTensor, kEntry, kOther };

Kind KindOfField(Kind parent, uint32_t field) {
  switch (parent) {
    case Kind::kModel:
      if (field == 7) return Kind::kGraph;
      if (field == 25) return Kind::kFunction;
      return Kind::kOther;
    case Kind::kGraph:
      if (field == 1) return Kind::kNode;
      if (field == 5) return Kind::kTensor;         // initializer
      if (field == 15) return Kind::kSparseTensor;  // sparse_initializer
      return Kind::kOther;
    case Kind::kFunction:
      if (field == 7) return Kind::kNode;
      if (field == 11) return Kind::kAttribute;  // attribute_proto: defaults
      return Kind::kOther;
    case Kind::kNode:
      return field == 5 ? Kind::kAttribute : Kind::kOther;
    case Kind::kAttribute:
      if (field == 5 || field == 10) return Kind::kTensor;         // t, tensors
      if (field == 6 || field == 11) return Kind::kGraph;          // g, graphs
      if (field == 22 || field == 23) return Kind::kSparseTensor;  // sparse_tensor, sparse_tensors
      return Kind::kOther;
    case Kind::kSparseTensor:
      return field == 1 || field == 2 ? Kind::kTensor : Kind::kOther;  // values, indices
    case Kind::kTensor:
      return field == 13 ? Kind::kEntry : Kind::kOther;  // external_data
    case Kind::kEntry:
    case Kind::kOther:
      return Kind::kOther;
  }
  return Kind::kOther;
}

class Walker {
 public:
  absl::Status Walk(Kind kind, std::string_view message, int depth) {
    if (depth > kMaxDepth) {
      return absl::InvalidArgumentError(absl::StrCat("subgraphs nest more than ", kMaxDepth / 3, " deep"));
    }
    if (kind == Kind::kTensor) return WalkTensor(message);
    WireReader reader(message);
    while (!reader.done()) {
      ASSIGN_OR_RETURN(const WireField field, reader.Next());
      const Kind child = field.has_bytes ? KindOfField(kind, field.number) : Kind::kOther;
      if (child != Kind::kOther) RETURN_IF_ERROR(Walk(child, field.bytes, depth + 1));
    }
    return absl::OkStatus();
  }

  std::vector<std::string> TakeLocations() { return std::move(locations_); }

 private:
  absl::Status WalkTensor(std::string_view message) {
    constexpr std::string_view kDataLocationExternal = "\x70\x01";  // field 14, value 1
    bool external = false;
    std::string_view location;
    WireReader reader(message);
    while (!reader.done()) {
      ASSIGN_OR_RETURN(const WireField field, reader.Next());
      if (field.raw == kDataLocationExternal) external = true;
      if (!field.has_bytes || KindOfField(Kind::kTensor, field.number) != Kind::kEntry) continue;
      std::string_view key;
      std::string_view value;
      WireReader entry(field.bytes);
      while (!entry.done()) {
        ASSIGN_OR_RETURN(const WireField part, entry.Next());
        if (part.number == 1) key = part.bytes;
        if (part.number == 2) value = part.bytes;
      }
      if (key == "location") location = value;
    }
    if (external && std::find(locations_.begin(), locations_.end(), location) == locations_.end()) {
      locations_.emplace_back(location);
    }
    return absl::OkStatus();
  }

  std::vector<std::string> locations_;
};

}  // namespace

absl::StatusOr<std::vector<std::string>> ExternalDataLocations(std::string_view model) {
  Walker walker;
  RETURN_IF_ERROR(walker.Walk(Kind::kModel, model, 0));
  return walker.TakeLocations();
}

}  // namespace omserve::client
