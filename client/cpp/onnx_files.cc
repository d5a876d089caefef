#include "client/cpp/onnx_files.h"

#include <algorithm>
#include <cstdint>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "core/base/status.h"

namespace omserve::client {
namespace {

// Messages nest about six deep per level of subgraphs.
constexpr int kMaxDepth = 64;

// One field of a message: its number and, for a length-delimited one, its bytes.
struct Field {
  uint32_t number = 0;
  bool has_bytes = false;
  std::string_view bytes;
  uint64_t varint = 0;
};

class MessageReader {
 public:
  // `origin` is where the whole file starts: offsets in messages count from there.
  MessageReader(std::string_view message, const char* origin) : rest_(message), origin_(origin) {}

  bool done() const { return rest_.empty(); }

  absl::StatusOr<Field> Next() {
    const char* start = rest_.data();
    ASSIGN_OR_RETURN(const uint64_t tag, Varint());
    Field field;
    field.number = static_cast<uint32_t>(tag >> 3);
    switch (tag & 7) {
      case 0: {
        ASSIGN_OR_RETURN(field.varint, Varint());
        return field;
      }
      case 1:
        RETURN_IF_ERROR(Skip(8));
        return field;
      case 2: {
        ASSIGN_OR_RETURN(const uint64_t size, Varint());
        if (size > rest_.size()) return Damaged(start, "a field passes the end of its message");
        field.has_bytes = true;
        field.bytes = rest_.substr(0, size);
        rest_.remove_prefix(size);
        return field;
      }
      case 5:
        RETURN_IF_ERROR(Skip(4));
        return field;
      default:
        return Damaged(start, absl::StrCat("unexpected wire type ", tag & 7));
    }
  }

 private:
  absl::StatusOr<uint64_t> Varint() {
    const char* start = rest_.data();
    uint64_t value = 0;
    for (int shift = 0; shift < 64 && !rest_.empty(); shift += 7) {
      const auto byte = static_cast<unsigned char>(rest_.front());
      rest_.remove_prefix(1);
      value |= uint64_t{byte & 0x7fu} << shift;
      if (byte < 0x80) return value;
    }
    return Damaged(start, "a number does not end");
  }

  absl::Status Skip(size_t size) {
    if (size > rest_.size()) return Damaged(rest_.data(), "a field passes the end of its message");
    rest_.remove_prefix(size);
    return absl::OkStatus();
  }

  absl::Status Damaged(const char* at, absl::string_view what) const {
    return absl::InvalidArgumentError(
        absl::StrCat("not an ONNX model, or a damaged one: byte ", at - origin_, ": ", what));
  }

  std::string_view rest_;
  const char* const origin_;
};

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
  explicit Walker(std::string_view model) : origin_(model.data()) {}

  absl::Status Walk(Kind kind, std::string_view message, int depth) {
    if (depth > kMaxDepth) {
      return absl::InvalidArgumentError(absl::StrCat("subgraphs nest more than ", kMaxDepth / 3, " deep"));
    }
    if (kind == Kind::kTensor) return WalkTensor(message);
    MessageReader reader(message, origin_);
    while (!reader.done()) {
      ASSIGN_OR_RETURN(const Field field, reader.Next());
      const Kind child = field.has_bytes ? KindOfField(kind, field.number) : Kind::kOther;
      if (child != Kind::kOther) RETURN_IF_ERROR(Walk(child, field.bytes, depth + 1));
    }
    return absl::OkStatus();
  }

  std::vector<std::string> TakeLocations() { return std::move(locations_); }

 private:
  absl::Status WalkTensor(std::string_view message) {
    constexpr uint32_t kDataLocation = 14;
    constexpr uint64_t kExternal = 1;
    bool external = false;
    std::string_view location;
    MessageReader reader(message, origin_);
    while (!reader.done()) {
      ASSIGN_OR_RETURN(const Field field, reader.Next());
      if (field.number == kDataLocation) external = field.varint == kExternal;
      if (!field.has_bytes || KindOfField(Kind::kTensor, field.number) != Kind::kEntry) continue;
      std::string_view key;
      std::string_view value;
      MessageReader entry(field.bytes, origin_);
      while (!entry.done()) {
        ASSIGN_OR_RETURN(const Field part, entry.Next());
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

  const char* const origin_;
  std::vector<std::string> locations_;
};

}  // namespace

absl::StatusOr<std::vector<std::string>> ExternalDataLocations(std::string_view model) {
  Walker walker(model);
  RETURN_IF_ERROR(walker.Walk(Kind::kModel, model, 0));
  return walker.TakeLocations();
}

}  // namespace omserve::client
