// What the importer's tests share.
#ifndef OMSERVE_CORE_IMPORT_ONNX_IMPORT_TEST_UTIL_H_
#define OMSERVE_CORE_IMPORT_ONNX_IMPORT_TEST_UTIL_H_

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "core/import/onnx/onnx_importer.h"
#include "core/import/onnx/test_models.h"

namespace omserve {

// "CODE: message" of the error, or "OK".
inline std::string ErrorOf(const OnnxModelBuilder& model) {
  return ImportOnnx(model.ToBuffer(), "").status().ToString();
}

// The nodes of the imported graph but its inputs, a line each: "%name = Type(%a, %b) {attr=value}"; constants as
// "%name = [values]". The error when there is one.
inline std::string NodesOf(const OnnxModelBuilder& model) {
  absl::StatusOr<Graph> graph = ImportOnnx(model.ToBuffer(), "");
  if (!graph.ok()) return graph.status().ToString();
  auto name_of = [&](ValueId value) {
    if (!value.valid()) return std::string("-");
    const std::string& name = graph->node(value.node)->name();
    return value.output == 0 ? absl::StrCat("%", name) : absl::StrCat("%", name, ":", value.output);
  };
  std::string text;
  for (int32_t id : graph->NodeIds()) {
    const Node& node = *graph->node(id);
    if (node.is_data()) continue;
    absl::StrAppend(&text, "%", node.name(), " = ");
    if (const TensorSlice* constant = node.constant()) {
      const std::string type(Name(constant->desc().type));
      absl::StrAppend(&text, type, ToString(constant->shape()), " ", ValuesToString(constant->Materialize()), "\n");
      continue;
    }
    absl::StrAppend(&text, node.type(), "(");
    for (int i = 0; i < node.num_inputs(); ++i) absl::StrAppend(&text, i > 0 ? ", " : "", name_of(node.input(i)));
    text += ")";
    std::string attrs;
    for (const auto& [name, value] : node.attrs()) {
      absl::StrAppend(&attrs, attrs.empty() ? "" : ", ", name, "=", AttrToString(value));
    }
    absl::StrAppend(&text, attrs.empty() ? "" : absl::StrCat(" {", attrs, "}"), "\n");
  }
  for (const GraphOutput& output : graph->outputs()) {
    absl::StrAppend(&text, output.name, " <- ", name_of(output.value), "\n");
  }
  return text;
}

// The nodes of a model with the one node `op_type` (named "n") from `inputs` (float[2,3] unless made before) to "y".
struct OneNode {
  explicit OneNode(int opset = 17) : model(opset) {}
  OneNode& Input(const std::string& name, DataType type = DataType::kFloat, const Shape& shape = {2, 3}) {
    model.AddInput(name, type, shape);
    return *this;
  }
  OneNode& Init(const std::string& name, const Tensor& value) {
    model.AddInit(name, value);
    return *this;
  }
  // Sets outputs of the graph to those of the node.
  OnnxModelBuilder& Node(const std::string& op_type, const std::vector<std::string>& inputs,
                         const OnnxAttrs& attrs = {}, const std::vector<std::string>& outputs = {"y"}) {
    model.AddNode(op_type, inputs, outputs, attrs, "n");
    for (const std::string& output : outputs) {
      if (!output.empty()) model.AddOutput(output);
    }
    return model;
  }
  OnnxModelBuilder model;
};

}  // namespace omserve

#endif  // OMSERVE_CORE_IMPORT_ONNX_IMPORT_TEST_UTIL_H_
