// A reference interpreter for tests: every operator straight from its definition, in doubles. Slow, short,
// and independent of any device.
#ifndef OMSERVE_CORE_PASSES_TESTING_REFERENCE_H_
#define OMSERVE_CORE_PASSES_TESTING_REFERENCE_H_

#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "core/graph/graph.h"

namespace omserve {

// An EvaluateFunction. UNIMPLEMENTED for operators it does not know; the node must be inferred.
absl::StatusOr<std::vector<Tensor>> EvaluateReference(const Graph& graph, const Node& node,
                                                      absl::Span<const Tensor> inputs);

// The graph's outputs, in order, for inputs by name.
absl::StatusOr<std::vector<Tensor>> RunReference(const Graph& graph,
                                                 const std::map<std::string, Tensor>& inputs);

// The elements of any numeric tensor as doubles, and back.
std::vector<double> ToDoubles(const Tensor& tensor);
Tensor FromDoubles(const TensorDesc& desc, const std::vector<double>& values);

}  // namespace omserve

#endif  // OMSERVE_CORE_PASSES_TESTING_REFERENCE_H_
