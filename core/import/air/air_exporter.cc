#include "core/import/air/air_exporter.h"

#include <filesystem>
#include <memory>
#include <utility>
#include <vector>

#include "core/base/file.h"
#include "core/base/status.h"
#include "core/om/ge_ir.h"
#include "core/om/ge_ir_names.h"
#include "core/om/weights.h"

namespace omserve {
namespace {

uint64_t ConstantBytes(const Graph& graph) {
  uint64_t bytes = 0;
  for (int32_t id : graph.NodeIds()) {
    if (const TensorSlice* constant = graph.node(id)->constant()) bytes += constant->byte_size();
  }
  return bytes;
}

// A Const whose bytes lie at an offset becomes the FileConstant that says so.
void MakeFileConstants(const Graph& graph, const WeightRanges& ranges, const std::string& file, ge::proto::GraphDef* def) {
  for (ge::proto::OpDef& op : *def->mutable_op()) {
    const Node* const node = graph.FindNode(op.name());
    if (node == nullptr || !ranges.contains(node->id())) continue;
    const WeightRange& range = ranges.at(node->id());
    op.set_type(kFileConstantType);
    op.mutable_attr()->erase(kValueAttr);
    auto& attrs = *op.mutable_attr();
    AttrToGe(file, &attrs["file_path"]);
    AttrToGe(static_cast<int64_t>(range.offset), &attrs["offset"]);
    AttrToGe(static_cast<int64_t>(node->constant()->byte_size()), &attrs["length"]);
    AttrToGe(std::vector<int64_t>(node->output().shape.begin(), node->output().shape.end()), &attrs["shape"]);
    AttrToGe(node->output().type, &attrs["dtype"]);
  }
}

}  // namespace

absl::Status ExportAir(const Graph& graph, const std::string& path, const AirExportOptions& options) {
  ge::proto::ModelDef model;
  model.set_name(graph.name());
  if (ConstantBytes(graph) <= options.max_inline_bytes) {
    RETURN_IF_ERROR(GraphToGe(graph, {}, model.add_graph()));
    return WriteFileAtomically(path, model.SerializeAsString());
  }
  ASSIGN_OR_RETURN(const std::vector<int32_t> order, GeOperatorOrder(graph));
  const WeightPlan plan(graph, order);
  RETURN_IF_ERROR(GraphToGe(graph, plan.ranges(), model.add_graph()));
  const std::string weights = path + ".weights";
  MakeFileConstants(graph, plan.ranges(), std::filesystem::path(weights).filename().string(), model.mutable_graph(0));
  ASSIGN_OR_RETURN(const std::unique_ptr<FileWriter> writer, FileWriter::Create(weights));
  RETURN_IF_ERROR(plan.Stream([&](const void* data, size_t size) { return writer->Append(data, size); }));
  RETURN_IF_ERROR(writer->Commit());
  return WriteFileAtomically(path, model.SerializeAsString());
}

}  // namespace omserve
