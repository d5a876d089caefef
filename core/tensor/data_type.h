// Element types. The enumerators carry the C++/ACL numbers (ge::DataType); files of GE IR use a second numbering,
// see ToProtoNumber.
#ifndef OMSERVE_CORE_TENSOR_DATA_TYPE_H_
#define OMSERVE_CORE_TENSOR_DATA_TYPE_H_

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace omserve {

enum class DataType : int32_t {
  kFloat = 0,
  kFloat16 = 1,
  kInt8 = 2,
  kInt32 = 3,
  kUint8 = 4,
  kInt16 = 6,
  kUint16 = 7,
  kUint32 = 8,
  kInt64 = 9,
  kUint64 = 10,
  kDouble = 11,
  kBool = 12,
  kString = 13,
  kBfloat16 = 27,
  kUndefined = 28,
};

// Bytes of one element; 0 for types without a fixed size (string, undefined).
size_t SizeOf(DataType type);

// Lower-case field name: "float32", "int64", "bool", "bfloat16" (numpy's where numpy has one).
std::string_view Name(DataType type);
// The inverse of Name; INVALID_ARGUMENT lists the known names.
absl::StatusOr<DataType> DataTypeFromName(absl::string_view name);

// "DT_FLOAT", "DT_INT64": the spelling of GE IR.
std::string_view GeName(DataType type);

// The numbering of ge.proto.DataType (TensorDescriptor.dtype) and back; UNIMPLEMENTED for a number we have no type for.
int32_t ToProtoNumber(DataType type);
absl::StatusOr<DataType> DataTypeFromProtoNumber(int32_t number);
// The C++/ACL numbering (attr kind dt, Cast.dst_type) and back.
inline int32_t ToAclNumber(DataType type) { return static_cast<int32_t>(type); }
absl::StatusOr<DataType> DataTypeFromAclNumber(int64_t number);
// The numbering of onnx.TensorProto.DataType and back.
int32_t ToOnnxNumber(DataType type);
absl::StatusOr<DataType> DataTypeFromOnnxNumber(int32_t number);

// DataTypeOf<float>() == DataType::kFloat, for the C++ types that have one.
template <typename T>
constexpr DataType DataTypeOf();
template <> constexpr DataType DataTypeOf<float>() { return DataType::kFloat; }
template <> constexpr DataType DataTypeOf<double>() { return DataType::kDouble; }
template <> constexpr DataType DataTypeOf<int8_t>() { return DataType::kInt8; }
template <> constexpr DataType DataTypeOf<int16_t>() { return DataType::kInt16; }
template <> constexpr DataType DataTypeOf<int32_t>() { return DataType::kInt32; }
template <> constexpr DataType DataTypeOf<int64_t>() { return DataType::kInt64; }
template <> constexpr DataType DataTypeOf<uint8_t>() { return DataType::kUint8; }
template <> constexpr DataType DataTypeOf<uint16_t>() { return DataType::kUint16; }
template <> constexpr DataType DataTypeOf<uint32_t>() { return DataType::kUint32; }
template <> constexpr DataType DataTypeOf<uint64_t>() { return DataType::kUint64; }
template <> constexpr DataType DataTypeOf<bool>() { return DataType::kBool; }

}  // namespace omserve

#endif  // OMSERVE_CORE_TENSOR_DATA_TYPE_H_
