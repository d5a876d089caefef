#include "core/ops/exchange_emit.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/base/status.h"

namespace omserve {
namespace {

// Writes steps under the node's name.
class Steps {
 public:
  Steps(EmitContext& context, const std::vector<int>& axes) : context_(context), axes_(axes) {}

  absl::StatusOr<ValueId> Add(const char* type, const char* what, std::vector<ValueId> inputs, AttrMap attrs = {}) {
    return context_.Add(type, Name(what), std::move(inputs), std::move(attrs));
  }

  // ReduceSumD or ReduceMaxD along the axes, which stay with size 1, and over all parts.
  absl::StatusOr<ValueId> Reduce(const char* type, const std::string& reduction, const char* what, ValueId x) {
    ASSIGN_OR_RETURN(ValueId value,
                     Add(type, what, {x},
                         {{"axes", std::vector<int64_t>(axes_.begin(), axes_.end())}, {"keep_dims", true}}));
    for (int axis : axes_) {
      for (int factor : context_.rule().inputs[0][axis]) {
        ASSIGN_OR_RETURN(value, context_.AllReduce(factor, reduction, Name(absl::StrCat(what, "_of_all_", axis)), value));
      }
    }
    return value;
  }

  // The sum over the axes divided by the number of elements of the whole.
  absl::StatusOr<ValueId> Mean(const char* what, ValueId x) {
    ASSIGN_OR_RETURN(const ValueId sum, Reduce("ReduceSumD", "sum", absl::StrCat(what, "_sum").c_str(), x));
    double count = 1;
    for (int axis : axes_) count *= static_cast<double>(context_.view().input_shape(0)[axis]);
    return Add("Muls", what, {sum}, {{"value", static_cast<float>(1 / count)}});
  }

 private:
  std::string Name(absl::string_view what) const { return absl::StrCat(context_.source().name(), "/", what); }

  EmitContext& context_;
  const std::vector<int>& axes_;
};

}  // namespace

bool CutAlong(const EmitContext& context, const std::vector<int>& axes) {
  for (int axis : axes) {
    for (int factor : context.rule().inputs[0][axis]) {
      if (context.factor_parts(factor) > 1) return true;
    }
  }
  return false;
}

absl::StatusOr<std::vector<ValueId>> EmitCutSoftmax(EmitContext& context, const std::vector<int>& axes, bool log) {
  Steps steps(context, axes);
  const ValueId x = context.local_inputs()[0];
  ASSIGN_OR_RETURN(const ValueId max, steps.Reduce("ReduceMaxD", "max", "max", x));
  ASSIGN_OR_RETURN(const ValueId shifted, steps.Add("Sub", "shifted", {x, max}));
  ASSIGN_OR_RETURN(const ValueId exp, steps.Add("Exp", "exp", {shifted}));
  ASSIGN_OR_RETURN(const ValueId sum, steps.Reduce("ReduceSumD", "sum", "sum", exp));
  if (!log) {
    ASSIGN_OR_RETURN(const ValueId y, steps.Add("RealDiv", "y", {exp, sum}));
    return std::vector<ValueId>{y};
  }
  ASSIGN_OR_RETURN(const ValueId log_sum, steps.Add("Log", "log", {sum}));
  ASSIGN_OR_RETURN(const ValueId y, steps.Add("Sub", "y", {shifted, log_sum}));
  return std::vector<ValueId>{y};
}

absl::StatusOr<std::vector<ValueId>> EmitCutLayerNorm(EmitContext& context, const std::vector<int>& axes, int gamma,
                                                      int beta) {
  Steps steps(context, axes);
  const Node& node = context.source();
  const auto input = [&](int i) {
    return i >= 0 && i < static_cast<int>(context.local_inputs().size()) ? context.local_inputs()[i] : ValueId{};
  };
  const bool rms = node.is("RmsNorm") || node.is("AddRmsNorm");
  ValueId x = input(0);
  if (node.is("AddRmsNorm")) {
    ASSIGN_OR_RETURN(x, steps.Add("Add", "x", {x, input(1)}));
  }
  ValueId mean, centered = x;
  if (!rms) {
    ASSIGN_OR_RETURN(mean, steps.Mean("mean", x));
    ASSIGN_OR_RETURN(centered, steps.Add("Sub", "centered", {x, mean}));
  }
  ASSIGN_OR_RETURN(const ValueId squares, steps.Add("Mul", "squares", {centered, centered}));
  ASSIGN_OR_RETURN(const ValueId variance, steps.Mean("variance", squares));
  const float epsilon = context.view().Attr<float>("epsilon");
  ASSIGN_OR_RETURN(const ValueId above, steps.Add("Adds", "above_zero", {variance}, {{"value", epsilon}}));
  ASSIGN_OR_RETURN(const ValueId rstd, steps.Add("Rsqrt", "rstd", {above}));
  ASSIGN_OR_RETURN(ValueId y, steps.Add("Mul", "normal", {centered, rstd}));
  if (input(gamma).valid()) {
    ASSIGN_OR_RETURN(y, steps.Add("Mul", "scaled", {y, input(gamma)}));
  }
  if (input(beta).valid()) {
    ASSIGN_OR_RETURN(y, steps.Add("Add", "y", {y, input(beta)}));
  }
  if (node.is("RmsNorm")) return std::vector<ValueId>{y, rstd};
  if (node.is("AddRmsNorm")) return std::vector<ValueId>{y, rstd, x};
  return std::vector<ValueId>{y, mean, node.is("LayerNorm") ? variance : rstd};
}

}  // namespace omserve
