// What a graph gives, kernel by kernel: for tests to compare compiled graphs with.
#ifndef OMSERVE_CORE_DEVICE_CPU_EVALUATE_GRAPH_FOR_TESTS_H_
#define OMSERVE_CORE_DEVICE_CPU_EVALUATE_GRAPH_FOR_TESTS_H_

#include <vector>

#include "absl/container/flat_hash_map.h"
#include "core/device/cpu/cpu_device.h"
#include "core/graph/graph.h"
#include "gtest/gtest.h"

namespace omserve::cpu {

// The graph's outputs. Nothing after a kernel that fails, which fails the test.
inline std::vector<Tensor> Evaluate(const Graph& graph, const std::vector<Tensor>& inputs) {
  CpuEvaluator evaluator;
  absl::flat_hash_map<ValueId, Tensor> values;
  const auto order = graph.TopologicalOrder();
  for (size_t i = 0; i < graph.inputs().size(); ++i) values[graph.node(graph.inputs()[i])->out()] = inputs[i];
  for (int32_t id : *order) {
    const Node& node = *graph.node(id);
    if (node.is_data()) continue;
    if (node.is_const()) {
      values[node.out()] = node.constant()->Materialize();
      continue;
    }
    std::vector<Tensor> arguments;
    for (ValueId input : node.inputs()) arguments.push_back(values[input]);
    auto outputs = evaluator.Evaluate(graph, node, arguments);
    EXPECT_TRUE(outputs.ok()) << outputs.status();
    if (!outputs.ok()) return {};
    for (int o = 0; o < node.num_outputs(); ++o) values[node.out(o)] = (*outputs)[static_cast<size_t>(o)];
  }
  std::vector<Tensor> results;
  for (const GraphOutput& output : graph.outputs()) results.push_back(values[output.value]);
  return results;
}

}  // namespace omserve::cpu

#endif  // OMSERVE_CORE_DEVICE_CPU_EVALUATE_GRAPH_FOR_TESTS_H_
