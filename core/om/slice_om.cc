#include "core/om/slice_om.h"

#include "absl/strings/str_cat.h"
#include "core/base/status.h"
#include "core/om/container.h"
#include "core/om/ge_ir.h"
#include "core/om/ge_ir_names.h"
#include "core/om/om_file.h"
#include "core/om/private_data.h"
#include "core/om/wire.h"
#include "ge/task.pb.h"

namespace omserve {
namespace {

constexpr uint32_t kCompiledModelVersion = 2;  // ModelDef.version
constexpr uint32_t kInputDescs = 0;            // kinds of blocks in MODEL_INOUT_INFO
constexpr uint32_t kOutputDescs = 1;
constexpr int32_t kFormatNd = 2;

template <typename T>
void AppendNumber(T value, std::string* out) {
  out->append(reinterpret_cast<const char*>(&value), sizeof(value));
}

void AppendShape(const Shape& shape, std::string* out) {
  for (int64_t dim : shape) AppendNumber(dim, out);
}

void AppendInOut(const std::string& name, const TensorDesc& desc, std::string* out) {
  const uint32_t dims_bytes = static_cast<uint32_t>(desc.shape.size() * sizeof(int64_t));
  const absl::StatusOr<size_t> size = CheckedByteSize(desc);
  AppendNumber(static_cast<uint64_t>(size.ok() ? *size : 0), out);
  AppendNumber(kFormatNd, out);
  AppendNumber(ToAclNumber(desc.type), out);
  AppendNumber(static_cast<uint32_t>(name.size()), out);
  AppendNumber(dims_bytes, out);
  AppendNumber(dims_bytes, out);   // the same dimensions again: nothing was added by preprocessing
  AppendNumber(uint32_t{0}, out);  // no ranges: static shapes
  out->append(name);
  AppendShape(desc.shape, out);
  AppendShape(desc.shape, out);
}

void AppendBlock(uint32_t type, uint32_t count, const std::string& descs, std::string* out) {
  if (count == 0) return;  // empty blocks are left out
  AppendNumber(type, out);
  AppendNumber(static_cast<uint32_t>(sizeof(count) + descs.size()), out);
  AppendNumber(count, out);
  out->append(descs);
}

std::string InOutInfo(const Graph& graph) {
  std::string inputs, outputs, info;
  for (int32_t id : graph.inputs()) AppendInOut(graph.node(id)->name(), graph.node(id)->output(), &inputs);
  const std::vector<std::string> names = OutputNodeNames(graph);
  for (size_t i = 0; i < names.size(); ++i)
    AppendInOut(names[i], graph.desc(graph.outputs()[i].value), &outputs);
  AppendBlock(kInputDescs, static_cast<uint32_t>(graph.inputs().size()), inputs, &info);
  AppendBlock(kOutputDescs, static_cast<uint32_t>(names.size()), outputs, &info);
  return info;
}

}  // namespace

void SetInspectionAttrs(const InspectionInfo& info, const std::vector<std::string>& output_nodes,
                        ge::proto::ModelDef* model) {
  auto& attrs = *model->mutable_attr();
  AttrToGe(info.program, &attrs["atc_version"]);
  AttrToGe(info.command, &attrs["atc_cmdline"]);
  // Not compiled for a chip: an empty version is what loaders do not compare.
  AttrToGe(std::string(), &attrs["soc_version"]);
  AttrToGe(info.framework, &attrs["framework_type"]);
  AttrToGe(int64_t{0}, &attrs["memory_size"]);
  AttrToGe(info.sizes.empty() ? int64_t{0} : info.sizes.front(), &attrs["weight_size"]);
  AttrToGe(int64_t{0}, &attrs["stream_num"]);
  AttrToGe(int64_t{0}, &attrs["event_num"]);
  AttrToGe(int64_t{0}, &attrs["label_num"]);
  AttrToGe(info.sizes, &attrs["om_info_list"]);
  AttrToGe(output_nodes, &attrs["attr_model_out_nodes_name"]);
}

absl::StatusOr<SliceOm> SliceOm::Prepare(const Graph& graph, const std::string& name,
                                         const std::string& devices, InspectionInfo inspection) {
  ASSIGN_OR_RETURN(std::vector<int32_t> order, GeOperatorOrder(graph));
  WeightPlan weights(graph, order);

  domi::ModelTaskDef tasks;
  tasks.set_version("1.0");
  tasks.set_weight_size(weights.size());
  ASSIGN_OR_RETURN(std::string task_info, SerializeMessage(tasks, "the task list"));

  ge::proto::ModelDef model;
  model.set_name(name);
  model.set_version(kCompiledModelVersion);
  RETURN_IF_ERROR(GraphToGe(graph, weights.ranges(), model.add_graph()));
  AttrToGe(devices, &(*model.mutable_graph(0)->mutable_attr())["_device_id"]);
  inspection.sizes = {static_cast<int64_t>(weights.size()), 0, 0, static_cast<int64_t>(task_info.size()), 0};
  SetInspectionAttrs(inspection, OutputNodeNames(graph), &model);
  ASSIGN_OR_RETURN(std::string model_def,
                   SerializeMessage(model, absl::StrCat("the description of slice '", name, "'")));

  const std::string in_out = InOutInfo(graph);
  constexpr size_t kPartitions = 4;
  // Kernels read weights where they are mapped.
  model_def += ModelPadding(OmHeadBytes(kPartitions) + in_out.size() + model_def.size(), 0, kWeightAlignment);
  std::string before = EncodeOmHead(OmModelType::kSlice, name,
                                    {{OmPartitionType::kModelInOutInfo, in_out.size()},
                                     {OmPartitionType::kModelDef, model_def.size()},
                                     {OmPartitionType::kWeightsData, weights.size()},
                                     {OmPartitionType::kTaskInfo, task_info.size()}});
  before += in_out;
  before += model_def;
  return SliceOm(std::move(before), std::move(weights), std::move(task_info));
}

absl::Status SliceOm::Stream(const ByteSink& sink) const {
  RETURN_IF_ERROR(sink(before_weights_.data(), before_weights_.size()));
  RETURN_IF_ERROR(weights_.Stream(sink));
  return sink(after_weights_.data(), after_weights_.size());
}

absl::StatusOr<Graph> ReadSliceOm(Buffer nested_om) {
  ASSIGN_OR_RETURN(OmContainer container, ParseOmContainer(nested_om.view()));
  if (container.type != OmModelType::kSlice) {
    return absl::InvalidArgumentError("a slice was expected, but the OM is a flow model itself");
  }
  const OmPartition* model_def = container.Find(OmPartitionType::kModelDef);
  if (model_def == nullptr) return absl::DataLossError("the OM of a slice has no MODEL_DEF");
  const std::string_view bytes =
      nested_om.view().substr(static_cast<size_t>(model_def->offset), static_cast<size_t>(model_def->size));
  ge::proto::ModelDef model;
  RETURN_IF_ERROR(ParseMessage(bytes, absl::StrCat("MODEL_DEF at byte ", model_def->offset), &model));
  if (model.graph_size() != 1) {
    return absl::UnimplementedError(
        absl::StrCat("the OM of a slice has ", model.graph_size(), " graphs; exactly one is supported"));
  }
  Buffer weights;
  if (const OmPartition* partition = container.Find(OmPartitionType::kWeightsData)) {
    weights = nested_om.Slice(static_cast<size_t>(partition->offset), static_cast<size_t>(partition->size));
  }
  return GraphFromGe(model.graph(0), weights);
}

}  // namespace omserve
