#include "core/passes/testing/graph_builder.h"

#include <algorithm>
#include <cmath>
#include <random>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "core/ops/op.h"
#include "core/passes/passes.h"
#include "core/passes/testing/reference.h"
#include "gtest/gtest.h"

namespace omserve {

ValueId GraphBuilder::Data(const std::string& name, Shape shape, DataType type) {
  return graph.AddData(name, {type, std::move(shape)})->out();
}

ValueId GraphBuilder::Floats(Shape shape, const std::vector<float>& values) {
  return graph.AddConst(absl::StrCat("c", ++count_), Tensor::Of<float>(std::move(shape), values))->out();
}

ValueId GraphBuilder::Weights(Shape shape) {
  std::vector<float> values(static_cast<size_t>(NumElements(shape)));
  for (float& value : values) {
    random_ = random_ * 1664525u + 1013904223u;
    value = static_cast<float>(random_ >> 8) / (1 << 23) - 1;
  }
  return Floats(std::move(shape), values);
}

ValueId GraphBuilder::Ints(const std::vector<int64_t>& values) {
  return graph.AddConst(absl::StrCat("c", ++count_), Tensor::Int64s(values))->out();
}

ValueId GraphBuilder::Int(int64_t value) {
  return graph.AddConst(absl::StrCat("c", ++count_), Tensor::Scalar<int64_t>(value))->out();
}

ValueId GraphBuilder::Raw(const std::string& type, std::vector<ValueId> inputs, AttrMap attrs, int outputs) {
  Node* node = graph.AddNode(type, absl::StrCat(type, ++count_), std::move(inputs));
  for (auto& [name, value] : attrs) node->SetAttr(name, std::move(value));
  for (int i = 0; i < outputs; ++i) node->SetOutput(i, TensorDesc{});
  return node->out();
}

ValueId GraphBuilder::Op(const std::string& type, std::vector<ValueId> inputs, AttrMap attrs) {
  const ValueId value = Raw(type, std::move(inputs), std::move(attrs));
  const absl::Status status = InferNode(graph, *graph.node(value.node));
  EXPECT_TRUE(status.ok()) << status;
  return value;
}

std::string Types(const Graph& graph) {
  std::vector<std::string> types;
  const std::vector<int32_t> order = graph.TopologicalOrder().value();
  for (int32_t id : order) {
    const Node& node = *graph.node(id);
    if (!node.is_data() && !node.is_const()) types.push_back(node.type());
  }
  return absl::StrJoin(types, " ");
}

std::map<std::string, Tensor> RandomInputs(const Graph& graph, uint32_t seed) {
  std::mt19937 random(seed);
  std::map<std::string, Tensor> inputs;
  for (int32_t id : graph.inputs()) {
    const Node& data = *graph.node(id);
    std::vector<double> values(static_cast<size_t>(NumElements(data.output().shape)));
    const bool floating = data.output().type == DataType::kFloat;
    for (double& value : values) {
      value = floating ? static_cast<double>(random() % 4001) / 1000 - 2 : static_cast<double>(random() % 4);
    }
    inputs[data.name()] = FromDoubles(data.output(), values);
  }
  return inputs;
}

void ExpectSameMeaning(const Graph& before, const Graph& after) {
  ASSERT_TRUE(Verify(after).ok()) << Verify(after);
  ASSERT_EQ(before.outputs().size(), after.outputs().size());
  const std::map<std::string, Tensor> inputs = RandomInputs(before, 7);
  absl::StatusOr<std::vector<Tensor>> expected = RunReference(before, inputs);
  absl::StatusOr<std::vector<Tensor>> actual = RunReference(after, inputs);
  ASSERT_TRUE(expected.ok()) << expected.status() << Dump(before);
  ASSERT_TRUE(actual.ok()) << actual.status() << Dump(after);
  for (size_t i = 0; i < expected->size(); ++i) {
    EXPECT_EQ(before.outputs()[i].name, after.outputs()[i].name);
    ASSERT_EQ((*expected)[i].desc(), (*actual)[i].desc()) << Dump(after);
    const std::vector<double> want = ToDoubles((*expected)[i]), have = ToDoubles((*actual)[i]);
    for (size_t k = 0; k < want.size(); ++k) {
      if (std::isnan(want[k]) && std::isnan(have[k])) continue;
      ASSERT_NEAR(want[k], have[k], 2e-5 * std::max(1.0, std::abs(want[k])))
          << "output " << i << " element " << k << "\nbefore:\n"
          << Dump(before) << "after:\n"
          << Dump(after);
    }
  }
}

namespace {

std::string Checked(Graph& graph, bool fuse) {
  const Graph before = graph.Clone();
  absl::Status status = Simplify(graph, EvaluateReference);
  if (status.ok() && fuse) status = FusePatterns(graph);
  if (status.ok() && fuse) status = Simplify(graph, EvaluateReference);
  if (!status.ok()) return status.ToString();
  ExpectSameMeaning(before, graph);
  const Graph once = graph.Clone();
  status = Simplify(graph, EvaluateReference);
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(Dump(once), Dump(graph)) << "simplifying again changes the graph";
  return Types(graph);
}

}  // namespace

std::string Simplified(Graph& graph) { return Checked(graph, false); }
std::string Fused(Graph& graph) { return Checked(graph, true); }

}  // namespace omserve
