#include <set>

#include "absl/strings/str_cat.h"
#include "core/base/status.h"
#include "core/graph/graph.h"

namespace omserve {

absl::Status Verify(const Graph& graph) {
  for (int32_t id : graph.NodeIds()) {
    const Node& node = *graph.node(id);
    auto error = [&](absl::string_view what) {
      return absl::InvalidArgumentError(
          absl::StrCat("graph '", graph.name(), "', node '", node.name(), "' (", node.type(), "): ", what));
    };
    if (graph.FindNode(node.name()) != &node) return error("its name is taken by another node");
    for (int i = 0; i < node.num_inputs(); ++i) {
      const ValueId input = node.input(i);
      if (!input.valid()) continue;
      const Node* producer = graph.node(input.node);
      if (producer == nullptr) return error(absl::StrCat("input ", i, " reads a node that does not exist"));
      if (input.output < 0 || input.output >= producer->num_outputs()) {
        return error(absl::StrCat("input ", i, " reads output ", input.output, " of '", producer->name(),
                                  "', which has ", producer->num_outputs()));
      }
    }
    for (const TensorDesc& desc : node.outputs()) {
      if (static_cast<int>(desc.shape.size()) > kMaxRank) {
        return error(absl::StrCat("an output of rank ", desc.shape.size(), "; at most ", kMaxRank, " is supported"));
      }
    }
    if (node.is_const()) {
      if (node.constant() == nullptr) return error("a Const without a value");
      if (node.num_outputs() != 1 || !(node.output() == node.constant()->desc())) {
        return error("the description does not fit the value");
      }
    }
    if (node.is_data() && node.num_outputs() != 1) return error("a Data has exactly one output");
  }
  std::set<std::string> names;
  for (const GraphOutput& output : graph.outputs()) {
    const Node* producer = graph.node(output.value.node);
    if (producer == nullptr || output.value.output >= producer->num_outputs()) {
      return absl::InvalidArgumentError(
          absl::StrCat("graph '", graph.name(), "': output '", output.name, "' has no producer"));
    }
    if (!names.insert(output.name).second) {
      return absl::InvalidArgumentError(
          absl::StrCat("graph '", graph.name(), "': two outputs are named '", output.name, "'"));
    }
  }
  return graph.TopologicalOrder().status();
}

}  // namespace omserve
