#include "core/import/onnx/weights.h"

#include <cstring>
#include <limits>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "core/base/status.h"
#include "core/import/onnx/skeleton.h"

namespace omserve {
namespace {

// Stores `numbers` as elements of type T. INVALID_ARGUMENT when their count or a value does not fit.
template <typename T, typename Numbers>
absl::StatusOr<Tensor> FromNumbers(const TensorDesc& desc, const Numbers& numbers, absl::string_view field) {
  const int64_t count = NumElements(desc.shape);
  if (numbers.size() != count) {
    return absl::InvalidArgumentError(
        absl::StrCat(ToString(desc), " needs ", count, " elements; ", field, " has ", numbers.size()));
  }
  std::byte* writable = nullptr;
  Tensor tensor = Tensor::Allocate(desc, &writable);
  for (const auto number : numbers) {
    if constexpr (std::is_integral_v<T>) {
      if (!std::in_range<T>(number)) {
        return absl::InvalidArgumentError(absl::StrCat(field, " holds ", number, ", which is no ",
                                                       std::string(Name(desc.type)), " value"));
      }
    }
    const T element = static_cast<T>(number);
    std::memcpy(writable, &element, sizeof(element));
    writable += sizeof(element);
  }
  return tensor;
}

// The typed field that ONNX prescribes for each element type; float16 and bfloat16 travel as bit patterns.
absl::StatusOr<Tensor> FromTypedData(const TensorDesc& desc, const onnx::TensorProto& proto) {
  switch (desc.type) {
    case DataType::kFloat: return FromNumbers<float>(desc, proto.float_data(), "float_data");
    case DataType::kDouble: return FromNumbers<double>(desc, proto.double_data(), "double_data");
    case DataType::kInt64: return FromNumbers<int64_t>(desc, proto.int64_data(), "int64_data");
    case DataType::kUint32: return FromNumbers<uint32_t>(desc, proto.uint64_data(), "uint64_data");
    case DataType::kUint64: return FromNumbers<uint64_t>(desc, proto.uint64_data(), "uint64_data");
    case DataType::kInt32: return FromNumbers<int32_t>(desc, proto.int32_data(), "int32_data");
    case DataType::kInt16: return FromNumbers<int16_t>(desc, proto.int32_data(), "int32_data");
    case DataType::kInt8: return FromNumbers<int8_t>(desc, proto.int32_data(), "int32_data");
    case DataType::kUint16:
    case DataType::kFloat16:
    case DataType::kBfloat16: return FromNumbers<uint16_t>(desc, proto.int32_data(), "int32_data");
    case DataType::kUint8: return FromNumbers<uint8_t>(desc, proto.int32_data(), "int32_data");
    case DataType::kBool: {
      ASSIGN_OR_RETURN(Tensor bytes, FromNumbers<uint8_t>(desc, proto.int32_data(), "int32_data"));
      return bytes;
    }
    default:
      return absl::UnimplementedError(absl::StrCat("tensors of type ", ToString(desc), " are not supported"));
  }
}

absl::StatusOr<uint64_t> ExternalNumber(const onnx::StringStringEntryProto& entry) {
  uint64_t number = 0;
  if (!absl::SimpleAtoi(entry.value(), &number)) {
    return absl::InvalidArgumentError(
        absl::StrCat("external data: ", entry.key(), " is '", entry.value(), "', not a number"));
  }
  return number;
}

}  // namespace

absl::StatusOr<Tensor> WeightLoader::Load(const onnx::TensorProto& proto) {
  ASSIGN_OR_RETURN(DataType type, DataTypeFromOnnxNumber(proto.data_type()));
  if (SizeOf(type) == 0) {
    return absl::UnimplementedError(
        absl::StrCat("tensors of type ", std::string(Name(type)), " are not supported"));
  }
  if (proto.has_segment()) return absl::UnimplementedError("tensors in segments are not supported");
  if (proto.dims_size() > kMaxRank) {
    return absl::UnimplementedError(
        absl::StrCat("tensors of rank ", proto.dims_size(), " are not supported; at most ", kMaxRank));
  }
  TensorDesc desc{type, Shape(proto.dims().begin(), proto.dims().end())};
  ASSIGN_OR_RETURN(size_t bytes, CheckedByteSize(desc));
  if (proto.data_location() == onnx::TensorProto::EXTERNAL) {
    ASSIGN_OR_RETURN(Buffer data, External(proto, bytes));
    return Refer(std::move(desc), std::move(data));
  }
  if (std::optional<RawPlace> place = RawPlaceOf(proto)) {
    return Refer(std::move(desc), model_.Slice(place->offset, place->size));
  }
  ASSIGN_OR_RETURN(Tensor tensor, FromTypedData(desc, proto));
  stats_.copied_bytes += static_cast<int64_t>(tensor.byte_size());
  return tensor;
}

absl::StatusOr<Tensor> WeightLoader::Refer(TensorDesc desc, Buffer bytes) {
  const size_t size = bytes.size();
  const bool aligned = reinterpret_cast<uintptr_t>(bytes.data()) % SizeOf(desc.type) == 0;
  // Checked before the copy, so that a false size costs nothing.
  ASSIGN_OR_RETURN(Tensor tensor, Tensor::Create(desc, std::move(bytes)));
  if (aligned) {
    stats_.referenced_bytes += static_cast<int64_t>(size);
    return tensor;
  }
  stats_.copied_bytes += static_cast<int64_t>(size);
  return Tensor::Create(std::move(desc), Buffer::CopyOf(tensor.data(), size));
}

absl::StatusOr<Buffer> WeightLoader::External(const onnx::TensorProto& proto, size_t bytes) {
  std::string location;
  uint64_t offset = 0;
  std::optional<uint64_t> length;
  for (const onnx::StringStringEntryProto& entry : proto.external_data()) {
    if (entry.key() == "location") {
      location = entry.value();
    } else if (entry.key() == "offset") {
      ASSIGN_OR_RETURN(offset, ExternalNumber(entry));
    } else if (entry.key() == "length") {
      ASSIGN_OR_RETURN(length, ExternalNumber(entry));
    }
    // "checksum" and keys of exporters say nothing about where the bytes are.
  }
  if (location.empty()) return absl::InvalidArgumentError("external data without a location");
  if (length && *length != bytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("external data in '", location, "' has ", *length, " bytes where the shape needs ", bytes));
  }
  ASSIGN_OR_RETURN_WITH(std::shared_ptr<const MappedFile> file, Map(location), "external data");
  if (offset > file->size() || bytes > file->size() - offset) {
    return absl::OutOfRangeError(absl::StrCat("external data: bytes ", offset, " to ", offset, " + ", bytes, " of '",
                                              location, "', which has ", file->size()));
  }
  return Buffer::OfFile(std::move(file), offset, bytes);
}

absl::StatusOr<std::shared_ptr<const MappedFile>> WeightLoader::Map(const std::string& location) {
  auto it = files_.find(location);
  if (it != files_.end()) return it->second;
  if (folder_.empty()) {
    return absl::PermissionDeniedError(
        absl::StrCat("file '", location, "' is not accepted: the model came without a folder"));
  }
  ASSIGN_OR_RETURN(std::string path, ResolveInside(folder_, location));
  ASSIGN_OR_RETURN(std::shared_ptr<const MappedFile> file, MappedFile::Open(path));
  files_[location] = file;
  return file;
}

}  // namespace omserve
