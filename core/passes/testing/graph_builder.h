// Short-hand for the graphs of tests, and checks that every rewrite must pass.
#ifndef OMSERVE_CORE_PASSES_TESTING_GRAPH_BUILDER_H_
#define OMSERVE_CORE_PASSES_TESTING_GRAPH_BUILDER_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "core/graph/graph.h"

namespace omserve {

class GraphBuilder {
 public:
  ValueId Data(const std::string& name, Shape shape, DataType type = DataType::kFloat);
  ValueId Scalar(float value) { return Floats({}, {value}); }
  ValueId Floats(Shape shape, const std::vector<float>& values);
  // Values that differ, from a fixed sequence between -1 and 1.
  ValueId Weights(Shape shape);
  ValueId Ints(const std::vector<int64_t>& values);
  ValueId Int(int64_t value);
  // A node named "<type><n>", inferred. A failing inference fails the test.
  ValueId Op(const std::string& type, std::vector<ValueId> inputs, AttrMap attrs = {});
  // As Op, but left without inference, as importers leave nodes behind unknown shapes.
  ValueId Raw(const std::string& type, std::vector<ValueId> inputs, AttrMap attrs = {}, int outputs = 1);
  void Output(ValueId value, const std::string& name = "y") { graph.AddOutput(name, value); }

  Graph graph{"test"};

 private:
  int count_ = 0;
  uint32_t random_ = 1;
};

// "Mul Add Sqrt": the types of all nodes but Data and Const in topological order.
std::string Types(const Graph& graph);

// Random values for the graph's inputs: floats in [-2, 2], integers in [0, 3].
std::map<std::string, Tensor> RandomInputs(const Graph& graph, uint32_t seed);

// Fails the test unless both graphs verify, have the same inputs and outputs, and give the same values up to
// rounding.
void ExpectSameMeaning(const Graph& before, const Graph& after);

// Simplify, checked by ExpectSameMeaning; returns Types.
std::string Simplified(Graph& graph);
// Simplify, FusePatterns and Simplify, checked.
std::string Fused(Graph& graph);

}  // namespace omserve

#endif  // OMSERVE_CORE_PASSES_TESTING_GRAPH_BUILDER_H_
