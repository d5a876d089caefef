// From what a package says of its operators to definitions as the registry holds them.
#ifndef OMSERVE_CORE_CUSTOM_PACKAGE_OPS_H_
#define OMSERVE_CORE_CUSTOM_PACKAGE_OPS_H_

#include <vector>

#include "absl/status/statusor.h"
#include "core/custom/include/omserve/custom_op.h"
#include "core/ops/packaged_ops.h"

namespace omserve {

// One per operator, in order; they call the package's functions, so it must live as long as the process.
// FAILED_PRECONDITION for another ABI version; INVALID_ARGUMENT, naming operator and part, for a malformed schema.
absl::StatusOr<std::vector<PackagedOp>> OpsOfPackage(const omserve_package& package);

}  // namespace omserve

#endif  // OMSERVE_CORE_CUSTOM_PACKAGE_OPS_H_
