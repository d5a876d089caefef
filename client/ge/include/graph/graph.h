// Graph: operators, and which of their outputs are the graph's. A handle whose copies mean the same graph; CopyFrom
// makes another. Not thread-safe.
//
//   ge::op::Data x("x");
//   x.set_attr_index(0).update_output_desc_y(ge::TensorDesc(ge::Shape({1, 4})));
//   ge::op::Relu relu("relu");
//   relu.set_input_x(x);
//   ge::Graph graph("activation");
//   graph.SetInputs({x}).SetOutputs({relu});
#ifndef OMSERVE_GE_GRAPH_GRAPH_H_
#define OMSERVE_GE_GRAPH_GRAPH_H_

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "graph/ascend_string.h"
#include "graph/ge_error_codes.h"
#include "graph/gnode.h"
#include "graph/graph_buffer.h"
#include "graph/operator.h"

namespace ge {

class Graph;
using GraphPtr = std::shared_ptr<Graph>;

class GE_FUNC_VISIBILITY Graph {
 public:
  Graph() = default;
  explicit Graph(const std::string &name);
  explicit Graph(const char_t *name) : Graph(std::string(name == nullptr ? "" : name)) {}

  Graph &SetInputs(const std::vector<Operator> &inputs);
  // All outputs of each operator; chosen ones by index; chosen ones by name ("" or no index: all).
  Graph &SetOutputs(const std::vector<Operator> &outputs);
  Graph &SetOutputs(const std::vector<std::pair<Operator, std::vector<size_t>>> &outputs);
  Graph &SetOutputs(const std::vector<std::pair<Operator, std::string>> &outputs);
  Graph &SetOutputs(const std::vector<std::pair<Operator, AscendString>> &outputs);
  Graph &SetTargets(const std::vector<Operator> &targets);
  // It has inputs or outputs, and its wiring holds together.
  bool IsValid() const;

  graphStatus AddOp(const Operator &op);
  graphStatus FindOpByName(const char_t *name, Operator &op) const;
  graphStatus FindOpByName(const std::string &name, Operator &op) const { return FindOpByName(name.c_str(), op); }
  graphStatus FindOpByType(const char_t *type, std::vector<Operator> &ops) const;
  graphStatus FindOpByType(const std::string &type, std::vector<Operator> &ops) const {
    return FindOpByType(type.c_str(), ops);
  }
  graphStatus GetAllOpName(std::vector<AscendString> &names) const;
  graphStatus GetAllOpName(std::vector<std::string> &names) const;

  // AIR, a serialized ge.proto.ModelDef. GRAPH_FAILED, with the text in GEGetErrorMsg.
  graphStatus SaveToFile(const char_t *path) const;
  graphStatus SaveToFile(const std::string &path) const { return SaveToFile(path.c_str()); }
  graphStatus LoadFromFile(const char_t *path);
  graphStatus LoadFromFile(const std::string &path) { return LoadFromFile(path.c_str()); }
  graphStatus LoadFromSerializedModelArray(const void *model, size_t size);
  graphStatus SaveToMem(GraphBuffer &buffer) const;
  graphStatus LoadFromMem(const GraphBuffer &buffer);
  graphStatus LoadFromMem(const uint8_t *data, const size_t size);

  const std::string &GetName() const;
  graphStatus GetName(AscendString &name) const;
  void SetNeedIteration(bool need_iteration);

  std::vector<GNode> GetAllNodes() const;
  std::vector<GNode> GetDirectNode() const { return GetAllNodes(); }
  graphStatus RemoveNode(GNode &node);
  graphStatus RemoveNode(GNode &node, bool contain_subgraph) { return RemoveNode(node); }
  graphStatus RemoveEdge(GNode &source, const int32_t source_port, GNode &target, const int32_t target_port);
  GNode AddNodeByOp(const Operator &op);
  graphStatus AddDataEdge(GNode &source, const int32_t source_port, GNode &target, const int32_t target_port);
  graphStatus AddControlEdge(GNode &source, GNode &target);
  graphStatus CopyFrom(const Graph &source);
  static GraphPtr ConstructFromInputs(const std::vector<Operator> &inputs, const AscendString &name);

 private:
  friend struct GraphAccess;
  std::shared_ptr<GraphImpl> impl_;
};

}  // namespace ge

#endif  // OMSERVE_GE_GRAPH_GRAPH_H_
