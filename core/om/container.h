// The OM container: a 256-byte header, a table of partitions, the partitions back to back. Layout:
// docs/om_format.md.
#ifndef OMSERVE_CORE_OM_CONTAINER_H_
#define OMSERVE_CORE_OM_CONTAINER_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"

namespace omserve {

inline constexpr size_t kOmHeaderBytes = 256;

enum class OmModelType : uint8_t {
  kSlice = 0,  // an ordinary model
  kFlow = 3,   // a model made of submodels
};

enum class OmPartitionType : uint32_t {
  kModelDef = 0,
  kWeightsData = 1,
  kTaskInfo = 2,
  kFlowModel = 6,
  kFlowSubmodel = 7,
  kModelInOutInfo = 8,
};

struct OmPartition {
  OmPartitionType type;
  uint64_t offset = 0;  // from the start of the OM
  uint64_t size = 0;
};

struct OmContainer {
  OmModelType type = OmModelType::kSlice;
  std::string name;
  std::vector<OmPartition> partitions;

  // The first of this type, or null.
  const OmPartition* Find(OmPartitionType type) const;
};

// "MODEL_DEF", or the number of a type that this project does not use.
std::string ToString(OmPartitionType type);

// Bytes of header and table of an OM with `count` partitions: where the first partition begins.
constexpr uint64_t OmHeadBytes(size_t count) { return kOmHeaderBytes + 8 + 24 * uint64_t{count}; }

// Header and table of an OM whose partitions follow in this order.
std::string EncodeOmHead(OmModelType type, std::string_view name,
                         const std::vector<std::pair<OmPartitionType, uint64_t>>& partitions);

// The model type, before anything else is looked at. DATA_LOSS when this is no OM (names the offset),
// UNIMPLEMENTED for a newer version of the format or an encrypted file.
absl::StatusOr<uint8_t> ReadOmModelType(std::string_view om);

// Checks the header and the table of a whole OM. As ReadOmModelType, DATA_LOSS for sizes that do not fit, and
// UNIMPLEMENTED for an OM of several models.
absl::StatusOr<OmContainer> ParseOmContainer(std::string_view om);

}  // namespace omserve

#endif  // OMSERVE_CORE_OM_CONTAINER_H_
