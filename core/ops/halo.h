// Images cut along their height or width: each part's windows reach into the rows of its neighbours, which the parts
// exchange.
//
// Every part hands out its outermost rows in one all-gather of thin slices over all parts of the dimension, and takes
// from it those of its two neighbours. That moves more than messages between neighbours would, but a few rows are
// little, and all devices meet in it at once, so nothing can wait in a circle. Padding is added at the outer borders
// alone.
#ifndef OMSERVE_CORE_OPS_HALO_H_
#define OMSERVE_CORE_OPS_HALO_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "core/ops/emit.h"
#include "core/ops/rule_util.h"
#include "core/ops/window.h"

namespace omserve {

// Adds dimension `dim` of input `input` and of output 0, along which `window` moves. It can be cut into equal parts
// when each has as many rows per position as the window advances (so the image is `stride` times as high as its output)
// and no window reaches further than into the next part; else it is whole. `rounds_up`: as WindowPositions with
// ceil_mode.
void AddWindowDim(const NodeView& view, const Window& window, int input, int dim, RuleBuilder& rule,
                  bool rounds_up = false);

// Input `input` with the rows that this part needs of its neighbours, along a dimension of AddWindowDim. `window` gets
// the padding that is left to add: all of it when the dimension is not cut.
absl::StatusOr<ValueId> ExchangeHalo(EmitContext& context, int input, int dim, ValueId x, Window* window);

}  // namespace omserve

#endif  // OMSERVE_CORE_OPS_HALO_H_
