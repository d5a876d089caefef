// Protobuf at the level of the wire: for messages whose payload must not be copied (a nested OM inside a
// SubmodelDef) or whose bytes are placed by hand (padding and digests at the end of a ModelDef).
#ifndef OMSERVE_CORE_OM_WIRE_H_
#define OMSERVE_CORE_OM_WIRE_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "google/protobuf/message_lite.h"

namespace omserve {

struct WireField {
  uint32_t number = 0;
  bool has_bytes = false;  // length-delimited; else a number, which `raw` still holds
  std::string_view bytes;  // the payload of a length-delimited field
  std::string_view raw;    // the whole field: tag, length and payload
  size_t offset = 0;       // of `bytes` (or of `raw` for a number) in the message
};

// Walks the fields of one message; borrows its bytes.
class WireReader {
 public:
  explicit WireReader(std::string_view message) : message_(message) {}
  bool done() const { return position_ == message_.size(); }
  // The next field; done() must be false. DATA_LOSS names the offset of a field that is cut off or malformed;
  // groups are malformed.
  absl::StatusOr<WireField> Next();

 private:
  bool ReadVarint(uint64_t* value);
  std::string_view message_;
  size_t position_ = 0;
};

void AppendVarint(uint64_t value, std::string* out);
// Tag and length of a length-delimited field whose payload follows.
void AppendFieldHead(uint32_t number, uint64_t payload_size, std::string* out);
void AppendField(uint32_t number, std::string_view payload, std::string* out);
// An entry of a map<string, string>.
void AppendMapEntry(uint32_t number, std::string_view key, std::string_view value, std::string* out);

// Serialises with maps in a fixed order, so that equal messages have equal bytes. RESOURCE_EXHAUSTED above
// kMaxMessageBytes; `what` names the message.
absl::StatusOr<std::string> SerializeMessage(const google::protobuf::MessageLite& message,
                                             std::string_view what);

// DATA_LOSS when `bytes` are no such message or above kMaxMessageBytes; `what` names it.
absl::Status ParseMessage(std::string_view bytes, std::string_view what,
                          google::protobuf::MessageLite* message);

// A graph description needs a few kilobytes a node, so this is far above what is sensible; it bounds the
// memory that parsing takes.
inline constexpr size_t kMaxMessageBytes = size_t{256} << 20;

}  // namespace omserve

#endif  // OMSERVE_CORE_OM_WIRE_H_
