// What a request must look like for a model. Pure.
#ifndef OMSERVE_DAEMON_COORDINATOR_SIGNATURE_H_
#define OMSERVE_DAEMON_COORDINATOR_SIGNATURE_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "core/om/model.h"
#include "daemon/coordinator/run.h"

namespace omserve {

// The inputs in the order of the model. INVALID_ARGUMENT names an input that is unknown, given twice, missing or of
// another type or shape, and says what is expected.
absl::StatusOr<std::vector<Tensor>> BindInputs(const ModelInfo& model, std::vector<NamedTensor> inputs);

// Indices of the outputs asked for; all when none are named. INVALID_ARGUMENT names one that is unknown or repeated.
absl::StatusOr<std::vector<int>> BindOutputs(const ModelInfo& model, const std::vector<std::string>& outputs);

}  // namespace omserve

#endif  // OMSERVE_DAEMON_COORDINATOR_SIGNATURE_H_
