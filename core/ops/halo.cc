#include "core/ops/halo.h"

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "core/base/status.h"

namespace omserve {
namespace {

// More devices than share one image.
constexpr int64_t kMostParts = 4096;

// How many rows of the part before, and of the part after, windows of a part reach into.
struct Reach {
  int64_t before = 0;
  int64_t after = 0;
};

Reach ReachOf(const Window& window) {
  return {window.pad_begin, std::max<int64_t>(0, window.reach() - window.stride - window.pad_begin)};
}

// A number of equal parts that is possible, and with it all its divisors: of such numbers, the one with most of them.
int64_t MostParts(const Window& window, int64_t in, int64_t out, bool rounds_up) {
  const Reach reach = ReachOf(window);
  // Rows at the end of a part that none of its windows reaches would become a position of their own.
  if (rounds_up && window.reach() < window.stride + window.pad_begin) return 1;
  // A window that lies in the padding, or hangs over it (ceil_mode), is counted differently at an inner border.
  const bool regular = window.pad_begin < window.reach() && reach.after <= window.pad_end;
  if (out <= 0 || in != out * window.stride || !regular) return 1;
  const int64_t least = std::max<int64_t>({1, reach.before, reach.after});
  int64_t best = 1;
  int most = 1;
  for (int64_t parts = 2; parts <= std::min({out, in / least, kMostParts}); ++parts) {
    if (out % parts != 0) continue;
    int divisors = 0;
    for (int64_t divisor = 1; divisor <= parts; ++divisor) divisors += parts % divisor == 0;
    if (divisors <= most) continue;
    most = divisors;
    best = parts;
  }
  return best;
}

// Rows [begin, begin + count) of a dimension.
absl::StatusOr<ValueId> Rows(EmitContext& context, const std::string& name, ValueId x, int dim, int64_t begin,
                             int64_t count) {
  Shape size = context.slice().desc(x).shape;
  std::vector<int64_t> offsets(size.size(), 0);
  offsets[dim] = begin;
  size[dim] = count;
  return context.Add("Slice", name,
                     {x, context.Constant(name + "_offsets", Tensor::Int64s(offsets)),
                      context.Constant(name + "_size", Tensor::Int64s(size))});
}

absl::StatusOr<ValueId> Join(EmitContext& context, const std::string& name, const std::vector<ValueId>& parts,
                             int dim) {
  if (parts.size() == 1) return parts[0];
  return context.Add("ConcatD", name, parts,
                     {{"concat_dim", int64_t{dim}}, {"N", static_cast<int64_t>(parts.size())}});
}

}  // namespace

void AddWindowDim(const NodeView& view, const Window& window, int input, int dim, RuleBuilder& rule,
                  bool rounds_up) {
  const int64_t in = view.input_shape(input)[dim], out = view.output().shape[dim];
  const int64_t parts = MostParts(window, in, out, rounds_up);
  if (parts == 1) return;
  const int factor = rule.Add(parts, FactorKind::kParallel, absl::StrCat("dim", dim));
  rule.Input(input, dim, factor).Output(0, dim, factor);
  rule.Input(input, dim, rule.Add(in / parts, FactorKind::kWhole, absl::StrCat("rows", dim)));
  rule.Output(0, dim, rule.Add(out / parts, FactorKind::kWhole, absl::StrCat("positions", dim)));
}

absl::StatusOr<ValueId> ExchangeHalo(EmitContext& context, int input, int dim, ValueId x, Window* window) {
  const DimFactors& factors = context.rule().inputs[input][dim];
  const int factor = factors.empty() ? -1 : factors[0];
  const int64_t parts = factor < 0 ? 1 : context.factor_parts(factor);
  if (parts == 1) return x;
  const int64_t index = context.factor_index(factor), rows = context.slice().desc(x).shape[dim];
  const Reach reach = ReachOf(*window);
  const bool first = index == 0, last = index + 1 == parts;
  window->pad_begin = first ? reach.before : 0;
  window->pad_end = last ? reach.after : 0;
  const int64_t slice = reach.before + reach.after;
  if (slice == 0) return x;
  const std::string prefix = absl::StrCat(context.source().name(), "/dim", dim, "_");
  // What the part after reaches into comes last, as it lies in the image.
  std::vector<ValueId> own;
  if (reach.after > 0) {
    ASSIGN_OR_RETURN(own.emplace_back(), Rows(context, prefix + "for_before", x, dim, 0, reach.after));
  }
  if (reach.before > 0) {
    ASSIGN_OR_RETURN(own.emplace_back(),
                     Rows(context, prefix + "for_after", x, dim, rows - reach.before, reach.before));
  }
  ASSIGN_OR_RETURN(ValueId borders, Join(context, prefix + "border", own, dim));
  ASSIGN_OR_RETURN(borders, context.AllGather(factor, dim, prefix + "borders", borders));
  std::vector<ValueId> extended;
  if (!first && reach.before > 0) {
    ASSIGN_OR_RETURN(extended.emplace_back(), Rows(context, prefix + "before", borders, dim,
                                                   (index - 1) * slice + reach.after, reach.before));
  }
  extended.push_back(x);
  if (!last && reach.after > 0) {
    ASSIGN_OR_RETURN(extended.emplace_back(),
                     Rows(context, prefix + "after", borders, dim, (index + 1) * slice, reach.after));
  }
  return Join(context, prefix + "extended", extended, dim);
}

}  // namespace omserve
