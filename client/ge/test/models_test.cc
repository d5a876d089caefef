// Graphs built operator by operator: every class exists, and representative models give the right numbers, whole and cut
// over two devices.
#include <cmath>

#include "core/ops/op.h"
#include "graph/operator_factory.h"
#include "hcom_ops.h"
#include "test_util.h"

namespace ge::testing {
namespace {

using ::testing::FloatNear;
using ::testing::Pointwise;

class ModelsTest : public RuntimeTest {};

TEST(OperatorClassesTest, EveryOperatorHasOne) {
  std::vector<std::string> types;
  ASSERT_EQ(OperatorFactory::GetOpsTypeList(types), GRAPH_SUCCESS);
  EXPECT_GT(types.size(), 150u);
  for (const std::string& type : types) {
    Operator op = OperatorFactory::CreateOperator("node", type);
    ASSERT_FALSE(op.IsEmpty()) << type;
    EXPECT_EQ(op.GetOpType(), type);
    EXPECT_EQ(op.GetName(), "node");
    std::map<AscendString, AscendString> kinds;
    EXPECT_EQ(op.GetAllAttrNamesAndTypes(kinds), GRAPH_SUCCESS);
    for (const auto& [name, kind] : kinds) EXPECT_GT(kind.GetLength(), 0u) << type << " " << name.GetString();
  }
  for (const char* type : {"Data", "Const", "Constant", "MatMulV2", "Conv2D", "HcomAllReduce", "HcomSend", "SplitV"}) {
    EXPECT_TRUE(OperatorFactory::IsExistOp(type)) << type;
  }
  EXPECT_FALSE(OperatorFactory::IsExistOp("NoSuchOperator"));
  EXPECT_TRUE(OperatorFactory::CreateOperator("a", "NoSuchOperator").IsEmpty());
}

TEST(OperatorClassesTest, PortsAndAttributesAreThoseOfTheDefinition) {
  for (const std::string& type : omserve::OpRegistry::Get().Types()) {
    const omserve::OpDef& def = *omserve::OpRegistry::Get().Find(type);
    Operator op = OperatorFactory::CreateOperator("node", type);
    ASSERT_FALSE(op.IsEmpty()) << type;
    size_t inputs = type == "Data" ? 1 : 0;
    for (const omserve::InputDef& input : def.inputs) inputs += input.kind == omserve::InputKind::kDynamic ? 0 : 1;
    EXPECT_EQ(op.GetInputsSize(), inputs) << type;
    size_t outputs = 0;
    for (const std::string& output : def.outputs) outputs += output.back() == '*' ? 0 : 1;
    EXPECT_EQ(op.GetOutputsSize(), outputs) << type;
    std::map<AscendString, AscendString> kinds;
    ASSERT_EQ(op.GetAllAttrNamesAndTypes(kinds), GRAPH_SUCCESS);
    for (const omserve::AttrDef& attr : def.attrs) {
      const std::string where = type + "." + attr.name;
      EXPECT_NE(kinds.contains(AscendString(attr.name.c_str())), attr.required) << where;
      if (attr.required) continue;
      const auto expect = [&](auto found, const auto& fallback) {
        ASSERT_EQ(op.GetAttr(attr.name, found), GRAPH_SUCCESS) << where;
        EXPECT_EQ(found, fallback) << where;
      };
      if (const auto* value = std::get_if<int64_t>(&attr.fallback)) expect(int64_t{0}, *value);
      if (const auto* value = std::get_if<float>(&attr.fallback)) expect(0.0f, *value);
      if (const auto* value = std::get_if<bool>(&attr.fallback)) expect(false, *value);
      if (const auto* value = std::get_if<std::string>(&attr.fallback)) expect(std::string(), *value);
      if (const auto* value = std::get_if<std::vector<int64_t>>(&attr.fallback)) expect(std::vector<int64_t>(), *value);
    }
  }
}

TEST(OperatorClassesTest, DefaultsAreThoseOfThePrototype) {
  EXPECT_EQ(op::HcomAllReduce("a").get_attr_fusion(), 1);
  EXPECT_EQ(op::HcomAllGather("a").get_attr_fusion(), 0);
  EXPECT_FALSE(op::MatMulV2("m").get_attr_transpose_x1());
  EXPECT_EQ(op::SoftmaxV2("s").set_attr_axes({1, 2}).get_attr_axes(), (std::vector<int64_t>{1, 2}));
}

// Each of them by its class of the factory, all in one graph.
TEST_F(ModelsTest, ElementwiseOperators) {
  auto x = Input("x", 0, {2, 3});
  auto y = Input("y", 1, {2, 3});
  std::vector<Operator> outputs;
  for (const char* type : {"Neg",      "Abs",   "Sign",        "Square",    "Sqrt",     "Rsqrt",    "Reciprocal", "Ceil",
                           "Floor",    "Round", "Exp",         "Log",       "ZerosLike", "OnesLike", "Sin",       "Cos",
                           "Tanh",     "Erf",   "Relu",        "Relu6",     "LeakyRelu", "Elu",      "Selu",      "Sigmoid",
                           "HardSwish", "Softplus", "Softsign", "Mish",     "Swish",     "Gelu",     "FastGelu",  "Identity"}) {
    outputs.push_back(OperatorFactory::CreateOperator(type, type).SetInput("x", x));
  }
  for (const char* type : {"Add", "Sub", "Mul", "RealDiv", "Pow", "SquaredDifference", "Maximum", "Minimum"}) {
    outputs.push_back(OperatorFactory::CreateOperator(type, type).SetInput("x1", x).SetInput("x2", y));
  }
  Graph graph("elementwise");
  graph.SetInputs({x, y}).SetOutputs(outputs);
  Session session{Strings{}};
  ASSERT_EQ(session.AddGraph(0, graph), SUCCESS) << GEGetErrorMsg();
  const std::vector<float> a = {0.5f, 1, 1.5f, 2, 2.5f, 3};
  const std::vector<float> b = {3, 2.5f, 2, 1.5f, 1, 0.5f};
  std::vector<Tensor> results;
  ASSERT_EQ(session.RunGraph(0, {Make({2, 3}, a), Make({2, 3}, b)}, results), SUCCESS) << GEGetErrorMsg();
  ASSERT_EQ(results.size(), outputs.size());
  std::map<std::string, std::vector<float>> by_type;
  for (size_t i = 0; i < results.size(); ++i) {
    EXPECT_EQ(results[i].GetTensorDesc().GetShape().GetDims(), (std::vector<int64_t>{2, 3})) << outputs[i].GetOpType();
    by_type[outputs[i].GetOpType()] = Values<float>(results[i]);
  }
  for (size_t i = 0; i < a.size(); ++i) {
    EXPECT_FLOAT_EQ(by_type["Neg"][i], -a[i]);
    EXPECT_FLOAT_EQ(by_type["Square"][i], a[i] * a[i]);
    EXPECT_NEAR(by_type["Exp"][i], std::exp(a[i]), 1e-4);
    EXPECT_NEAR(by_type["Gelu"][i], a[i] * 0.5 * (1 + std::erf(a[i] / std::sqrt(2.0))), 1e-3);
    EXPECT_FLOAT_EQ(by_type["Sub"][i], a[i] - b[i]);
    EXPECT_NEAR(by_type["Pow"][i], std::pow(a[i], b[i]), 1e-3);
    EXPECT_FLOAT_EQ(by_type["Maximum"][i], std::max(a[i], b[i]));
  }
}

TEST_F(ModelsTest, Mlp) {
  auto x = Input("x", 0, {2, 4});
  auto w1 = Constant("w1", {4, 8}, Whole(32));
  auto b1 = Constant("b1", {8}, Whole(8, 1));
  auto w2 = Constant("w2", {8, 4}, Whole(32, 2));
  auto up = op::MatMulV2("up").set_input_x1(x).set_input_x2(w1);
  auto bias = op::BiasAdd("bias").set_input_x(up).set_input_bias(b1);
  auto relu = op::Relu("relu").set_input_x(bias);
  auto down = op::MatMulV2("down").set_input_x1(relu).set_input_x2(w2);
  Graph graph("mlp");
  graph.SetInputs({x}).SetOutputs(std::vector<Operator>{down});

  const std::vector<float> input = Whole(8, 3);
  std::vector<float> expected(8, 0);
  for (int m = 0; m < 2; ++m) {
    for (int h = 0; h < 8; ++h) {
      float hidden = Whole(8, 1)[h];
      for (int k = 0; k < 4; ++k) hidden += input[m * 4 + k] * Whole(32)[k * 8 + h];
      for (int n = 0; n < 4; ++n) expected[m * 4 + n] += std::max(hidden, 0.0f) * Whole(32, 2)[h * 4 + n];
    }
  }
  const std::vector<Tensor> outputs = RunBothWays(graph, {Make({2, 4}, input)}, /*exact=*/true);
  ASSERT_EQ(outputs.size(), 1u);
  EXPECT_EQ(outputs[0].GetTensorDesc().GetDataType(), DT_FLOAT);
  EXPECT_EQ(Values<float>(outputs[0]), expected);
}

// The other ways of the policy file: the planner's choice, stages, replicas.
TEST_F(ModelsTest, EveryPolicyGivesTheSameNumbers) {
  auto x = Input("x", 0, {2, 4});
  auto up = op::MatMulV2("up").set_input_x1(x).set_input_x2(Constant("w1", {4, 8}, Whole(32)));
  auto relu = op::Relu("relu").set_input_x(up);
  auto down = op::MatMulV2("down").set_input_x1(relu).set_input_x2(Constant("w2", {8, 4}, Whole(32, 2)));
  Graph graph("policies");
  graph.SetInputs({x}).SetOutputs(std::vector<Operator>{down});
  const std::vector<Tensor> inputs = {Make({2, 4}, Whole(8, 3))};
  Session session{Strings{}};
  ASSERT_EQ(session.AddGraph(0, graph), SUCCESS);
  std::vector<Tensor> expected;
  ASSERT_EQ(session.RunGraph(0, inputs, expected), SUCCESS) << GEGetErrorMsg();

  const Folder folder;
  ASSERT_EQ(aclgrphBuildInitialize(Strings{{ir_option::CLUSTER_CONFIG, ClusterFile(folder, 2)}}), GRAPH_SUCCESS);
  uint32_t id = 1;
  for (const char* policy : {R"("auto":true)", R"("auto":false,"pipeline_parallel_option":{"pipe_stage_num":2})",
                             R"("auto":false,"data_parallel_option":{"data_parallel_size":2})"}) {
    const std::string file = folder.Write("policy.json", std::string("{\"graph_parallel_option\":{") + policy + "}}");
    ModelBufferData model;
    ASSERT_EQ(aclgrphBuildModel(graph,
                                Strings{{ir_option::DISTRIBUTED_CLUSTER_BUILD, "1"},
                                        {ir_option::ENABLE_GRAPH_PARALLEL, "1"},
                                        {ir_option::GRAPH_PARALLEL_OPTION_PATH, file}},
                                model),
              GRAPH_SUCCESS)
        << policy << GEGetErrorMsg();
    ASSERT_EQ(aclgrphSaveModel(folder / "model", model), GRAPH_SUCCESS);
    ASSERT_EQ(session.LoadGraph(id, {}, folder / "model.om"), SUCCESS) << policy << GEGetErrorMsg();
    std::vector<Tensor> outputs;
    ASSERT_EQ(session.RunGraph(id++, inputs, outputs), SUCCESS) << policy << GEGetErrorMsg();
    ASSERT_EQ(outputs.size(), 1u);
    EXPECT_EQ(Values<float>(outputs[0]), Values<float>(expected[0])) << policy;
  }
  aclgrphBuildFinalize();
}

// Attention over two sequences: softmax(q kᵀ / 2) v, with q, k and v from one matrix product.
TEST_F(ModelsTest, Attention) {
  constexpr int kBatch = 2;
  constexpr int kRows = 3;
  constexpr int kWidth = 4;
  auto x = Input("x", 0, {kBatch, kRows, kWidth});
  auto w = Constant("w", {kWidth, 3 * kWidth}, Whole(kWidth * 3 * kWidth));
  auto qkv = op::BatchMatMulV2("qkv").set_input_x1(x).set_input_x2(w);
  auto axis = Constant<int32_t>("axis", {}, {2});
  auto split = op::Split("split").set_input_split_dim(axis).set_input_x(qkv).set_attr_num_split(3);
  split.create_dynamic_output_y(3);
  auto scores = op::BatchMatMulV2("scores").set_input_x1(split, 0).set_input_x2_by_name(split, "y1").set_attr_adj_x2(true);
  auto scaled = op::Muls("scaled").set_input_x(scores).set_attr_value(0.5f);
  auto weights = op::SoftmaxV2("weights").set_input_x(scaled).set_attr_axes({-1});
  auto mixed = op::BatchMatMulV2("mixed").set_input_x1(weights).set_input_x2(split, 2);
  Graph graph("attention");
  graph.SetInputs({x}).SetOutputs(std::vector<Operator>{mixed});

  std::vector<float> input = Whole(kBatch * kRows * kWidth, 5);
  for (float& value : input) value *= 0.25f;
  const std::vector<float> matrix = Whole(kWidth * 3 * kWidth);
  std::vector<float> expected(input.size(), 0);
  for (int b = 0; b < kBatch; ++b) {
    float values[kRows][3 * kWidth] = {};
    for (int r = 0; r < kRows; ++r) {
      for (int n = 0; n < 3 * kWidth; ++n) {
        for (int k = 0; k < kWidth; ++k) values[r][n] += input[(b * kRows + r) * kWidth + k] * matrix[k * 3 * kWidth + n];
      }
    }
    for (int r = 0; r < kRows; ++r) {
      float e[kRows];
      float sum = 0;
      for (int c = 0; c < kRows; ++c) {
        float dot = 0;
        for (int k = 0; k < kWidth; ++k) dot += values[r][k] * values[c][kWidth + k];
        sum += e[c] = std::exp(dot * 0.5f);
      }
      for (int c = 0; c < kRows; ++c) {
        for (int k = 0; k < kWidth; ++k) expected[(b * kRows + r) * kWidth + k] += e[c] / sum * values[c][2 * kWidth + k];
      }
    }
  }
  const std::vector<Tensor> outputs = RunBothWays(graph, {Make({kBatch, kRows, kWidth}, input)}, /*exact=*/false);
  ASSERT_EQ(outputs.size(), 1u);
  EXPECT_THAT(Values<float>(outputs[0]), Pointwise(FloatNear(1e-4f), expected));
}

TEST_F(ModelsTest, Convolution) {
  auto x = Input("x", 0, {1, 2, 4, 4});
  auto filter = Constant("filter", {4, 2, 3, 3}, Whole(72));
  auto conv = op::Conv2D("conv").set_input_x(x).set_input_filter(filter).set_attr_strides({1, 1, 1, 1}).set_attr_pads({1, 1, 1, 1}).set_attr_data_format("NCHW");
  auto relu = op::Relu("relu").set_input_x(conv);
  auto total = op::ReduceSumD("total").set_input_x(relu).set_attr_axes({2, 3});
  Graph graph("conv");
  graph.SetInputs({x}).SetOutputs(Chosen{{relu, {0}}, {total, {0}}});

  const std::vector<float> input = Whole(32, 2);
  const std::vector<float> weights = Whole(72);
  std::vector<float> expected(64, 0);
  std::vector<float> sums(4, 0);
  for (int o = 0; o < 4; ++o) {
    for (int y = 0; y < 4; ++y) {
      for (int z = 0; z < 4; ++z) {
        float& sum = expected[(o * 4 + y) * 4 + z];
        for (int c = 0; c < 2; ++c) {
          for (int i = 0; i < 3; ++i) {
            for (int j = 0; j < 3; ++j) {
              const int row = y + i - 1;
              const int column = z + j - 1;
              if (row < 0 || row > 3 || column < 0 || column > 3) continue;
              sum += input[(c * 4 + row) * 4 + column] * weights[((o * 2 + c) * 3 + i) * 3 + j];
            }
          }
        }
        sum = std::max(sum, 0.0f);
        sums[o] += sum;
      }
    }
  }
  const std::vector<Tensor> outputs = RunBothWays(graph, {Make({1, 2, 4, 4}, input)}, /*exact=*/true);
  ASSERT_EQ(outputs.size(), 2u);
  EXPECT_EQ(Values<float>(outputs[0]), expected);
  EXPECT_EQ(Values<float>(outputs[1]), sums);
}

}  // namespace
}  // namespace ge::testing
