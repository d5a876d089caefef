// What holds for every operator with a sharding rule, over a list of samples that must name each of them: the
// rule fits the node, and for every cut that it allows, each device's emission has the shapes that the rule
// implies.
#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "core/ops/emit.h"
#include "core/ops/test_util.h"

namespace omserve {
namespace {

struct Sample {
  std::string type;
  std::vector<In> inputs;
  AttrMap attrs;
};

const int64_t kOne = 1;

std::vector<Sample> ElementwiseSamples() {
  std::vector<Sample> samples;
  for (const char* type :
       {"Neg",      "Abs",       "Sign",        "Square",    "Sqrt",      "Rsqrt",      "Reciprocal",
        "Ceil",     "Floor",     "Round",       "Exp",       "Log",       "IsNan",      "IsInf",
        "IsFinite", "ZerosLike", "OnesLike",    "Sin",       "Cos",       "Tan",        "Asin",
        "Acos",     "Atan",      "Sinh",        "Cosh",      "Tanh",      "Asinh",      "Acosh",
        "Atanh",    "Erf",       "Relu",        "Relu6",     "LeakyRelu", "Elu",        "Celu",
        "Selu",     "Sigmoid",   "HardSigmoid", "HardSwish", "Softplus",  "Softsign",   "Mish",
        "Swish",    "Gelu",      "FastGelu",    "GeluV2",    "Identity",  "TensorMove", "Dropout"}) {
    samples.push_back({type, {F({2, 1, 6})}});
    samples.push_back({type, {F({})}});
  }
  for (const char* type : {"Add",      "AddV2",       "Sub",   "Mul",      "Div",  "RealDiv",
                           "FloorDiv", "TruncateDiv", "Mod",   "FloorMod", "Pow",  "SquaredDifference",
                           "Maximum",  "Minimum",     "Equal", "NotEqual", "Less", "LessEqual",
                           "Greater",  "GreaterEqual"}) {
    samples.push_back({type, {F({2, 4, 6}), F({2, 4, 6})}});
    samples.push_back({type, {F({2, 1, 6}), F({4, 1})}});
    samples.push_back({type, {F({0, 4}), F({})}});
  }
  for (const char* type : {"BitwiseAnd", "BitwiseOr", "BitwiseXor", "LeftShift", "RightShift"}) {
    samples.push_back({type, {I64({4, 6}), I64({6})}});
  }
  samples.push_back({"Invert", {I32({4})}});
  samples.push_back({"LogicalAnd", {Bool({4, 2}), Bool({2})}});
  samples.push_back({"LogicalOr", {Bool({4, 2}), Bool({4, 1})}});
  samples.push_back({"LogicalNot", {Bool({4, 2})}});
  samples.push_back({"Muls", {F({4})}, {{"value", 2.0f}}});
  samples.push_back({"Adds", {F({4})}, {{"value", 2.0f}}});
  samples.push_back({"Axpy", {F({4, 2}), F({2})}, {{"alpha", 2.0f}}});
  samples.push_back({"AddN", {F({4, 2}), F({4, 2}), F({4, 2})}, {{"N", int64_t{3}}}});
  samples.push_back({"AccumulateNV2", {F({4, 2}), F({2})}, {{"N", int64_t{2}}}});
  samples.push_back({"SelectV2", {Bool({4, 1}), F({6}), F({})}});
  samples.push_back({"Select", {Bool({4, 2}), F({4, 2}), F({4, 2})}});
  samples.push_back({"MaskedFill", {F({4, 6}), Bool({4, 1}), F({})}});
  samples.push_back({"ClipByValue", {F({4, 6}), F({}), F({})}});
  samples.push_back({"Cast", {F({4, 6})}, {{"dst_type", int64_t{1}}}});
  samples.push_back({"BiasAdd", {F({2, 4, 6}), F({6})}});
  samples.push_back({"PRelu", {F({2, 4, 6}), F({4})}});
  samples.push_back({"PRelu", {F({2, 4, 6}), F({4, 1})}});
  samples.push_back({"SwiGlu", {F({2, 4, 6})}});
  return samples;
}

std::vector<Sample> MatrixSamples() {
  std::vector<Sample> samples = {
      {"MatMul", {F({4, 6}), F({6, 8})}},
      {"MatMul", {F({6, 4}), F({8, 6}), F({8})}, {{"transpose_x1", true}, {"transpose_x2", true}}},
      {"MatMulV2", {F({4, 6}), F({6, 8}), F({8})}},
      {"MatMulV2", {F({0, 6}), F({6, 8})}},
      {"BatchMatMul", {F({2, 3, 4, 6}), F({2, 3, 6, 8})}},
      {"BatchMatMulV2", {F({2, 3, 4, 6}), F({6, 8}), F({8})}},
      {"BatchMatMulV2", {F({2, 1, 4, 6}), F({3, 8, 6})}, {{"adj_x2", true}}},
      {"Einsum",
       {F({2, 4, 6}), F({2, 6, 8})},
       {{"equation", std::string("bij,bjk->bik")}, {"N", int64_t{2}}}},
  };
  return samples;
}

std::vector<Sample> NormalizationSamples() {
  const AttrMap inference = {{"is_training", false}, {"data_format", std::string("NCHW")}};
  const AttrMap image = {{"data_format", std::string("NCHW")}};
  return {
      {"SoftmaxV2", {F({2, 4, 6})}},
      {"LogSoftmaxV2", {F({2, 4, 6})}, {{"axes", IntList{1}}}},
      {"LayerNorm", {F({2, 4, 6}), F({6}), F({6})}, {{"begin_norm_axis", int64_t{-1}}}},
      {"LayerNormV3", {F({2, 4, 6}), F({4, 6}), F({4, 6})}, {{"begin_norm_axis", kOne}}},
      {"LayerNormV4", {F({2, 4, 6}), Ints({6}), F({6}), F({6})}},
      {"LayerNormV4", {F({2, 4, 6}), Ints({4, 6})}},
      {"RmsNorm", {F({2, 4, 6}), F({6})}},
      {"AddRmsNorm", {F({2, 4, 6}), F({2, 4, 6}), F({6})}},
      {"GroupNorm",
       {F({2, 12, 5, 5}), F({12}), F({12})},
       {{"num_groups", int64_t{4}}, {"data_format", std::string("NCHW")}}},
      {"InstanceNorm", {F({2, 4, 5, 5}), F({4}), F({4})}, image},
      {"BatchNorm", {F({2, 4, 5, 5}), F({4}), F({4}), F({4}), F({4})}, inference},
      {"BNInfer", {F({2, 4, 5, 5}), F({4}), F({4}), F({4}), F({4})}, {{"epsilon", 1e-5f}}},
      {"LpNormV2", {F({2, 4, 6})}, {{"axes", IntList{1}}}},
  };
}

std::vector<Sample> ReductionSamples() {
  std::vector<Sample> samples;
  for (const char* type : {"ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceLogSum",
                           "ReduceLogSumExp"}) {
    samples.push_back({type, {F({2, 4, 6}), Ints({1, -1})}, {{"keep_dims", true}}});
    samples.push_back({type, {F({2, 4, 6}), Int(1)}});
    samples.push_back({type + std::string("D"), {F({2, 4, 6})}, {{"axes", IntList{0, 2}}}});
  }
  samples.push_back({"SquareSumV1", {F({2, 4, 6})}, {{"axis", IntList{2}}}});
  samples.push_back({"Cumsum", {F({2, 4}), Int(1)}});
  samples.push_back({"TopK", {F({2, 4, 6}), Int(3)}});
  samples.push_back({"TopKV2", {F({2, 4, 6}), Int(4)}, {{"dim", kOne}}});
  samples.push_back({"ArgMaxV2", {F({2, 4, 6}), Int(1)}});
  samples.push_back({"ArgMin", {F({2, 4, 6}), Int(-1)}});
  return samples;
}

std::vector<Sample> ShapeSamples() {
  return {
      {"Reshape", {F({2, 12}), Ints({2, 3, 4})}},
      {"Reshape", {F({2, 3, 4}), Ints({0, -1})}},
      {"Reshape", {F({2, 3, 5}), Ints({3, 2, 5})}},
      {"Reshape", {F({0, 12}), Ints({0, 3, 4})}, {{"allowzero", kOne}}},
      {"Unsqueeze", {F({2, 4})}, {{"axes", IntList{0, 2}}}},
      {"UnsqueezeV2", {F({2, 4})}, {{"axis", IntList{1}}}},
      {"UnsqueezeV3", {F({2, 4}), Ints({-1})}},
      {"ExpandDims", {F({2, 4}), Int(0)}},
      {"Squeeze", {F({2, 1, 4, 1})}},
      {"SqueezeV2", {F({2, 1, 4, 1})}, {{"axis", IntList{1}}}},
      {"SqueezeV3", {F({2, 1, 4, 1})}},
      {"SqueezeV3", {F({2, 1, 4, 1}), Ints({-1})}},
      {"Flatten", {F({2, 3, 4})}},
      {"FlattenV2", {F({2, 3, 4, 5})}, {{"axis", kOne}, {"end_axis", int64_t{2}}}},
      {"Transpose", {F({2, 3, 4}), Ints({2, 0, 1})}},
      {"TransposeD", {F({2, 3, 4, 5})}, {{"perm", IntList{0, 2, 1, 3}}}},
      {"Expand", {F({3, 1}), Ints({2, 1, 4})}},
      {"BroadcastTo", {F({3, 1}), Ints({2, 3, 4})}},
      {"Tile", {F({2, 3}), Ints({1, 4})}},
      {"TileD", {F({2, 3})}, {{"multiples", IntList{2, 1}}}},
      {"DepthToSpace", {F({2, 8, 3, 3})}, {{"block_size", int64_t{2}}, {"data_format", std::string("NCHW")}}},
      {"SpaceToDepth", {F({2, 4, 4, 3})}, {{"block_size", int64_t{2}}}},
      {"OneHot", {I64({2, 4}), Int(6), F({}), F({})}},
      {"OneHotD", {I64({2, 4}), F({}), F({})}, {{"depth", int64_t{6}}, {"axis", kOne}}},
      {"Tril", {F({2, 4, 4})}},
      {"Triu", {F({2, 4, 4})}},
      {"Trilu", {F({2, 4, 4}), Int(1)}},
  };
}

std::vector<Sample> SliceSamples() {
  return {
      {"Concat", {Int(1), F({2, 3}), F({2, 5})}, {{"N", int64_t{2}}}},
      {"ConcatV2", {F({2, 3}), F({2, 0}), Int(1)}, {{"N", int64_t{2}}}},
      {"ConcatD", {F({2, 3, 4}), F({2, 3, 4})}, {{"concat_dim", int64_t{-1}}, {"N", int64_t{2}}}},
      {"ConcatV2D", {F({2, 3})}, {{"concat_dim", int64_t{0}}, {"N", kOne}}},
      {"Pack", {F({2, 3}), F({2, 3})}, {{"axis", kOne}, {"N", int64_t{2}}}},
      {"Unpack", {F({2, 3, 4})}, {{"axis", kOne}, {"num", int64_t{3}}}},
      {"Split", {Int(1), F({2, 6})}, {{"num_split", int64_t{3}}}},
      {"SplitD", {F({4, 6})}, {{"split_dim", int64_t{0}}, {"num_split", int64_t{2}}}},
      {"SplitV", {F({2, 6}), Ints({1, -1, 3}), Int(1)}, {{"num_split", int64_t{3}}}},
      {"SplitVD",
       {F({2, 6})},
       {{"size_splits", IntList{1, 5}}, {"split_dim", kOne}, {"num_split", int64_t{2}}}},
      {"Slice", {F({4, 6, 8}), Ints({0, 1, 0}), Ints({-1, 3, 8})}},
      {"StridedSliceV2", {F({4, 6, 8}), Ints({0, -4}), Ints({100, 5}), Ints({0, 1})}},
      {"StridedSliceV2", {F({4, 6}), Ints({-1}), Ints({-100}), Ints({1}), Ints({-1})}},
      {"Pad", {F({4, 6}), Ints({0, 0, 1, 1})}},
      {"PadD", {F({4, 6})}, {{"paddings", std::vector<IntList>{{1, 2}, {0, 0}}}}},
      {"PadV2", {F({4, 6}), Ints({0, 0, 1, 1}), F({})}},
      {"PadV3", {F({4, 6}), Ints({0, 1, 0, 1})}, {{"paddings_contiguous", false}}},
      {"MirrorPad", {F({4, 6}), Ints({1, 1, 0, 0})}, {{"mode", std::string("REFLECT")}}},
  };
}

std::vector<Sample> GatherSamples() {
  return {
      {"Gather", {F({6, 4}), I64({2, 3})}},
      {"GatherV2", {F({6, 4}), I32({2, 3}), Int(0)}, {{"negative_index_support", true}}},
      {"GatherV2", {F({2, 6, 4}), I64({}), Int(1)}},
      {"GatherV2", {I64({6, 4}), I64({2}), Int(0)}},
      {"GatherV2D", {F({2, 6}), I64({4})}, {{"axis", kOne}}},
      {"GatherElements", {F({2, 6}), I64({2, 4})}, {{"dim", kOne}}},
      {"GatherD", {F({6, 4}), Int(0), I64({8, 2})}},
      {"GatherNd", {F({2, 6, 4}), I64({8, 2})}},
      {"ScatterElements", {F({2, 6}), I64({2, 4}), F({2, 4})}, {{"axis", kOne}}},
      {"TensorScatterUpdate", {F({6, 4}), I64({2, 1}), F({2, 4})}},
  };
}

std::vector<Sample> ImageSamples() {
  const AttrMap conv = {
      {"strides", IntList{1, 1, 1, 1}}, {"pads", IntList{1, 1, 1, 1}}, {"data_format", std::string("NCHW")}};
  AttrMap grouped = conv;
  grouped["groups"] = int64_t{4};
  AttrMap transposed_d = conv;
  transposed_d["input_size"] = IntList{2, 8, 5, 5};
  const AttrMap conv3d = {
      {"strides", IntList(5, 1)}, {"pads", IntList(6, 0)}, {"data_format", std::string("NCDHW")}};
  const AttrMap pool = {{"ksize", IntList{1, 1, 2, 2}}, {"strides", IntList{1, 1, 2, 2}}};
  return {
      {"Conv2D", {F({2, 4, 5, 5}), F({6, 4, 3, 3}), F({6})}, conv},
      {"Conv2D", {F({2, 8, 5, 5}), F({12, 2, 3, 3}), F({12})}, grouped},
      {"Conv2D", {F({0, 4, 5, 5}), F({6, 4, 3, 3})}, conv},
      {"Conv3D", {F({2, 4, 5, 5, 5}), F({6, 4, 3, 3, 3})}, conv3d},
      {"DepthwiseConv2D", {F({2, 4, 5, 5}), F({1, 4, 3, 3}), F({4})}, conv},
      {"DepthwiseConv2D", {F({2, 4, 5, 5}), F({4, 1, 3, 3})}, conv},
      {"Conv2DTranspose", {Ints({0, 0, 0, 0}), F({2, 4, 5, 5}), F({4, 8, 3, 3}), F({8})}, conv},
      {"Conv2DTranspose", {Ints({2, 8, 5, 5}), F({2, 4, 5, 5}), F({4, 2, 3, 3})}, grouped},
      {"Conv2DTransposeD", {F({2, 4, 5, 5}), F({4, 8, 3, 3})}, transposed_d},
      {"MaxPoolV3", {F({2, 4, 6, 6})}, pool},
      {"MaxPoolV3",
       {F({2, 4, 6, 6})},
       {{"ksize", IntList{1, 1, 3, 3}}, {"strides", IntList{1, 1, 2, 2}}, {"padding_mode", std::string("SAME")}}},
      {"AvgPoolV2", {F({2, 4, 6, 6})}, pool},
      {"GlobalAveragePool", {F({2, 4, 6, 6})}},
      {"AdaptiveAvgPool2d", {F({2, 4, 6, 6})}, {{"output_size", IntList{3, 2}}}},
      {"Resize", {F({2, 4, 6, 6}), None(), None(), Ints({2, 4, 12, 9})}},
      {"Resize", {F({2, 4, 6, 6}), None(), Value(Tensor::Of<float>({4}, {1, 1, 2, 2}))}},
  };
}

std::vector<Sample> Samples() {
  std::vector<Sample> all;
  for (auto samples : {ElementwiseSamples(), MatrixSamples(), NormalizationSamples(), ReductionSamples(),
                       ShapeSamples(), SliceSamples(), GatherSamples(), ImageSamples()}) {
    all.insert(all.end(), samples.begin(), samples.end());
  }
  return all;
}

int64_t SmallestPrime(int64_t n) {
  for (int64_t p = 2; p * p <= n; ++p) {
    if (n % p == 0) return p;
  }
  return n;
}

// Emits `node` for one device and returns the shapes of its outputs, or the error.
absl::StatusOr<std::vector<TensorDesc>> EmitShapes(const Graph& whole, const Node& node,
                                                   const ShardingRule& rule,
                                                   const std::vector<int64_t>& parts,
                                                   const std::vector<int64_t>& index) {
  Graph slice("slice");
  std::vector<ValueId> inputs;
  for (int i = 0; i < node.num_inputs(); ++i) {
    const ValueId value = node.input(i);
    if (!value.valid()) {
      inputs.push_back(ValueId{});
    } else if (const TensorSlice* constant = whole.ConstantOf(value)) {
      inputs.push_back(slice.AddConst("c", *constant)->out());
    } else {
      TensorDesc desc = whole.desc(value);
      for (size_t d = 0; d < desc.shape.size(); ++d) {
        for (int f : rule.inputs[i][d]) desc.shape[d] /= parts[f];
      }
      inputs.push_back(slice.AddData("x", desc)->out());
    }
  }
  EmitContext context(whole, node, rule, &slice, inputs, parts, index);
  const EmitFunction& emit = OpRegistry::Get().Find(node.type())->emit;
  absl::StatusOr<std::vector<ValueId>> outputs = emit ? emit(context) : EmitClone(context);
  if (!outputs.ok()) return outputs.status();
  if (absl::Status verified = Verify(slice); !verified.ok()) return verified;
  std::vector<TensorDesc> descs;
  for (ValueId output : *outputs) descs.push_back(slice.desc(output));
  return descs;
}

void CheckCut(const OneNode& one, const ShardingRule& rule, const std::vector<int64_t>& parts,
              const std::vector<int64_t>& index) {
  absl::StatusOr<std::vector<TensorDesc>> descs = EmitShapes(*one.graph, *one.node, rule, parts, index);
  ASSERT_TRUE(descs.ok()) << descs.status() << "\n" << RuleText(rule) << "\n" << Dump(*one.graph);
  ASSERT_EQ(static_cast<int>(descs->size()), one.node->num_outputs());
  for (int o = 0; o < one.node->num_outputs(); ++o) {
    TensorDesc expected = one.node->output(o);
    for (size_t d = 0; d < expected.shape.size(); ++d) {
      for (int f : rule.outputs[o][d]) expected.shape[d] /= parts[f];
    }
    EXPECT_EQ((*descs)[o], expected) << ToString((*descs)[o]) << " for " << RuleText(rule) << "\n"
                                     << Dump(*one.graph);
  }
}

TEST(EveryOpTest, HasASampleIfItHasARule) {
  std::set<std::string> sampled;
  for (const Sample& sample : Samples()) sampled.insert(sample.type);
  for (const std::string& type : OpRegistry::Get().Types()) {
    EXPECT_EQ(bool(OpRegistry::Get().Find(type)->rule), sampled.count(type) > 0) << type;
  }
}

// Why an operator has no rule and so runs whole on every device.
const std::map<std::string, std::string>& WithoutRule() {
  static const auto* const reasons = new std::map<std::string, std::string>{
      {"Data", "model inputs arrive whole on every device"},
      {"Const", "constants are cut as their readers want them"},
      {"NetOutput", "the plan says how outputs are left"},
      {"Shape", "folded once shapes are fixed"},
      {"Size", "folded once shapes are fixed"},
      {"Rank", "folded once shapes are fixed"},
      {"Fill", "folded: its shape and value are parameters"},
      {"Range", "folded: its limits are parameters"},
      {"NonZero", "the shape of its output depends on values"},
  };
  return *reasons;
}

TEST(EveryOpTest, HasARuleOrAReason) {
  for (const std::string& type : OpRegistry::Get().Types()) {
    // Graphs that hold collectives already are not cut again.
    if (type.rfind("Hcom", 0) == 0) continue;
    EXPECT_NE(bool(OpRegistry::Get().Find(type)->rule), WithoutRule().count(type) > 0) << type;
  }
  for (const auto& [type, reason] : WithoutRule()) EXPECT_NE(OpRegistry::Get().Find(type), nullptr) << type;
}

TEST(EveryOpTest, EmitsWhatItsRuleSays) {
  for (const Sample& sample : Samples()) {
    OneNode one = MakeNode(sample.type, sample.inputs, sample.attrs);
    ASSERT_TRUE(InferNode(*one.graph, *one.node).ok()) << Infer(one);
    absl::StatusOr<ShardingRule> rule = RuleOf(*one.graph, *one.node);
    ASSERT_TRUE(rule.ok()) << rule.status();
    const std::vector<int64_t> uncut(rule->factors.size(), 1);
    const std::vector<int64_t> first(rule->factors.size(), 0);
    CheckCut(one, *rule, uncut, first);
    std::vector<int64_t> all = uncut;
    std::vector<int64_t> last = first;
    for (size_t f = 0; f < rule->factors.size(); ++f) {
      if (rule->factors[f].kind == FactorKind::kWhole) continue;
      ASSERT_GT(rule->factors[f].size, 1) << sample.type << ": a factor that cannot be cut";
      std::vector<int64_t> parts = uncut;
      std::vector<int64_t> index = first;
      parts[f] = all[f] = SmallestPrime(rule->factors[f].size);
      for (index[f] = 0; index[f] < parts[f]; ++index[f]) CheckCut(one, *rule, parts, index);
      last[f] = parts[f] - 1;
    }
    CheckCut(one, *rule, all, last);
  }
}

TEST(EveryOpTest, CostIsFinite) {
  for (const Sample& sample : Samples()) {
    OneNode one = MakeNode(sample.type, sample.inputs, sample.attrs);
    ASSERT_TRUE(InferNode(*one.graph, *one.node).ok()) << Infer(one);
    const OpCost cost = CostOf(*one.graph, *one.node);
    EXPECT_TRUE(std::isfinite(cost.flops) && cost.flops >= 0) << sample.type;
    EXPECT_TRUE(std::isfinite(cost.bytes) && cost.bytes >= 0) << sample.type;
  }
}

}  // namespace
}  // namespace omserve
