#include "core/tensor/data_type.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace omserve {
namespace {

struct TypeInfo {
  DataType type;
  size_t size;
  std::string_view name;
  std::string_view ge_name;
  int32_t proto;
  int32_t onnx;
};

constexpr TypeInfo kTypes[] = {
    {DataType::kFloat, 4, "float32", "DT_FLOAT", 1, 1},
    {DataType::kFloat16, 2, "float16", "DT_FLOAT16", 2, 10},
    {DataType::kInt8, 1, "int8", "DT_INT8", 3, 3},
    {DataType::kUint8, 1, "uint8", "DT_UINT8", 4, 2},
    {DataType::kInt16, 2, "int16", "DT_INT16", 5, 5},
    {DataType::kUint16, 2, "uint16", "DT_UINT16", 6, 4},
    {DataType::kInt32, 4, "int32", "DT_INT32", 7, 6},
    {DataType::kInt64, 8, "int64", "DT_INT64", 8, 7},
    {DataType::kUint32, 4, "uint32", "DT_UINT32", 9, 12},
    {DataType::kUint64, 8, "uint64", "DT_UINT64", 10, 13},
    {DataType::kBool, 1, "bool", "DT_BOOL", 11, 9},
    {DataType::kDouble, 8, "float64", "DT_DOUBLE", 12, 11},
    {DataType::kString, 0, "string", "DT_STRING", 13, 8},
    {DataType::kBfloat16, 2, "bfloat16", "DT_BF16", 27, 16},
    {DataType::kUndefined, 0, "undefined", "DT_UNDEFINED", 0, 0},
};

const TypeInfo& InfoOf(DataType type) {
  for (const TypeInfo& info : kTypes) {
    if (info.type == type) return info;
  }
  return kTypes[std::size(kTypes) - 1];
}

template <typename Match>
absl::StatusOr<DataType> Find(Match match, absl::string_view numbering, int64_t number) {
  for (const TypeInfo& info : kTypes) {
    if (match(info)) return info.type;
  }
  return absl::UnimplementedError(absl::StrCat("data type number ", number, " of ", numbering, " is not supported"));
}

}  // namespace

size_t SizeOf(DataType type) { return InfoOf(type).size; }
std::string_view Name(DataType type) { return InfoOf(type).name; }
std::string_view GeName(DataType type) { return InfoOf(type).ge_name; }
int32_t ToProtoNumber(DataType type) { return InfoOf(type).proto; }
int32_t ToOnnxNumber(DataType type) { return InfoOf(type).onnx; }

absl::StatusOr<DataType> DataTypeFromName(absl::string_view name) {
  std::vector<std::string> known;
  for (const TypeInfo& info : kTypes) {
    if (absl::string_view(info.name.data(), info.name.size()) == name) return info.type;
    known.emplace_back(info.name);
  }
  return absl::InvalidArgumentError(
      absl::StrCat("unknown data type '", name, "'; known are ", absl::StrJoin(known, ", ")));
}

absl::StatusOr<DataType> DataTypeFromProtoNumber(int32_t number) {
  return Find([=](const TypeInfo& info) { return info.proto == number; }, "ge.proto", number);
}

absl::StatusOr<DataType> DataTypeFromAclNumber(int64_t number) {
  return Find([=](const TypeInfo& info) { return static_cast<int64_t>(info.type) == number; }, "ge::DataType",
              number);
}

absl::StatusOr<DataType> DataTypeFromOnnxNumber(int32_t number) {
  return Find([=](const TypeInfo& info) { return info.onnx == number; }, "onnx.TensorProto", number);
}

}  // namespace omserve
