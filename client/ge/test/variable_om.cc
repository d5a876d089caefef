// Writes an OM whose slice holds a variable, which builds refuse:
//   client_ge_variable_om OUTPUT
#include <iostream>

#include "core/om/om_file.h"

int main(int argc, char** argv) {
  using namespace omserve;
  if (argc != 2) return 2;
  const TensorDesc desc{DataType::kFloat, {2}};
  Graph graph("variable_rank0");
  Node* variable = graph.AddNode("Variable", "counter", {});
  variable->SetOutput(0, desc);
  graph.AddOutput("counter", variable->out());
  SlicedModel model;
  model.info.name = "variable";
  model.info.outputs = {{"counter", desc}};
  SliceInfo slice;
  slice.name = graph.name();
  slice.devices = {{0, 0, 0, 0}};
  slice.outputs = {{0, {0}, {2}}};
  model.info.slices.push_back(std::move(slice));
  model.graphs.push_back(std::move(graph));
  const absl::Status status = WriteOm(model, argv[1]);
  if (!status.ok()) std::cerr << status << "\n";
  return status.ok() ? 0 : 1;
}
