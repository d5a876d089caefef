// Our own data inside an OM, and where it is: model attributes with the prefix "_omserve_" and entries of
// SubmodelDef.ext_attrs with the prefix "omserve.", places that readers of the format skip
// (docs/om_format.md).
#ifndef OMSERVE_CORE_OM_PRIVATE_DATA_H_
#define OMSERVE_CORE_OM_PRIVATE_DATA_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace omserve {

// Attributes of the root ModelDef.
inline constexpr char kFormatAttr[] =
    "_omserve_format";                                  // version of our own data; readers refuse newer ones
inline constexpr char kModelAttr[] = "_omserve_model";  // ModelInfo as JSON
inline constexpr char kDigestAttr[] = "_omserve_digest";  // of the frame, see below
inline constexpr int64_t kFormatVersion = 1;

// Of a slice's ModelDef: blanks that bring WEIGHTS_DATA to an aligned offset.
inline constexpr char kPaddingAttr[] = "_omserve_padding";

// Keys of SubmodelDef.ext_attrs: SliceSeal as JSON, and blanks that bring om_data to an aligned offset.
inline constexpr char kSliceKey[] = "omserve.slice";
inline constexpr char kPaddingKey[] = "omserve.padding";

// What the cluster OM states about one nested OM. The JSON has the same length for all digests.
struct SliceSeal {
  std::string digest;  // sha-256 of the nested OM
  uint64_t size = 0;   // of the nested OM
};
std::string SliceSealToJson(const SliceSeal& seal);
absl::StatusOr<SliceSeal> SliceSealFromJson(std::string_view text);

// The frame is all of a cluster OM but the nested OMs. Its digest is sha-256 over its bytes in order, the 64
// characters of the digest itself taken as '0'. Since the frame holds the digests of the nested OMs, it names
// the whole model. The digest is the last entry of the root ModelDef, so its place follows from the end of
// that partition.
std::string DigestEntry(std::string_view digest);
inline constexpr size_t kDigestBytes = 64;
std::string BlankDigest();
// The digest stated at the end of a serialised ModelDef, and its offset there; false when the entry is not
// there.
bool FindDigest(std::string_view model_def, std::string* digest, size_t* offset);

// A map entry with blanks (of ModelDef.attr, of SubmodelDef.ext_attrs) such that position + its size + after
// is a multiple of `alignment`; empty when nothing is missing.
std::string ModelPadding(uint64_t position, uint64_t after, uint64_t alignment);
std::string SubmodelPadding(uint64_t position, uint64_t after, uint64_t alignment);

}  // namespace omserve

#endif  // OMSERVE_CORE_OM_PRIVATE_DATA_H_
