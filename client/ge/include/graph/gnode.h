// GNode: an operator seen as a node of its graph. A handle; valid while the graph lives.
#ifndef OMSERVE_GE_GRAPH_GNODE_H_
#define OMSERVE_GE_GRAPH_GNODE_H_

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "graph/ascend_string.h"
#include "graph/attr_value.h"
#include "graph/ge_error_codes.h"
#include "graph/tensor.h"

namespace ge {

class GraphImpl;
class OperatorImpl;
class GNode;
using GNodePtr = std::shared_ptr<GNode>;

class GE_FUNC_VISIBILITY GNode {
 public:
  GNode() = default;

  graphStatus GetType(AscendString &type) const;
  graphStatus GetName(AscendString &name) const;
  // Who feeds input `index`, and from which output; null when nobody does.
  std::pair<GNodePtr, int32_t> GetInDataNodesAndPortIndexs(const int32_t index) const;
  std::vector<GNodePtr> GetInControlNodes() const;
  std::vector<std::pair<GNodePtr, int32_t>> GetOutDataNodesAndPortIndexs(const int32_t index) const;
  std::vector<GNodePtr> GetOutControlNodes() const;
  graphStatus GetInputConstData(const int32_t index, Tensor &data) const;
  graphStatus GetInputDesc(const int32_t index, TensorDesc &desc) const;
  graphStatus UpdateInputDesc(const int32_t index, const TensorDesc &desc);
  graphStatus GetOutputDesc(const int32_t index, TensorDesc &desc) const;
  graphStatus UpdateOutputDesc(const int32_t index, const TensorDesc &desc);
  graphStatus GetAttr(const AscendString &name, AttrValue &value) const;
  graphStatus SetAttr(const AscendString &name, AttrValue &value) const;
  bool HasAttr(const AscendString &name) const;
  size_t GetInputsSize() const;
  size_t GetOutputsSize() const;

#define OMSERVE_GE_DECLARE(Type)                                                                       \
  graphStatus GetAttr(const AscendString &name, Type &value) const {                                   \
    AttrValue attr;                                                                                    \
    const graphStatus status = GetAttr(name, attr);                                                    \
    return status == GRAPH_SUCCESS ? attr.GetValue(value) : status;                                    \
  }                                                                                                    \
  graphStatus SetAttr(const AscendString &name, Type &value) const {                                   \
    AttrValue attr;                                                                                    \
    (void)attr.SetValue(value);                                                                        \
    return SetAttr(name, attr);                                                                        \
  }
  OMSERVE_GE_ATTR_TYPES(OMSERVE_GE_DECLARE)
#undef OMSERVE_GE_DECLARE

 private:
  friend class Graph;
  GNode(std::shared_ptr<GraphImpl> graph, std::shared_ptr<OperatorImpl> op)
      : graph_(std::move(graph)), op_(std::move(op)) {}
  std::shared_ptr<GraphImpl> graph_;
  std::shared_ptr<OperatorImpl> op_;
};

}  // namespace ge

#endif  // OMSERVE_GE_GRAPH_GNODE_H_
