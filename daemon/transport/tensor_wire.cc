#include "daemon/transport/tensor_wire.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "core/base/status.h"
#include "google/protobuf/io/coded_stream.h"
#include "google/protobuf/wire_format_lite.h"
#include "grpcpp/support/proto_buffer_reader.h"

namespace omserve {
namespace {

using ::google::protobuf::internal::WireFormatLite;

// Below this many bytes a copy is cheaper than a slice of its own.
constexpr size_t kCopyBelow = 1024;

size_t VarintSize(uint64_t value) { return google::protobuf::io::CodedOutputStream::VarintSize64(value); }

uint32_t LengthTag(int field) {
  return WireFormatLite::MakeTag(field, WireFormatLite::WIRETYPE_LENGTH_DELIMITED);
}

void AppendVarint(std::string& out, uint64_t value) {
  while (value >= 0x80) {
    out.push_back(static_cast<char>(value | 0x80));
    value >>= 7;
  }
  out.push_back(static_cast<char>(value));
}

// All of a tensor's message but the data.
v1::Tensor HeadOf(absl::string_view name, const Tensor& tensor) {
  v1::Tensor head;
  head.set_name(std::string(name));
  const std::string_view type = Name(tensor.type());
  head.set_dtype(type.data(), type.size());
  head.mutable_shape()->Assign(tensor.shape().begin(), tensor.shape().end());
  return head;
}

size_t DataFieldSize(const Tensor& tensor) {
  return VarintSize(LengthTag(v1::Tensor::kDataFieldNumber)) + VarintSize(tensor.byte_size()) + tensor.byte_size();
}

}  // namespace

absl::StatusOr<Tensor> TakeTensor(v1::Tensor& proto) {
  const std::string context = absl::StrCat("tensor '", absl::Utf8SafeCEscape(proto.name().substr(0, 128)), "'");
  ASSIGN_OR_RETURN_WITH(DataType type, DataTypeFromName(proto.dtype().substr(0, 32)), context);
  if (proto.shape_size() > kMaxRank) {
    return absl::InvalidArgumentError(
        absl::StrCat(context, " has ", proto.shape_size(), " dimensions; at most ", kMaxRank, " are supported"));
  }
  TensorDesc desc{type, Shape(proto.shape().begin(), proto.shape().end())};
  ASSIGN_OR_RETURN_WITH(size_t bytes, CheckedByteSize(desc), context);
  if (bytes != proto.data().size()) {
    return absl::InvalidArgumentError(absl::StrCat(context, ": ", ToString(desc), " takes ", bytes, " bytes, given are ",
                                                   proto.data().size()));
  }
  if (type == DataType::kBool && std::any_of(proto.data().begin(), proto.data().end(),
                                             [](char value) { return (value & ~1) != 0; })) {
    return absl::InvalidArgumentError(absl::StrCat(context, ": a bool is neither 0 nor 1"));
  }
  std::shared_ptr<std::string> data(proto.release_data());
  if (data == nullptr) data = std::make_shared<std::string>();
  const std::byte* begin = reinterpret_cast<const std::byte*>(data->data());
  return Tensor::Create(std::move(desc), Buffer(std::move(data), begin, bytes));
}

grpc::Slice SliceOf(const Buffer& buffer) {
  auto* owner = new std::shared_ptr<const void>(buffer.owner());
  return grpc::Slice(const_cast<std::byte*>(buffer.data()), buffer.size(),
                     [](void* owner) { delete static_cast<std::shared_ptr<const void>*>(owner); }, owner);
}

size_t MessageWriter::TensorFieldSize(int field, absl::string_view name, const Tensor& tensor) {
  const size_t content = HeadOf(name, tensor).ByteSizeLong() + DataFieldSize(tensor);
  return VarintSize(LengthTag(field)) + VarintSize(content) + content;
}

void MessageWriter::AppendFields(const google::protobuf::MessageLite& fields) { fields.AppendToString(&head_); }

void MessageWriter::AppendLengthPrefix(int field, size_t size) {
  AppendVarint(head_, LengthTag(field));
  AppendVarint(head_, size);
}

void MessageWriter::AppendTensor(int field, absl::string_view name, const Tensor& tensor) {
  const v1::Tensor head = HeadOf(name, tensor);
  AppendLengthPrefix(field, head.ByteSizeLong() + DataFieldSize(tensor));
  AppendFields(head);
  AppendLengthPrefix(v1::Tensor::kDataFieldNumber, tensor.byte_size());
  AppendBuffer(tensor.buffer());
}

void MessageWriter::AppendBuffer(const Buffer& buffer) {
  if (buffer.size() < kCopyBelow) {
    head_.append(buffer.view());
    return;
  }
  FlushHead();
  slices_.push_back(SliceOf(buffer));
}

void MessageWriter::FlushHead() {
  if (head_.empty()) return;
  slices_.emplace_back(head_.data(), head_.size());
  head_.clear();
}

grpc::ByteBuffer MessageWriter::Finish() {
  FlushHead();
  return grpc::ByteBuffer(slices_.data(), slices_.size());
}

absl::Status ParseMessage(const grpc::ByteBuffer& bytes, google::protobuf::MessageLite& message) {
  grpc::ByteBuffer copy(bytes);  // of references
  grpc::ProtoBufferReader reader(&copy);
  if (!reader.status().ok() || !message.ParseFromZeroCopyStream(&reader)) {
    return absl::InvalidArgumentError(absl::StrCat("the message is no ", message.GetTypeName()));
  }
  return absl::OkStatus();
}

}  // namespace omserve
