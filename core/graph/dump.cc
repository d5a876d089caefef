#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "core/graph/graph.h"

namespace omserve {
namespace {

std::string ValueName(const Graph& graph, ValueId value) {
  if (!value.valid()) return "-";
  const Node* node = graph.node(value.node);
  if (node == nullptr) return "<removed>";
  return value.output == 0 ? absl::StrCat("%", node->name()) : absl::StrCat("%", node->name(), ":", value.output);
}

template <typename T>
std::string ListToString(const std::vector<T>& values) {
  std::string text = "[";
  for (size_t i = 0; i < values.size(); ++i) {
    if (i > 0) text += ",";
    if constexpr (std::is_same_v<T, std::vector<int64_t>>) {
      text += ListToString(values[i]);
    } else {
      text += AttrToString(AttrValue(static_cast<T>(values[i])));
    }
  }
  return text + "]";
}

}  // namespace

std::string AttrToString(const AttrValue& value) {
  return std::visit(
      [](const auto& v) -> std::string {
        using T = std::decay_t<decltype(v)>;
        if constexpr (std::is_same_v<T, bool>) {
          return v ? "true" : "false";
        } else if constexpr (std::is_same_v<T, std::string>) {
          return absl::StrCat("\"", v, "\"");
        } else if constexpr (std::is_same_v<T, DataType>) {
          return std::string(Name(v));
        } else if constexpr (std::is_arithmetic_v<T>) {
          return absl::StrCat(v);
        } else {
          return ListToString(v);
        }
      },
      value);
}

std::string Dump(const Graph& graph) {
  std::string text = absl::StrCat("graph ", graph.name(), "\n");
  absl::StatusOr<std::vector<int32_t>> order = graph.TopologicalOrder();
  for (int32_t id : order.ok() ? *order : graph.NodeIds()) {
    const Node& node = *graph.node(id);
    std::vector<std::string> outputs, inputs, attrs;
    for (const TensorDesc& desc : node.outputs()) outputs.push_back(ToString(desc));
    for (ValueId input : node.inputs()) inputs.push_back(ValueName(graph, input));
    for (const auto& [name, value] : node.attrs()) attrs.push_back(absl::StrCat(name, "=", AttrToString(value)));
    absl::StrAppend(&text, "  %", node.name(), ": ", absl::StrJoin(outputs, ", "), " = ", node.type(), "(",
                    absl::StrJoin(inputs, ", "), ")");
    if (!attrs.empty()) absl::StrAppend(&text, " {", absl::StrJoin(attrs, ", "), "}");
    if (const TensorSlice* constant = node.constant()) {
      if (NumElements(constant->shape()) <= 16) absl::StrAppend(&text, " ", ValuesToString(constant->Materialize()));
      if (!constant->is_whole()) absl::StrAppend(&text, " box ", ToString(constant->begin()));
    }
    text += "\n";
  }
  for (const GraphOutput& output : graph.outputs()) {
    absl::StrAppend(&text, "  return ", output.name, " = ", ValueName(graph, output.value), "\n");
  }
  return text;
}

}  // namespace omserve
