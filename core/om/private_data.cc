#include "core/om/private_data.h"

#include "core/base/json.h"
#include "core/base/sha256.h"
#include "core/base/status.h"
#include "core/om/wire.h"
#include "nlohmann/json.hpp"

namespace omserve {
namespace {

constexpr uint32_t kModelAttrField = 11;   // ModelDef.attr
constexpr uint32_t kStringValueField = 2;  // AttrDef.s
constexpr uint32_t kExtAttrsField = 7;     // SubmodelDef.ext_attrs

// An entry of ModelDef.attr with a string value.
std::string ModelAttrEntry(std::string_view key, std::string_view value) {
  std::string attr, entry;
  AppendField(kStringValueField, value, &attr);
  AppendMapEntry(kModelAttrField, key, attr, &entry);
  return entry;
}

template <typename MakeEntry>
std::string Padding(uint64_t position, uint64_t after, uint64_t alignment, MakeEntry make_entry) {
  if ((position + after) % alignment == 0) return "";
  // The sizes of the lengths inside vary, so a size can be skipped; a few rounds through all remainders
  // always hit.
  for (size_t blanks = 0;; ++blanks) {
    std::string entry = make_entry(std::string(blanks, ' '));
    if ((position + entry.size() + after) % alignment == 0) return entry;
  }
}

}  // namespace

std::string SliceSealToJson(const SliceSeal& seal) {
  return nlohmann::ordered_json{{"sha256", seal.digest}, {"size", seal.size}}.dump();
}

absl::StatusOr<SliceSeal> SliceSealFromJson(std::string_view text) {
  ASSIGN_OR_RETURN(JsonDocument document,
                   JsonDocument::Parse(absl::string_view(text.data(), text.size()), kSliceKey));
  RETURN_IF_ERROR(document.root().CheckFields({"sha256", "size"}));
  SliceSeal seal;
  ASSIGN_OR_RETURN(seal.digest, document.root().Field("sha256").String());
  if (!Sha256::IsDigest(seal.digest)) {
    return document.root().Field("sha256").Error("expected 64 lower-case hexadecimal characters");
  }
  ASSIGN_OR_RETURN(int64_t size, document.root().Field("size").IntInRange(0, INT64_MAX));
  seal.size = static_cast<uint64_t>(size);
  return seal;
}

std::string DigestEntry(std::string_view digest) { return ModelAttrEntry(kDigestAttr, digest); }

std::string BlankDigest() { return std::string(kDigestBytes, '0'); }

bool FindDigest(std::string_view model_def, std::string* digest, size_t* offset) {
  const std::string blank = DigestEntry(BlankDigest());
  if (model_def.size() < blank.size()) return false;
  // The value ends the entry, so all before the digest must be as it is written.
  const std::string_view entry = model_def.substr(model_def.size() - blank.size());
  const size_t head = blank.size() - kDigestBytes;
  if (entry.substr(0, head) != std::string_view(blank).substr(0, head)) return false;
  *digest = std::string(entry.substr(head));
  *offset = model_def.size() - kDigestBytes;
  return true;
}

std::string ModelPadding(uint64_t position, uint64_t after, uint64_t alignment) {
  return Padding(position, after, alignment,
                 [](const std::string& blanks) { return ModelAttrEntry(kPaddingAttr, blanks); });
}

std::string SubmodelPadding(uint64_t position, uint64_t after, uint64_t alignment) {
  return Padding(position, after, alignment, [](const std::string& blanks) {
    std::string entry;
    AppendMapEntry(kExtAttrsField, kPaddingKey, blanks, &entry);
    return entry;
  });
}

}  // namespace omserve
