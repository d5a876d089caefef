// The model that plan_fuzz and its seeds are about: y = relu(x · up) · down.
#ifndef OMSERVE_TESTS_FUZZ_PLAN_MODEL_H_
#define OMSERVE_TESTS_FUZZ_PLAN_MODEL_H_

#include "core/om/om_testing.h"

namespace omserve::fuzz {

inline Graph MakePlanGraph() {
  Graph graph("mlp");
  Node* x = graph.AddData("x", {DataType::kFloat, {2, 4}});
  const auto product = [&graph](const char* name, Node* input, int64_t rows, int64_t columns) {
    Node* weights = graph.AddConst(std::string(name) + "_w", TensorSlice(testing::Counting({rows, columns})));
    Node* node = graph.AddNode("MatMulV2", name, {input->out(), weights->out()});
    node->SetOutput(0, {DataType::kFloat, {2, columns}});
    return node;
  };
  Node* up = product("up", x, 4, 8);
  Node* relu = graph.AddNode("Relu", "relu", {up->out()});
  relu->SetOutput(0, {DataType::kFloat, {2, 8}});
  graph.AddOutput("y", product("down", relu, 8, 4)->out());
  return graph;
}

}  // namespace omserve::fuzz

#endif  // OMSERVE_TESTS_FUZZ_PLAN_MODEL_H_
