#include "core/import/onnx/skeleton.h"

#include <cstring>
#include <string>

#include "absl/strings/str_cat.h"
#include "core/base/status.h"

namespace omserve {
namespace {

// The messages whose insides are walked.
enum class Message {
  kModel,
  kOpset,
  kEntry,
  kFunction,
  kGraph,
  kNode,
  kAttribute,
  kTensor,
  kValueInfo,
  kType,
  kTensorType,
  kShape,
  kDimension,
};

constexpr const char* kMessageNames[] = {
    "ModelProto",  "OperatorSetIdProto", "StringStringEntryProto", "FunctionProto",    "GraphProto",
    "NodeProto",   "AttributeProto",     "TensorProto",            "ValueInfoProto",   "TypeProto",
    "TypeProto.Tensor", "TensorShapeProto", "TensorShapeProto.Dimension"};

enum class Action {
  kWalk,     // a message: walk it as `child`
  kEmpty,    // a message of which only the presence is kept
  kPlace,    // bytes: keep their place
  kVarints,  // packed varints: checked, then copied
  kDrop,
};

struct FieldRule {
  Message message;
  uint32_t number;
  Action action;
  Message child = Message::kModel;
};

// Length-delimited fields that are not simply copied.
constexpr FieldRule kRules[] = {
    {Message::kModel, 7, Action::kWalk, Message::kGraph},
    {Message::kModel, 8, Action::kWalk, Message::kOpset},
    {Message::kModel, 14, Action::kDrop},  // metadata_props
    {Message::kModel, 20, Action::kDrop},  // training_info
    {Message::kModel, 25, Action::kWalk, Message::kFunction},
    {Message::kModel, 26, Action::kDrop},  // configuration
    {Message::kFunction, 7, Action::kDrop},   // node
    {Message::kFunction, 11, Action::kDrop},  // attribute_proto
    {Message::kFunction, 12, Action::kDrop},  // value_info
    {Message::kGraph, 1, Action::kWalk, Message::kNode},
    {Message::kGraph, 5, Action::kWalk, Message::kTensor},
    {Message::kGraph, 11, Action::kWalk, Message::kValueInfo},
    {Message::kGraph, 12, Action::kWalk, Message::kValueInfo},
    {Message::kGraph, 13, Action::kWalk, Message::kValueInfo},
    {Message::kGraph, 14, Action::kDrop},  // quantization_annotation
    {Message::kGraph, 15, Action::kEmpty},
    {Message::kGraph, 16, Action::kDrop},  // metadata_props
    {Message::kNode, 5, Action::kWalk, Message::kAttribute},
    {Message::kNode, 9, Action::kDrop},   // metadata_props
    {Message::kNode, 10, Action::kDrop},  // device_configurations
    {Message::kAttribute, 5, Action::kWalk, Message::kTensor},
    {Message::kAttribute, 6, Action::kEmpty},
    {Message::kAttribute, 8, Action::kVarints},
    {Message::kAttribute, 10, Action::kDrop},  // tensors
    {Message::kAttribute, 11, Action::kEmpty},
    {Message::kAttribute, 14, Action::kDrop},  // tp
    {Message::kAttribute, 15, Action::kDrop},  // type_protos
    {Message::kAttribute, 22, Action::kDrop},  // sparse_tensor
    {Message::kAttribute, 23, Action::kDrop},  // sparse_tensors
    {Message::kTensor, 1, Action::kVarints},
    {Message::kTensor, 5, Action::kVarints},
    {Message::kTensor, 7, Action::kVarints},
    {Message::kTensor, 9, Action::kPlace},
    {Message::kTensor, 11, Action::kVarints},
    {Message::kTensor, 13, Action::kWalk, Message::kEntry},
    {Message::kTensor, 16, Action::kDrop},  // metadata_props
    {Message::kValueInfo, 2, Action::kWalk, Message::kType},
    {Message::kValueInfo, 4, Action::kDrop},  // metadata_props
    {Message::kType, 1, Action::kWalk, Message::kTensorType},
    {Message::kType, 4, Action::kDrop},  // sequence_type
    {Message::kType, 5, Action::kDrop},  // map_type
    {Message::kType, 9, Action::kDrop},  // optional_type
    {Message::kTensorType, 2, Action::kWalk, Message::kShape},
    {Message::kShape, 1, Action::kWalk, Message::kDimension},
};

enum WireType : uint32_t { kVarint = 0, kFixed64 = 1, kLengthDelimited = 2, kFixed32 = 5 };

const FieldRule* FindRule(Message message, uint32_t number) {
  for (const FieldRule& rule : kRules) {
    if (rule.message == message && rule.number == number) return &rule;
  }
  return nullptr;
}

void AppendVarint(uint64_t value, std::string* out) {
  while (value >= 0x80) {
    out->push_back(static_cast<char>(value | 0x80));
    value >>= 7;
  }
  out->push_back(static_cast<char>(value));
}

void AppendDelimited(uint32_t number, std::string_view bytes, std::string* out) {
  AppendVarint(uint64_t{number} << 3 | kLengthDelimited, out);
  AppendVarint(bytes.size(), out);
  out->append(bytes);
}

class Walker {
 public:
  explicit Walker(std::string_view model) : model_(model) {}

  // Appends to `out` the skeleton of the message in bytes [begin, end).
  absl::Status Walk(Message message, size_t begin, size_t end, std::string* out) const {
    size_t at = begin;
    while (at < end) {
      const size_t field = at;
      uint64_t tag = 0;
      if (!ReadVarint(&at, end, &tag)) return Damaged(message, field, "a field tag is cut off or too long");
      const uint64_t number = tag >> 3;
      if (number == 0 || number >= uint64_t{1} << 29) {
        return Damaged(message, field, absl::StrCat("there is no field number ", number));
      }
      uint64_t value = 0;
      switch (tag & 7) {
        case kVarint:
          if (!ReadVarint(&at, end, &value)) return Damaged(message, field, "a number is cut off or too long");
          break;
        case kFixed64:
        case kFixed32: {
          const size_t width = (tag & 7) == kFixed64 ? 8 : 4;
          if (end - at < width) return Damaged(message, field, "a number is cut off");
          at += width;
          break;
        }
        case kLengthDelimited: {
          if (!ReadVarint(&at, end, &value)) return Damaged(message, field, "a length is cut off or too long");
          if (value > end - at) {
            return Damaged(message, field,
                           absl::StrCat("field ", number, " claims ", value, " bytes where ", end - at, " are left"));
          }
          const FieldRule* rule = FindRule(message, static_cast<uint32_t>(number));
          if (rule != nullptr) {
            RETURN_IF_ERROR(Apply(*rule, at, at + value, out));
            at += value;
            continue;
          }
          at += value;
          break;
        }
        default:
          return Damaged(message, field, absl::StrCat("wire type ", tag & 7, " is not used by ONNX"));
      }
      out->append(model_.substr(field, at - field));
    }
    return absl::OkStatus();
  }

 private:
  absl::Status Apply(const FieldRule& rule, size_t begin, size_t end, std::string* out) const {
    switch (rule.action) {
      case Action::kWalk: {
        std::string inside;
        RETURN_IF_ERROR(Walk(rule.child, begin, end, &inside));
        AppendDelimited(rule.number, inside, out);
        break;
      }
      case Action::kEmpty:
        AppendDelimited(rule.number, {}, out);
        break;
      case Action::kPlace: {
        const RawPlace place{begin, end - begin};
        char bytes[sizeof(place)];
        std::memcpy(bytes, &place, sizeof(place));
        AppendDelimited(rule.number, {bytes, sizeof(bytes)}, out);
        break;
      }
      case Action::kVarints: {
        uint64_t value = 0;
        for (size_t at = begin; at < end;) {
          const size_t element = at;
          if (!ReadVarint(&at, end, &value)) {
            return Damaged(rule.message, element, "a number in a list is cut off or too long");
          }
        }
        AppendDelimited(rule.number, model_.substr(begin, end - begin), out);
        break;
      }
      case Action::kDrop:
        break;
    }
    return absl::OkStatus();
  }

  bool ReadVarint(size_t* at, size_t end, uint64_t* value) const {
    *value = 0;
    for (int shift = 0; shift < 70; shift += 7) {
      if (*at >= end) return false;
      const uint8_t byte = static_cast<uint8_t>(model_[(*at)++]);
      *value |= shift < 64 ? uint64_t{byte & 0x7fu} << shift : 0;
      if (byte < 0x80) return true;
    }
    return false;
  }

  absl::Status Damaged(Message message, size_t offset, absl::string_view what) const {
    return absl::InvalidArgumentError(absl::StrCat("not an ONNX model: byte ", offset, ", in a ",
                                                   kMessageNames[static_cast<int>(message)], ": ", what));
  }

  const std::string_view model_;
};

}  // namespace

absl::StatusOr<onnx::ModelProto> ParseSkeleton(std::string_view model) {
  if (model.empty()) return absl::InvalidArgumentError("not an ONNX model: it is empty");
  std::string skeleton;
  RETURN_IF_ERROR(Walker(model).Walk(Message::kModel, 0, model.size(), &skeleton));
  onnx::ModelProto proto;
  if (skeleton.size() > size_t{INT32_MAX} || !proto.ParseFromString(skeleton)) {
    return absl::InvalidArgumentError("not an ONNX model: its messages do not parse");
  }
  return proto;
}

std::optional<RawPlace> RawPlaceOf(const onnx::TensorProto& tensor) {
  RawPlace place;
  if (tensor.raw_data().size() != sizeof(place)) return std::nullopt;
  std::memcpy(&place, tensor.raw_data().data(), sizeof(place));
  return place;
}

}  // namespace omserve
