#include "core/om/container.h"

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "core/base/status.h"

namespace omserve {
namespace {

static_assert(std::endian::native == std::endian::little, "OM files are little-endian");

constexpr uint32_t kMagic = 0x444F4D49;  // "IMOD"
constexpr uint32_t kVersion = 0x20000000;
constexpr uint32_t kIrVersion = 2;  // of a compiled model
constexpr size_t kMaxPartitions = 8;
constexpr size_t kMaxFlowPartitions = 4096;

// The header as it lies in the file.
struct Header {
  uint32_t magic = kMagic;
  uint32_t header_size = kOmHeaderBytes;
  uint32_t version = kVersion;
  uint8_t checksum[64] = {};  // not used by any known reader; zero
  uint32_t length = 0;        // of files with a 32-bit table
  uint8_t is_encrypted = 0;
  uint8_t is_checksum = 0;
  uint8_t model_type = 0;
  uint8_t gen_mode = 0;
  char name[32] = {};
  uint32_t ops = 0;
  uint8_t user_define_info[32] = {};
  uint32_t om_ir_version = kIrVersion;
  uint32_t model_num = 1;
  char platform_version[20] = {};
  uint8_t platform_type = 0;
  uint8_t padding[3] = {};
  uint64_t model_length = 0;  // of everything after the header
  uint8_t need_check_os_cpu_info = 0;
  uint8_t is_unknown_model = 0;
  uint8_t reserved[62] = {};
};
static_assert(sizeof(Header) == kOmHeaderBytes);
static_assert(offsetof(Header, length) == 76 && offsetof(Header, name) == 84 &&
              offsetof(Header, om_ir_version) == 152 && offsetof(Header, platform_version) == 160 &&
              offsetof(Header, model_length) == 184);

struct TableHead {
  uint32_t count = 0;
  uint32_t padding = 0;
};

struct TableEntry {
  uint32_t type = 0;
  uint32_t padding = 0;
  uint64_t offset = 0;  // from the end of the table
  uint64_t size = 0;
};
static_assert(sizeof(TableHead) == 8 && sizeof(TableEntry) == 24);

template <typename T>
void AppendStruct(const T& value, std::string* out) {
  out->append(reinterpret_cast<const char*>(&value), sizeof(value));
}

template <typename T>
T ReadStruct(std::string_view bytes, size_t offset) {
  T value;
  std::memcpy(&value, bytes.data() + offset, sizeof(value));
  return value;
}

absl::StatusOr<Header> ReadHeader(std::string_view om) {
  if (om.size() < kOmHeaderBytes) {
    return absl::DataLossError(
        absl::StrCat("the OM has ", om.size(), " bytes; its header alone has ", kOmHeaderBytes));
  }
  const Header header = ReadStruct<Header>(om, 0);
  if (header.magic != kMagic) {
    return absl::DataLossError("this is no OM file, or it is damaged: it does not begin with \"IMOD\"");
  }
  if (header.version > kVersion) {
    return absl::UnimplementedError(absl::StrCat("the OM has format version 0x", absl::Hex(header.version),
                                                 "; the newest that is supported is 0x",
                                                 absl::Hex(kVersion)));
  }
  if (header.header_size != kOmHeaderBytes) {
    return absl::DataLossError(absl::StrCat("the OM states a header of ", header.header_size,
                                            " bytes at byte 4; it has ", kOmHeaderBytes));
  }
  if (header.is_encrypted != 0)
    return absl::UnimplementedError("the OM is encrypted, which is not supported");
  return header;
}

}  // namespace

const OmPartition* OmContainer::Find(OmPartitionType wanted) const {
  for (const OmPartition& partition : partitions) {
    if (partition.type == wanted) return &partition;
  }
  return nullptr;
}

std::string ToString(OmPartitionType type) {
  switch (type) {
    case OmPartitionType::kModelDef:
      return "MODEL_DEF";
    case OmPartitionType::kWeightsData:
      return "WEIGHTS_DATA";
    case OmPartitionType::kTaskInfo:
      return "TASK_INFO";
    case OmPartitionType::kFlowModel:
      return "FLOW_MODEL";
    case OmPartitionType::kFlowSubmodel:
      return "FLOW_SUBMODEL";
    case OmPartitionType::kModelInOutInfo:
      return "MODEL_INOUT_INFO";
  }
  return absl::StrCat("partition type ", static_cast<uint32_t>(type));
}

std::string EncodeOmHead(OmModelType type, std::string_view name,
                         const std::vector<std::pair<OmPartitionType, uint64_t>>& partitions) {
  Header header;
  header.model_type = static_cast<uint8_t>(type);
  // At most 31 bytes, not cut inside a character of UTF-8.
  size_t length = std::min(name.size(), sizeof(header.name) - 1);
  while (length > 0 && length < name.size() && (static_cast<uint8_t>(name[length]) & 0xC0) == 0x80) --length;
  std::memcpy(header.name, name.data(), length);
  header.model_length = OmHeadBytes(partitions.size()) - kOmHeaderBytes;
  for (const auto& [partition, size] : partitions) header.model_length += size;

  std::string head;
  AppendStruct(header, &head);
  AppendStruct(TableHead{static_cast<uint32_t>(partitions.size())}, &head);
  uint64_t offset = 0;
  for (const auto& [partition, size] : partitions) {
    AppendStruct(TableEntry{static_cast<uint32_t>(partition), 0, offset, size}, &head);
    offset += size;
  }
  return head;
}

absl::StatusOr<uint8_t> ReadOmModelType(std::string_view om) {
  ASSIGN_OR_RETURN(Header header, ReadHeader(om));
  return header.model_type;
}

absl::StatusOr<OmContainer> ParseOmContainer(std::string_view om) {
  ASSIGN_OR_RETURN(Header header, ReadHeader(om));
  OmContainer container;
  container.type = static_cast<OmModelType>(header.model_type);
  if (container.type != OmModelType::kSlice && container.type != OmModelType::kFlow) {
    return absl::UnimplementedError(absl::StrCat("the OM has model type ", header.model_type,
                                                 "; supported are 0 (model) and 3 (flow model)"));
  }
  if (header.version != kVersion || header.model_length == 0) {
    return absl::UnimplementedError(absl::StrCat("the OM has format version 0x", absl::Hex(header.version),
                                                 " or a 32-bit partition table; supported is 0x",
                                                 absl::Hex(kVersion), " with 64-bit tables"));
  }
  if (header.model_num != 1 || header.is_unknown_model != 0) {
    return absl::UnimplementedError(absl::StrCat("the OM holds ", header.model_num,
                                                 " models or dynamic shapes; supported is one static model"));
  }
  if (header.model_length != om.size() - kOmHeaderBytes) {
    return absl::DataLossError(absl::StrCat("the OM is cut off or damaged: its header states ",
                                            header.model_length, " bytes after byte ", kOmHeaderBytes,
                                            ", there are ", om.size() - kOmHeaderBytes));
  }
  container.name.assign(header.name, strnlen(header.name, sizeof(header.name)));

  if (om.size() < OmHeadBytes(0))
    return absl::DataLossError("the OM is cut off: it ends before its partition table");
  const TableHead table = ReadStruct<TableHead>(om, kOmHeaderBytes);
  const size_t most = container.type == OmModelType::kFlow ? kMaxFlowPartitions : kMaxPartitions;
  if (table.count == 0 || table.count > most || table.padding != 0 || OmHeadBytes(table.count) > om.size()) {
    return absl::DataLossError(absl::StrCat("the partition table at byte ", kOmHeaderBytes,
                                            " is damaged: it states ", table.count,
                                            " partitions; expected 1 to ", most));
  }
  uint64_t offset = OmHeadBytes(table.count);
  for (uint32_t i = 0; i < table.count; ++i) {
    const size_t at = OmHeadBytes(i);
    const TableEntry entry = ReadStruct<TableEntry>(om, at);
    const auto damaged = [&](absl::string_view why) {
      return absl::DataLossError(
          absl::StrCat("entry ", i, " of the partition table (byte ", at, ") is damaged: ", why));
    };
    if (entry.padding != 0) return damaged("its padding is not zero");
    if (entry.offset != offset - OmHeadBytes(table.count)) {
      return damaged(absl::StrCat("its offset is ", entry.offset,
                                  "; partitions lie back to back, so it must be ",
                                  offset - OmHeadBytes(table.count)));
    }
    if (entry.size > om.size() - offset) {
      return damaged(absl::StrCat("its size is ", entry.size, "; ", om.size() - offset, " bytes are left"));
    }
    container.partitions.push_back({static_cast<OmPartitionType>(entry.type), offset, entry.size});
    offset += entry.size;
  }
  if (offset != om.size()) {
    return absl::DataLossError(
        absl::StrCat("the partitions end at byte ", offset, ", the OM at byte ", om.size()));
  }
  return container;
}

}  // namespace omserve
