#include "core/import/onnx/converter.h"

#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"

namespace omserve {
namespace {

using Table = absl::flat_hash_map<std::string, std::vector<const Converter*>>;

const Table& ConverterTable() {
  static const Table* const table = [] {
    auto* made = new Table;
    for (absl::Span<const Converter> family :
         {ElementwiseConverters(), ActivationConverters(), MatrixConverters(), NormConverters(), ConvConverters(),
          PoolConverters(), ReduceConverters(), ShapeConverters(), SliceConverters(), GatherConverters(),
          ResizeConverters(), CreationConverters()}) {
      for (const Converter& converter : family) (*made)[converter.op_type].push_back(&converter);
    }
    return made;
  }();
  return *table;
}

}  // namespace

absl::StatusOr<const Converter*> FindConverter(const std::string& domain, const std::string& op_type, int opset) {
  std::string known;
  const bool built_in = domain.empty() || domain == "ai.onnx";
  if (built_in) {
    auto it = ConverterTable().find(op_type);
    if (it != ConverterTable().end()) {
      for (const Converter* converter : it->second) {
        if (opset >= converter->since && opset <= converter->until) return converter;
        absl::StrAppend(&known, known.empty() ? "; it is in opsets " : ", ", converter->since, " to ",
                        converter->until);
      }
    }
  }
  return absl::UnimplementedError(absl::StrCat("operator '", op_type, "' of domain '",
                                               domain.empty() ? "ai.onnx" : domain, "', opset ", opset,
                                               ", is not supported", known,
                                               built_in ? "" : "; no package of custom operators here has it"));
}

}  // namespace omserve
