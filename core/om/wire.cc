#include "core/om/wire.h"

#include "absl/strings/str_cat.h"
#include "google/protobuf/io/coded_stream.h"
#include "google/protobuf/io/zero_copy_stream_impl_lite.h"
#include "google/protobuf/stubs/logging.h"

namespace omserve {
namespace {

enum WireType : uint32_t { kVarint = 0, kFixed64 = 1, kLengthDelimited = 2, kFixed32 = 5 };

}  // namespace

bool WireReader::ReadVarint(uint64_t* value) {
  *value = 0;
  for (int shift = 0; shift < 64; shift += 7) {
    if (position_ == message_.size()) return false;
    const uint8_t byte = static_cast<uint8_t>(message_[position_++]);
    *value |= static_cast<uint64_t>(byte & 0x7F) << shift;
    if ((byte & 0x80) == 0) return shift < 63 || byte <= 1;
  }
  return false;
}

absl::StatusOr<WireField> WireReader::Next() {
  const size_t start = position_;
  const auto malformed = [&] { return absl::DataLossError(absl::StrCat("malformed field at byte ", start)); };
  uint64_t tag = 0;
  if (!ReadVarint(&tag) || tag > UINT32_MAX || tag >> 3 == 0) return malformed();
  WireField field;
  field.number = static_cast<uint32_t>(tag >> 3);
  field.offset = start;
  uint64_t value = 0;
  switch (tag & 7) {
    case kVarint:
      if (!ReadVarint(&value)) return malformed();
      break;
    case kFixed64:
    case kFixed32: {
      const size_t width = (tag & 7) == kFixed64 ? 8 : 4;
      if (message_.size() - position_ < width) return malformed();
      position_ += width;
      break;
    }
    case kLengthDelimited:
      if (!ReadVarint(&value) || value > message_.size() - position_) return malformed();
      field.has_bytes = true;
      field.bytes = message_.substr(position_, static_cast<size_t>(value));
      field.offset = position_;
      position_ += static_cast<size_t>(value);
      break;
    default:
      return malformed();
  }
  field.raw = message_.substr(start, position_ - start);
  return field;
}

void AppendVarint(uint64_t value, std::string* out) {
  while (value >= 0x80) {
    out->push_back(static_cast<char>(value | 0x80));
    value >>= 7;
  }
  out->push_back(static_cast<char>(value));
}

void AppendFieldHead(uint32_t number, uint64_t payload_size, std::string* out) {
  AppendVarint(uint64_t{number} << 3 | kLengthDelimited, out);
  AppendVarint(payload_size, out);
}

void AppendField(uint32_t number, std::string_view payload, std::string* out) {
  AppendFieldHead(number, payload.size(), out);
  out->append(payload);
}

void AppendMapEntry(uint32_t number, std::string_view key, std::string_view value, std::string* out) {
  std::string entry;
  AppendField(1, key, &entry);
  AppendField(2, value, &entry);
  AppendField(number, entry, out);
}

absl::StatusOr<std::string> SerializeMessage(const google::protobuf::MessageLite& message,
                                             std::string_view what) {
  const size_t size = message.ByteSizeLong();
  if (size > kMaxMessageBytes) {
    return absl::ResourceExhaustedError(absl::StrCat(absl::string_view(what.data(), what.size()), " needs ",
                                                     size, " bytes; at most ", kMaxMessageBytes,
                                                     " are possible"));
  }
  std::string bytes;
  bytes.reserve(size);
  {
    google::protobuf::io::StringOutputStream stream(&bytes);
    google::protobuf::io::CodedOutputStream coded(&stream);
    coded.SetSerializationDeterministic(true);
    message.SerializeWithCachedSizes(&coded);
  }
  return bytes;
}

absl::Status ParseMessage(std::string_view bytes, std::string_view what,
                          google::protobuf::MessageLite* message) {
  const absl::string_view name(what.data(), what.size());
  if (bytes.size() > kMaxMessageBytes) {
    return absl::DataLossError(
        absl::StrCat(name, " has ", bytes.size(), " bytes; at most ", kMaxMessageBytes, " are possible"));
  }
  // Bytes that are no message are an ordinary error here, told by the status; protobuf would print them to
  // stderr, too.
  const google::protobuf::LogSilencer silencer;
  if (!message->ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return absl::DataLossError(
        absl::StrCat(name, " is damaged: its ", bytes.size(), " bytes are no ", message->GetTypeName()));
  }
  return absl::OkStatus();
}

}  // namespace omserve
