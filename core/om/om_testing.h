// Small models for the tests of this folder.
#ifndef OMSERVE_CORE_OM_OM_TESTING_H_
#define OMSERVE_CORE_OM_OM_TESTING_H_

#include <cstdlib>
#include <filesystem>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "core/om/om_file.h"

namespace omserve::testing {

// A folder that is removed at the end of the test.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "omserve_om_XXXXXX").string();
    path_ = ::mkdtemp(name.data());
  }
  ~TemporaryFolder() { std::filesystem::remove_all(path_); }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

inline Tensor Counting(Shape shape) {
  std::vector<float> values(static_cast<size_t>(NumElements(shape)));
  std::iota(values.begin(), values.end(), 1.0f);
  return Tensor::Of<float>(std::move(shape), values);
}

// y = x · w + b cut over `ranks` devices by columns of w; each slice holds its columns of y. The shards of w
// are strided boxes of one source.
inline SlicedModel ColumnCut(int ranks, int64_t rows = 4, int64_t columns = 8) {
  SlicedModel model;
  model.info.name = "mlp";
  model.info.inputs = {{"x", {DataType::kFloat, {2, rows}}}};
  model.info.outputs = {{"y", {DataType::kFloat, {2, columns}}}};
  model.info.build = {{"source", "test"}};
  HcomGroup group{"tp", {}};
  const TensorSlice weights(Counting({rows, columns}));
  const TensorSlice bias(Counting({columns}));
  const int64_t part = columns / ranks;
  for (int rank = 0; rank < ranks; ++rank) {
    Graph graph("mlp_rank" + std::to_string(rank));
    Node* x = graph.AddData("x", {DataType::kFloat, {2, rows}});
    const std::vector<int64_t> begin = {0, rank * part};
    Node* w = graph.AddConst("w", *weights.Slice(begin, {rows, part}));
    Node* b = graph.AddConst("b", *bias.Slice({rank * part}, {part}));
    Node* y = graph.AddNode("MatMulV2", "fc", {x->out(), w->out(), b->out()});
    y->SetOutput(0, {DataType::kFloat, {2, part}});
    y->SetAttr("transpose_x1", false);
    graph.AddOutput("y", y->out());
    SliceInfo slice;
    slice.name = graph.name();
    slice.devices = {{0, 0, rank, 0}};
    slice.inputs = {0};
    slice.outputs = {{0, begin, {2, part}}};
    slice.weight_bytes = (rows + 1) * part * 4;
    model.info.slices.push_back(std::move(slice));
    model.graphs.push_back(std::move(graph));
    group.ranks.push_back(rank);
  }
  model.info.groups = {group};
  return model;
}

// Everything of a graph that an OM keeps, as text: the dump, the order of nodes, and all bytes of the
// constants.
inline std::string Fingerprint(const Graph& original) {
  Graph graph = original.Clone();
  for (int32_t id : graph.NodeIds()) {
    // A box becomes a tensor of its own.
    Node* node = graph.node(id);
    if (node->constant() != nullptr) node->SetConstant(TensorSlice(node->constant()->Materialize()));
  }
  std::string text = Dump(graph);
  for (int32_t id : graph.NodeIds()) {
    const Node& node = *graph.node(id);
    text += node.name() + " " + std::to_string(node.num_inputs());
    if (node.constant() != nullptr) {
      const Tensor dense = node.constant()->Materialize();
      text += ToString(dense.desc()) + " ";
      text.append(reinterpret_cast<const char*>(dense.data()), dense.byte_size());
    }
    text += "\n";
  }
  return text;
}

// The graph of submodel `index`, read from the mapped file.
inline absl::StatusOr<Graph> ReadSlice(const OmFile& om, size_t index) {
  const OmSubmodel& submodel = om.submodels()[index];
  return ReadSliceOm(Buffer::OfFile(submodel.file, submodel.offset, submodel.size));
}

}  // namespace omserve::testing

#endif  // OMSERVE_CORE_OM_OM_TESTING_H_
