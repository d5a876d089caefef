#include "core/ops/exchange_emit.h"

#include <limits>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/base/status.h"

namespace omserve {
namespace {

// Writes steps under the node's name.
class Steps {
 public:
  // Reduces along axes of input 0.
  Steps(EmitContext& context, const std::vector<int>& axes) : context_(context), axes_(axes.begin(), axes.end()) {
    for (int axis : axes) {
      count_ *= static_cast<double>(context.view().input_shape(0)[axis]);
      for (int factor : context.rule().inputs[0][axis]) factors_.push_back(factor);
    }
  }
  // Along axes of another view of it, in which these factors and so many elements lie.
  Steps(EmitContext& context, std::vector<int64_t> axes, std::vector<int> factors, double count)
      : context_(context), axes_(std::move(axes)), factors_(std::move(factors)), count_(count) {}

  absl::StatusOr<ValueId> Add(const char* type, const char* what, std::vector<ValueId> inputs, AttrMap attrs = {}) {
    return context_.Add(type, Name(what), std::move(inputs), std::move(attrs));
  }

  // As float32, in which all steps are taken.
  absl::StatusOr<ValueId> Widen(const char* what, ValueId x) { return To(DataType::kFloat, what, x); }
  absl::StatusOr<ValueId> To(DataType type, const char* what, ValueId x) {
    if (context_.slice().desc(x).type == type) return x;
    return Add("Cast", what, {x}, {{"dst_type", int64_t{ToAclNumber(type)}}});
  }
  // Output `i` of the node.
  absl::StatusOr<ValueId> Result(int i, ValueId x) {
    ASSIGN_OR_RETURN(x, To(context_.source().output(i).type, absl::StrCat("y", i, "_narrow").c_str(), x));
    const Shape shape = context_.LocalOutputShape(i);
    if (context_.slice().desc(x).shape == shape) return x;
    return Reshape(absl::StrCat("y", i).c_str(), x, shape);
  }
  absl::StatusOr<ValueId> Reshape(const char* what, ValueId x, const Shape& shape) {
    return Add("Reshape", what, {x, context_.Constant(Name(absl::StrCat(what, "_shape")), Tensor::Int64s(shape))},
               {{"allowzero", int64_t{1}}});
  }
  ValueId Scalar(const char* what, float value) { return context_.Constant(Name(what), Tensor::Scalar<float>(value)); }

  // ReduceSumD or ReduceMaxD along the axes, which stay with size 1, and over all parts.
  absl::StatusOr<ValueId> Reduce(const char* type, const std::string& reduction, const char* what, ValueId x) {
    ASSIGN_OR_RETURN(ValueId value,
                     Add(type, what, {x}, {{"axes", axes_}, {"keep_dims", true}}));
    for (int factor : factors_) {
      const std::string name = Name(absl::StrCat(what, "_of_all_", factor));
      ASSIGN_OR_RETURN(value, context_.AllReduce(factor, reduction, name, value));
    }
    return value;
  }

  // The sum over the axes divided by the number of elements of the whole.
  absl::StatusOr<ValueId> Mean(const char* what, ValueId x) {
    ASSIGN_OR_RETURN(const ValueId sum, Reduce("ReduceSumD", "sum", absl::StrCat(what, "_sum").c_str(), x));
    return Add("Muls", what, {sum}, {{"value", static_cast<float>(1 / count_)}});
  }

 private:
  std::string Name(absl::string_view what) const { return absl::StrCat(context_.source().name(), "/", what); }

  EmitContext& context_;
  const std::vector<int64_t> axes_;
  std::vector<int> factors_;
  double count_ = 1;
};

}  // namespace

bool ExchangesIn(DataType type) {
  return type == DataType::kFloat || type == DataType::kFloat16 || type == DataType::kBfloat16;
}

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
  ASSIGN_OR_RETURN(const ValueId x, steps.Widen("wide", context.local_inputs()[0]));
  ASSIGN_OR_RETURN(const ValueId max, steps.Reduce("ReduceMaxD", "max", "max", x));
  ASSIGN_OR_RETURN(const ValueId shifted, steps.Add("Sub", "shifted", {x, max}));
  ASSIGN_OR_RETURN(const ValueId exp, steps.Add("Exp", "exp", {shifted}));
  ASSIGN_OR_RETURN(const ValueId sum, steps.Reduce("ReduceSumD", "sum", "sum", exp));
  if (!log) {
    ASSIGN_OR_RETURN(ValueId y, steps.Add("RealDiv", "y", {exp, sum}));
    ASSIGN_OR_RETURN(y, steps.Result(0, y));
    return std::vector<ValueId>{y};
  }
  ASSIGN_OR_RETURN(const ValueId log_sum, steps.Add("Log", "log", {sum}));
  ASSIGN_OR_RETURN(ValueId y, steps.Add("Sub", "y", {shifted, log_sum}));
  ASSIGN_OR_RETURN(y, steps.Result(0, y));
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
  ASSIGN_OR_RETURN(x, steps.Widen("wide", x));
  ValueId added;
  if (node.is("AddRmsNorm")) {
    ASSIGN_OR_RETURN(const ValueId other, steps.Widen("wide_other", input(1)));
    ASSIGN_OR_RETURN(x, steps.Add("Add", "x", {x, other}));
    ASSIGN_OR_RETURN(added, steps.Result(2, x));
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
    ASSIGN_OR_RETURN(const ValueId scale, steps.Widen("gamma", input(gamma)));
    ASSIGN_OR_RETURN(y, steps.Add("Mul", "scaled", {y, scale}));
  }
  if (input(beta).valid()) {
    ASSIGN_OR_RETURN(const ValueId shift, steps.Widen("beta", input(beta)));
    ASSIGN_OR_RETURN(y, steps.Add("Add", "y", {y, shift}));
  }
  ASSIGN_OR_RETURN(y, steps.Result(0, y));
  if (node.is("RmsNorm")) return std::vector<ValueId>{y, rstd};
  if (node.is("AddRmsNorm")) return std::vector<ValueId>{y, rstd, added};
  return std::vector<ValueId>{y, mean, node.is("LayerNorm") ? variance : rstd};
}

absl::StatusOr<std::vector<ValueId>> EmitCutReduction(EmitContext& context, const std::vector<int>& axes,
                                                      CutReduction reduction) {
  Steps steps(context, axes);
  ASSIGN_OR_RETURN(ValueId x, steps.Widen("wide", context.local_inputs()[0]));
  ValueId max;
  switch (reduction) {
    case CutReduction::kLogSum: break;
    case CutReduction::kLogSumExp: {
      ASSIGN_OR_RETURN(max, steps.Reduce("ReduceMaxD", "max", "max", x));
      // From an infinite maximum on, differences would not be numbers.
      const float most = std::numeric_limits<float>::max();
      const ValueId low = steps.Scalar("least", -most), high = steps.Scalar("most", most);
      ASSIGN_OR_RETURN(max, steps.Add("ClipByValue", "finite", {max, low, high}));
      ASSIGN_OR_RETURN(x, steps.Add("Sub", "shifted", {x, max}));
      ASSIGN_OR_RETURN(x, steps.Add("Exp", "exp", {x}));
      break;
    }
    case CutReduction::kSumAbs: {
      ASSIGN_OR_RETURN(x, steps.Add("Abs", "abs", {x}));
      break;
    }
    case CutReduction::kRootOfSquares: {
      ASSIGN_OR_RETURN(x, steps.Add("Square", "squares", {x}));
      break;
    }
  }
  ASSIGN_OR_RETURN(ValueId y, steps.Reduce("ReduceSumD", "sum", "sum", x));
  if (reduction == CutReduction::kRootOfSquares) {
    ASSIGN_OR_RETURN(y, steps.Add("Sqrt", "root", {y}));
  } else if (reduction != CutReduction::kSumAbs) {
    ASSIGN_OR_RETURN(y, steps.Add("Log", "log", {y}));
  }
  if (max.valid()) {
    ASSIGN_OR_RETURN(y, steps.Add("Add", "back", {y, max}));
  }
  ASSIGN_OR_RETURN(y, steps.Result(0, y));
  return std::vector<ValueId>{y};
}

absl::StatusOr<std::vector<ValueId>> EmitCutGroupNorm(EmitContext& context, int64_t groups, float epsilon) {
  // [N, C, spatial…] as [N, groups, channels of a group, spatial…].
  const Shape local = context.slice().desc(context.local_inputs()[0]).shape;
  const Shape& whole = context.view().input_shape(0);
  Shape grouped{local[0], groups, local[1] / groups};
  Shape per_channel{1, groups, local[1] / groups};
  std::vector<int64_t> axes{2};
  std::vector<int> factors;
  double count = static_cast<double>(grouped[2]);
  for (size_t d = 2; d < local.size(); ++d) {
    grouped.push_back(local[d]);
    per_channel.push_back(1);
    axes.push_back(static_cast<int64_t>(d) + 1);
    count *= static_cast<double>(whole[d]);
    for (int factor : context.rule().inputs[0][d]) factors.push_back(factor);
  }
  Steps steps(context, std::move(axes), std::move(factors), count);
  ASSIGN_OR_RETURN(ValueId x, steps.Widen("wide", context.local_inputs()[0]));
  ASSIGN_OR_RETURN(x, steps.Reshape("grouped", x, grouped));
  ASSIGN_OR_RETURN(const ValueId mean, steps.Mean("mean", x));
  ASSIGN_OR_RETURN(const ValueId centered, steps.Add("Sub", "centered", {x, mean}));
  ASSIGN_OR_RETURN(const ValueId squares, steps.Add("Mul", "squares", {centered, centered}));
  ASSIGN_OR_RETURN(const ValueId variance, steps.Mean("variance", squares));
  ASSIGN_OR_RETURN(const ValueId above, steps.Add("Adds", "above_zero", {variance}, {{"value", epsilon}}));
  ASSIGN_OR_RETURN(const ValueId rstd, steps.Add("Rsqrt", "rstd", {above}));
  ASSIGN_OR_RETURN(ValueId y, steps.Add("Mul", "normal", {centered, rstd}));
  ASSIGN_OR_RETURN(ValueId gamma, steps.Widen("gamma", context.local_inputs()[1]));
  ASSIGN_OR_RETURN(gamma, steps.Reshape("gamma_per_channel", gamma, per_channel));
  ASSIGN_OR_RETURN(y, steps.Add("Mul", "scaled", {y, gamma}));
  ASSIGN_OR_RETURN(ValueId beta, steps.Widen("beta", context.local_inputs()[2]));
  ASSIGN_OR_RETURN(beta, steps.Reshape("beta_per_channel", beta, per_channel));
  ASSIGN_OR_RETURN(y, steps.Add("Add", "y", {y, beta}));
  std::vector<ValueId> results{y, mean, variance};
  for (int i = 0; i < 3; ++i) {
    ASSIGN_OR_RETURN(results[static_cast<size_t>(i)], steps.Result(i, results[static_cast<size_t>(i)]));
  }
  return results;
}

}  // namespace omserve
