// Building a model that comes already cut: slices with their own communication operators, and a relation file.
#ifndef OMSERVE_CORE_BUILD_SLICES_H_
#define OMSERVE_CORE_BUILD_SLICES_H_

#include <functional>

#include "absl/status/statusor.h"
#include "core/base/deadline.h"
#include "core/build/build.h"
#include "core/om/model.h"

namespace omserve {

// Builds what `options.slices` names. What does not fit together (docs/slices.md lists it) is refused with one error
// that begins with a code of CANN's tables and names slice, operator and value.
absl::StatusOr<SlicedModel> BuildSlices(const BuildOptions& options,
                                        const std::function<void(const BuildProgress&)>& progress,
                                        const WaitLimit& limit);

}  // namespace omserve

#endif  // OMSERVE_CORE_BUILD_SLICES_H_
