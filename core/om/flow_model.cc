#include "core/om/flow_model.h"

#include <algorithm>
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "core/base/sha256.h"
#include "core/om/ge_ir.h"
#include "core/om/ge_ir_names.h"

namespace omserve {
namespace {

using ge::flow_model::proto::FlowModelDef;
using ge::flow_model::proto::ModelRelationDef;

constexpr size_t kMaxQueueName = 127;
constexpr int64_t kQueueDepth = 128;
enum QueueType : int32_t { kQueue = 0, kDummyQueue = 2 };  // a dummy queue holds an output that nobody reads
enum QueueAction : int64_t { kDefaultAction = 0, kControlAction = 1 };

struct RootOutput {
  size_t slice = 0;
  int position = 0;  // among the outputs of the slice
};

// The outputs of the root: for each output of the model its different pieces.
std::vector<RootOutput> RootOutputs(const ModelInfo& info) {
  std::vector<RootOutput> outputs;
  for (size_t o = 0; o < info.outputs.size(); ++o) {
    std::set<std::pair<std::vector<int64_t>, Shape>> seen;
    for (size_t s = 0; s < info.slices.size(); ++s) {
      for (size_t i = 0; i < info.slices[s].outputs.size(); ++i) {
        const OutputPiece& piece = info.slices[s].outputs[i];
        if (piece.output == static_cast<int>(o) && seen.emplace(piece.begin, piece.extent).second) {
          outputs.push_back({s, static_cast<int>(i)});
        }
      }
    }
  }
  return outputs;
}

TensorDesc PieceDesc(const ModelInfo& info, const OutputPiece& piece) {
  return {info.outputs[static_cast<size_t>(piece.output)].desc.type, piece.extent};
}

// Long names keep their beginning; a digest of the whole keeps them apart.
std::string QueueName(std::string name) {
  if (name.size() <= kMaxQueueName) return name;
  const std::string digest = Sha256::Of(name).substr(0, 16);
  size_t length = kMaxQueueName - 1 - digest.size();
  while (length > 0 && (static_cast<unsigned char>(name[length]) & 0xC0) == 0x80) --length;
  return absl::StrCat(name.substr(0, length), "_", digest);
}

std::string InputQueue(const ModelInfo& info, int input) {
  return QueueName(absl::StrCat(info.name, ":", info.inputs[static_cast<size_t>(input)].name));
}

std::string OutputQueue(const SliceInfo& slice, int position) {
  return QueueName(absl::StrCat(slice.name, ":", position));
}

void AddQueue(const std::string& name, QueueType type, QueueAction action, ModelRelationDef* relation) {
  ModelRelationDef::Endpoint* endpoint = relation->add_endpoint();
  endpoint->set_name(name);
  endpoint->set_endpoint_type(type);
  auto& attrs = *endpoint->mutable_attrs();
  attrs["QueueDepth"].set_i(kQueueDepth);
  attrs["QueueEnqueuePolicy"].set_s("FIFO");
  attrs["QueueNodeAction"].set_i(action);
}

}  // namespace

std::string DeviceList(const SliceInfo& slice) {
  return absl::StrJoin(slice.devices, ",",
                       [](std::string* out, const LogicalDeviceId& id) { out->append(id.ToString()); });
}

ge::proto::GraphDef RootGraph(const ModelInfo& info) {
  ge::proto::GraphDef graph;
  graph.set_name(info.name);
  // Inputs, slices and the NetOutput share one space of names. Slices keep theirs: FLOW_MODEL refers to them.
  std::set<std::string> taken;
  for (const SliceInfo& slice : info.slices) taken.insert(slice.name);
  std::string net_output = kNetOutputName;
  while (!taken.insert(net_output).second) net_output += "_";
  std::string input_prefix;
  const auto clashes = [&](const NamedDesc& input) { return taken.contains(input_prefix + input.name); };
  while (std::any_of(info.inputs.begin(), info.inputs.end(), clashes)) input_prefix += "_";

  for (size_t i = 0; i < info.inputs.size(); ++i) {
    ge::proto::OpDef* op = graph.add_op();
    op->set_name(input_prefix + info.inputs[i].name);
    op->set_type(kDataType);
    op->set_id(graph.op_size() - 1);
    AttrToGe(static_cast<int64_t>(i), &(*op->mutable_attr())[kIndexAttr]);
    *op->add_input_desc() = DescToGe(info.inputs[i].desc);
    *op->add_output_desc() = DescToGe(info.inputs[i].desc);
    graph.add_input(absl::StrCat(op->name(), ":0"));
  }
  for (const SliceInfo& slice : info.slices) {
    ge::proto::OpDef* op = graph.add_op();
    op->set_name(slice.name);
    op->set_type("PartitionedCall");
    op->set_id(graph.op_size() - 1);
    AttrToGe(DeviceList(slice), &(*op->mutable_attr())["_logic_device_id"]);
    for (int input : slice.inputs) {
      const NamedDesc& source = info.inputs[static_cast<size_t>(input)];
      op->add_input(absl::StrCat(input_prefix, source.name, ":0"));
      *op->add_input_desc() = DescToGe(source.desc);
    }
    for (const OutputPiece& piece : slice.outputs) *op->add_output_desc() = DescToGe(PieceDesc(info, piece));
  }
  ge::proto::OpDef* op = graph.add_op();
  op->set_name(net_output);
  op->set_type(kNetOutputType);
  op->set_id(graph.op_size() - 1);
  for (const RootOutput& output : RootOutputs(info)) {
    const SliceInfo& slice = info.slices[output.slice];
    const std::string edge = absl::StrCat(slice.name, ":", output.position);
    op->add_input(edge);
    *op->add_input_desc() = DescToGe(PieceDesc(info, slice.outputs[static_cast<size_t>(output.position)]));
    graph.add_output(edge);
  }
  return graph;
}

FlowModelDef FlowModel(const ModelInfo& info) {
  FlowModelDef flow;
  flow.set_model_name(info.name);
  ModelRelationDef& relation = *flow.mutable_relation();
  ModelRelationDef::ModelEndpointInfo& root = *relation.mutable_root_model_endpoint_info();
  root.set_model_name(info.name);

  for (size_t i = 0; i < info.inputs.size(); ++i) {
    AddQueue(InputQueue(info, static_cast<int>(i)), kQueue, kDefaultAction, &relation);
    root.add_input_endpoint_name(InputQueue(info, static_cast<int>(i)));
  }
  std::set<std::pair<size_t, int>> read;
  for (const RootOutput& output : RootOutputs(info)) {
    read.emplace(output.slice, output.position);
    root.add_output_endpoint_name(OutputQueue(info.slices[output.slice], output.position));
  }
  bool has_control_input = false;
  for (size_t s = 0; s < info.slices.size(); ++s) {
    const SliceInfo& slice = info.slices[s];
    flow.add_submodel_name(slice.name);
    ModelRelationDef::ModelEndpointInfo& submodel = (*relation.mutable_submodel_endpoint_info())[slice.name];
    submodel.set_model_name(slice.name);
    for (int input : slice.inputs) submodel.add_input_endpoint_name(InputQueue(info, input));
    for (int i = 0; i < static_cast<int>(slice.outputs.size()); ++i) {
      AddQueue(OutputQueue(slice, i), read.contains({s, i}) ? kQueue : kDummyQueue, kDefaultAction,
               &relation);
      submodel.add_output_endpoint_name(OutputQueue(slice, i));
    }
    // A submodel must be triggered and awaited even when it exchanges nothing with the root.
    if (slice.inputs.empty()) {
      constexpr char kControlInput[] = "__control_input";
      if (!std::exchange(has_control_input, true)) AddQueue(kControlInput, kQueue, kControlAction, &relation);
      submodel.add_input_endpoint_name(kControlInput);
    }
    if (slice.outputs.empty()) {
      const std::string name = QueueName(absl::StrCat("__", slice.name, "_control_output"));
      AddQueue(name, kQueue, kControlAction, &relation);
      submodel.add_output_endpoint_name(name);
    }
  }
  return flow;
}

}  // namespace omserve
