// The table of ONNX operators: which converter serves which operator in which opsets.
#ifndef OMSERVE_CORE_IMPORT_ONNX_CONVERTER_H_
#define OMSERVE_CORE_IMPORT_ONNX_CONVERTER_H_

#include <limits>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "core/import/onnx/conversion.h"
#include "core/ops/packaged_ops.h"

namespace omserve {

inline constexpr int kOldestOpset = 7;
inline constexpr int kNewestOpset = 23;
inline constexpr int kAnyNumber = std::numeric_limits<int>::max();

struct Converter {
  const char* op_type;
  // First and last opset of the form that `convert` understands.
  int since;
  int until;
  int min_inputs;
  int max_inputs;
  absl::Status (*convert)(Conversion&);
  // The Ascend type, for converters that serve several operators.
  const char* target = "";
};

// One list per family; an operator may have several entries with disjoint opsets.
absl::Span<const Converter> ElementwiseConverters();
absl::Span<const Converter> ActivationConverters();
absl::Span<const Converter> MatrixConverters();
absl::Span<const Converter> NormConverters();
absl::Span<const Converter> ConvConverters();
absl::Span<const Converter> PoolConverters();
absl::Span<const Converter> ReduceConverters();
absl::Span<const Converter> ShapeConverters();
absl::Span<const Converter> SliceConverters();
absl::Span<const Converter> GatherConverters();
absl::Span<const Converter> ResizeConverters();
absl::Span<const Converter> CreationConverters();

// A node that stands for a package's operator, whose schema says all: inputs by position, attributes by name.
absl::Status ConvertCustom(Conversion& c, const PackagedOp& op);

// UNIMPLEMENTED naming operator, domain and opset, and the opsets that are supported if there are any.
absl::StatusOr<const Converter*> FindConverter(const std::string& domain, const std::string& op_type, int opset);

}  // namespace omserve

#endif  // OMSERVE_CORE_IMPORT_ONNX_CONVERTER_H_
