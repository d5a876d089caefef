// Softmax, layer normalisation and reductions along axes that are cut, as the steps between which the parts exchange
// what they need. Types shorter than float32 are widened on the way in and narrowed on the way out.
#ifndef OMSERVE_CORE_OPS_EXCHANGE_EMIT_H_
#define OMSERVE_CORE_OPS_EXCHANGE_EMIT_H_

#include <vector>

#include "absl/status/statusor.h"
#include "core/ops/emit.h"

namespace omserve {

// Whether the steps are exact enough for the type: their constants are float32.
bool ExchangesIn(DataType type);

// True when a factor of one of these axes of input 0 is cut.
bool CutAlong(const EmitContext& context, const std::vector<int>& axes);

// Two all-reduces: the maximum, and the sum of exponentials.
absl::StatusOr<std::vector<ValueId>> EmitCutSoftmax(EmitContext& context, const std::vector<int>& axes, bool log);

// Outputs as LayerNorm, LayerNormV3, LayerNormV4, RmsNorm or AddRmsNorm, whichever the node is. Two all-reduces, the
// mean and the mean square deviation (one after the other: the difference of two large sums would lose what is wanted);
// one for RmsNorm. `gamma`, `beta`: inputs, -1 for none.
absl::StatusOr<std::vector<ValueId>> EmitCutLayerNorm(EmitContext& context, const std::vector<int>& axes, int gamma,
                                                      int beta);

// Group normalisation of images of which height or width is cut, with `groups` of the channels here (instance
// normalisation: as many as channels): mean and mean square deviation, and outputs as GroupNorm.
absl::StatusOr<std::vector<ValueId>> EmitCutGroupNorm(EmitContext& context, int64_t groups, float epsilon);

// One all-reduce, of a maximum first for kLogSumExp.
enum class CutReduction {
  kLogSum,     // log(sum(x))
  kLogSumExp,  // log(sum(exp(x)))
  kSumAbs,
  kRootOfSquares,
};
absl::StatusOr<std::vector<ValueId>> EmitCutReduction(EmitContext& context, const std::vector<int>& axes,
                                                      CutReduction reduction);

}  // namespace omserve

#endif  // OMSERVE_CORE_OPS_EXCHANGE_EMIT_H_
