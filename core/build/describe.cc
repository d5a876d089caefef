#include "core/build/describe.h"

#include <algorithm>
#include <numeric>
#include <set>
#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace omserve {
namespace {

// Of one request: more would only be a slip of the pen.
constexpr int64_t kMostMicroBatches = 1 << 20;

}  // namespace

int64_t WeightBytes(const Graph& slice) {
  int64_t bytes = 0;
  for (int32_t id : slice.NodeIds()) {
    if (const TensorSlice* constant = slice.node(id)->constant()) bytes += static_cast<int64_t>(constant->byte_size());
  }
  return bytes;
}

SliceInfo DescribeSlice(const Graph& slice, std::vector<LogicalDeviceId> devices) {
  SliceInfo info;
  info.name = slice.name();
  info.devices = std::move(devices);
  info.inputs.resize(slice.inputs().size());
  std::iota(info.inputs.begin(), info.inputs.end(), 0);
  info.weight_bytes = WeightBytes(slice);
  return info;
}

ModelInfo DescribeInputsAndOutputs(const Graph& graph) {
  ModelInfo info;
  for (int32_t id : graph.inputs()) info.inputs.push_back({graph.node(id)->name(), graph.node(id)->output()});
  for (const GraphOutput& output : graph.outputs()) info.outputs.push_back({output.name, graph.desc(output.value)});
  return info;
}

absl::StatusOr<int> CountMicroBatches(const ModelInfo& info, int64_t global_batch_size) {
  int64_t rows = -1;
  std::string first;
  for (const std::vector<NamedDesc>* descs : {&info.inputs, &info.outputs}) {
    for (const NamedDesc& tensor : *descs) {
      const Shape& shape = tensor.desc.shape;
      if (shape.empty() && descs == &info.inputs) continue;  // the same for all micro-batches
      if (rows < 0) {
        rows = shape.empty() ? 0 : shape[0];
        first = tensor.name;
      }
      if (rows > 0 && !shape.empty() && shape[0] == rows) continue;
      return absl::InvalidArgumentError(
          absl::StrCat("EF1001: global_batch_size ", global_batch_size, " needs the batch as the first dimension of every ",
                       "input and output, but '", tensor.name, "' has shape ", ToString(shape),
                       tensor.name == first ? "" : absl::StrCat(" and '", first, "' begins with ", rows)));
    }
  }
  if (rows > 0 && global_batch_size / rows > kMostMicroBatches) {
    return absl::InvalidArgumentError(absl::StrCat("EF1001: global_batch_size ", global_batch_size, " is ",
                                                   global_batch_size / rows, " micro-batches of ", rows, " rows; at most ",
                                                   kMostMicroBatches, " are run for one request"));
  }
  if (rows > 0 && global_batch_size % rows == 0) return static_cast<int>(global_batch_size / rows);
  return absl::InvalidArgumentError(absl::StrCat("EF1001: global_batch_size ", global_batch_size,
                                                 " is not a multiple of the batch ", rows,
                                                 " that the model is built for; choose another --input-shape"));
}

int CountStages(const SlicedModel& model) {
  std::set<std::string> collective;  // names of groups
  for (const Graph& slice : model.graphs) {
    for (int32_t id : slice.NodeIds()) {
      const Node& node = *slice.node(id);
      if (!absl::StartsWith(node.type(), "Hcom") || node.type() == "HcomSend" || node.type() == "HcomReceive") continue;
      if (const std::string* group = node.FindAttr<std::string>("group")) collective.insert(*group);
    }
  }
  std::vector<int> part(model.graphs.size());
  std::iota(part.begin(), part.end(), 0);
  for (const HcomGroup& group : model.info.groups) {
    if (collective.count(group.name) == 0) continue;
    for (const int rank : group.ranks) {
      // Not in place: the part that is replaced is among those looked at.
      const int from = part[rank], to = part[group.ranks[0]];
      std::replace(part.begin(), part.end(), from, to);
    }
  }
  return static_cast<int>(std::set<int>(part.begin(), part.end()).size());
}

}  // namespace omserve
