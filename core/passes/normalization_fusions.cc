// LayerNormV4, RmsNorm and SoftmaxV2 from the operators that exporters write for them. The graph is
// simplified: constants come second, x*x is Square, 1/Sqrt is Rsqrt, axes are sorted and counted from the
// front.
#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "core/base/status.h"
#include "core/passes/constants.h"
#include "core/passes/rules.h"

namespace omserve {
namespace {

// The axes of a reduction that keeps dimensions; absent for any other node.
std::optional<std::vector<int64_t>> KeptAxes(const Rewriter& rewriter, const Node* reduce) {
  if (reduce == nullptr || !reduce->AttrOr<bool>("keep_dims", false)) return std::nullopt;
  return ConstantInts(rewriter.graph(), reduce->input(1));
}

// How many dimensions at the end of its input a ReduceMean with keep_dims reduces; 0 when it is not of that
// form.
size_t TrailingDims(const Rewriter& rewriter, const Node* mean) {
  const std::optional<std::vector<int64_t>> axes = KeptAxes(rewriter, mean);
  if (!axes || axes->empty()) return 0;
  const size_t rank = rewriter.shape(mean->input(0)).size();
  for (size_t i = 0; i < axes->size(); ++i) {
    if (axes->size() > rank || (*axes)[i] != static_cast<int64_t>(rank - axes->size() + i)) return 0;
  }
  return axes->size();
}

// value / sqrt(mean(value²) + epsilon), the common core.
struct Normalized {
  ValueId value;
  size_t dims = 0;  // normalised dimensions at the end
  float epsilon = 0;
  Node* squared = nullptr;      // Square(value), or SquaredDifference(x, mean)
  std::vector<Node*> interior;  // nodes between value and the root
};

std::optional<Normalized> MatchNormalized(Rewriter& rewriter, Node& root) {
  for (int i : {1, 0}) {
    Node* scale = rewriter.Producer(root.input(i), root.is("Mul") ? "Rsqrt" : "Sqrt");
    if (scale == nullptr || (root.is("RealDiv") && i == 0)) continue;
    Node* sum = rewriter.Producer(scale->input(0), "Add");
    if (sum == nullptr) continue;
    const std::optional<double> epsilon = UniformValue(rewriter.graph(), sum->input(1));
    Node* mean = rewriter.Producer(sum->input(0), "ReduceMean");
    const size_t dims = TrailingDims(rewriter, mean);
    if (!epsilon || *epsilon < 0 || dims == 0 || sum->output() != mean->output()) continue;
    Normalized match{root.input(1 - i), dims, static_cast<float>(*epsilon), nullptr, {scale, sum, mean}};
    if (rewriter.desc(match.value) != root.output()) continue;
    for (const char* type : {"Square", "SquaredDifference"}) {
      if (Node* squared = rewriter.Producer(mean->input(0), type)) match.squared = squared;
    }
    if (match.squared == nullptr || match.squared->output() != root.output()) continue;
    match.interior.push_back(match.squared);
    return match;
  }
  return std::nullopt;
}

// The only reader of `node`, if it combines it by `type` with a constant over the last `dims` dimensions.
Node* ConstantReader(Rewriter& rewriter, const Node& node, const char* type, size_t dims) {
  Node* reader = rewriter.OnlyReader(node.out());
  if (reader == nullptr || !reader->is(type) || reader->input(0) != node.out() ||
      reader->output() != node.output() || rewriter.graph().ConstantOf(reader->input(1)) == nullptr) {
    return nullptr;
  }
  Shape shape = rewriter.shape(reader->input(1));
  const Shape& full = node.output().shape;
  while (shape.size() > dims && shape.front() == 1) shape.erase(shape.begin());
  return shape.size() == dims && std::equal(shape.begin(), shape.end(), full.end() - dims) ? reader : nullptr;
}

// The constant read by `reader` with the shape [last `dims` dimensions].
absl::StatusOr<ValueId> Parameter(Rewriter& rewriter, const Node& reader, size_t dims) {
  const ValueId value = reader.input(1);
  const Shape& full = reader.output().shape;
  const Shape shape(full.end() - dims, full.end());
  if (rewriter.shape(value) == shape) return value;
  const ValueId constant = rewriter.AddConstant(absl::StrCat(reader.name(), "/shape"), Tensor::Int64s(shape));
  return rewriter.Add("Reshape", absl::StrCat(reader.name(), "/parameter"), {value, constant});
}

// When `match.value` is x - mean(x): x, and the nodes in between are added to the match. Absent else.
std::optional<ValueId> MatchCentered(Rewriter& rewriter, Normalized& match) {
  Node* centered = rewriter.Producer(match.value, "Sub");
  if (centered == nullptr) return std::nullopt;
  const ValueId x = centered->input(0);
  Node* mean = rewriter.Producer(centered->input(1), "ReduceMean");
  if (TrailingDims(rewriter, mean) != match.dims || mean->input(0) != x ||
      rewriter.desc(x) != centered->output()) {
    return std::nullopt;
  }
  const bool difference = match.squared->is("SquaredDifference") && match.squared->input(0) == x &&
                          match.squared->input(1) == mean->out();
  if (!difference && !(match.squared->is("Square") && match.squared->input(0) == match.value))
    return std::nullopt;
  match.interior.push_back(centered);
  match.interior.push_back(mean);
  return x;
}

// (x - mean(x)) / sqrt(variance(x) + epsilon) [* gamma [+ beta]] → LayerNormV4.
absl::StatusOr<bool> FuseLayerNorm(Rewriter& rewriter, Node& node) {
  std::optional<Normalized> match = MatchNormalized(rewriter, node);
  if (!match || !IsFloating(node.output().type)) return false;
  const std::optional<ValueId> x = MatchCentered(rewriter, *match);
  if (!x || !rewriter.ReadOnlyWithin(match->interior, node)) return false;

  Node* root = &node;
  ValueId gamma, beta;
  if (Node* scaled = ConstantReader(rewriter, node, "Mul", match->dims)) {
    ASSIGN_OR_RETURN(gamma, Parameter(rewriter, *scaled, match->dims));
    root = scaled;
    if (Node* shifted = ConstantReader(rewriter, *scaled, "Add", match->dims)) {
      ASSIGN_OR_RETURN(beta, Parameter(rewriter, *shifted, match->dims));
      root = shifted;
    }
  }
  const Shape& shape = node.output().shape;
  const ValueId normalized = rewriter.AddConstant(absl::StrCat(root->name(), "/normalized_shape"),
                                                  Tensor::Int64s({shape.end() - match->dims, shape.end()}));
  std::vector<ValueId> inputs = {*x, normalized};
  if (gamma.valid()) inputs.push_back(gamma);
  if (beta.valid()) inputs.push_back(beta);
  RETURN_IF_ERROR(rewriter.Become(*root, "LayerNormV4", std::move(inputs), {{"epsilon", match->epsilon}}));
  return true;
}

// x / sqrt(mean(x²) + epsilon) * gamma → RmsNorm.
absl::StatusOr<bool> FuseRmsNorm(Rewriter& rewriter, Node& node) {
  std::optional<Normalized> match = MatchNormalized(rewriter, node);
  if (!match || !IsFloating(node.output().type)) return false;
  if (!match->squared->is("Square") || match->squared->input(0) != match->value) return false;
  Node* root = ConstantReader(rewriter, node, "Mul", match->dims);
  if (root == nullptr || !rewriter.ReadOnlyWithin(match->interior, node)) return false;
  ASSIGN_OR_RETURN(const ValueId gamma, Parameter(rewriter, *root, match->dims));
  RETURN_IF_ERROR(rewriter.Become(*root, "RmsNorm", {match->value, gamma}, {{"epsilon", match->epsilon}}));
  return true;
}

// LayerNorm, LayerNormV3 of which only y is read → LayerNormV4.
absl::StatusOr<bool> CanonicalLayerNorm(Rewriter& rewriter, Node& node) {
  if (!rewriter.OnlyFirstOutputUsed(node)) return false;
  const Shape& shape = node.output().shape;
  ASSIGN_OR_RETURN(const int begin,
                   NormalizeAxis(node.AttrOr<int64_t>("begin_norm_axis", 0), static_cast<int>(shape.size())));
  const Shape normalized(shape.begin() + begin, shape.end());
  for (int i : {1, 2}) {
    if (!node.input(i).valid() || rewriter.shape(node.input(i)) != normalized) return false;
  }
  const float epsilon = node.AttrOr<float>("epsilon", node.is("LayerNorm") ? 1e-7f : 1e-5f);
  const ValueId constant =
      rewriter.AddConstant(absl::StrCat(node.name(), "/normalized_shape"), Tensor::Int64s(normalized));
  RETURN_IF_ERROR(rewriter.Become(
      node, "LayerNormV4", {node.input(0), constant, node.input(1), node.input(2)}, {{"epsilon", epsilon}}));
  return true;
}

// Exp(x [- max(x)]) / sum(Exp(x [- max(x)])) over one axis → SoftmaxV2.
absl::StatusOr<bool> FuseSoftmax(Rewriter& rewriter, Node& node) {
  Node* exp = rewriter.Producer(node.input(0), "Exp");
  Node* sum = rewriter.Producer(node.input(1), "ReduceSum");
  const std::optional<std::vector<int64_t>> axes = KeptAxes(rewriter, sum);
  if (exp == nullptr || !axes || axes->size() != 1 || sum->input(0) != exp->out()) return false;
  const bool natural = exp->AttrOr<float>("base", -1) == -1 && exp->AttrOr<float>("scale", 1) == 1 &&
                       exp->AttrOr<float>("shift", 0) == 0;
  std::vector<Node*> interior = {exp, sum};
  if (!natural || !rewriter.ReadOnlyWithin(interior, node)) return false;
  ValueId x = exp->input(0);
  if (Node* shifted = rewriter.Producer(x, "Sub")) {
    Node* max = rewriter.Producer(shifted->input(1), "ReduceMax");
    interior.push_back(shifted);
    if (max != nullptr && KeptAxes(rewriter, max) == axes && max->input(0) == shifted->input(0) &&
        rewriter.ReadOnlyWithin(interior, node)) {
      x = shifted->input(0);
    }
  }
  RETURN_IF_ERROR(rewriter.Become(node, "SoftmaxV2", {x}, {{"axes", *axes}}));
  return true;
}

}  // namespace

std::vector<Rule> NormalizationFusions() {
  return {
      {"layer-norm", {"Mul", "RealDiv"}, FuseLayerNorm},
      {"rms-norm", {"Mul", "RealDiv"}, FuseRmsNorm},
      {"canonical-layer-norm", {"LayerNorm", "LayerNormV3"}, CanonicalLayerNorm},
      {"softmax", {"RealDiv"}, FuseSoftmax},
  };
}

}  // namespace omserve
