#include "core/build/slices.h"

#include <algorithm>
#include <filesystem>
#include <set>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "core/base/status.h"
#include "core/build/describe.h"
#include "core/build/import_model.h"
#include "core/device/cpu/cpu_device.h"
#include "core/partition/join_slices.h"
#include "core/partition/relation.h"

namespace omserve {
namespace {

namespace fs = std::filesystem;

using ProgressFunction = std::function<void(const BuildProgress&)>;

// "EF1008: x" becomes "EF1008: slice 'a.air': x": the code stays in front, where clients look for it.
absl::Status NameSlice(const absl::Status& status, const std::string& file) {
  const absl::string_view message = status.message();
  const size_t colon = message.find(": ");
  const bool coded = message.size() > 1 && message[0] == 'E' && colon == 6;
  const std::string code(message.substr(0, coded ? colon + 2 : 0));
  return absl::Status(status.code(), absl::StrCat(code, "slice '", file, "': ", message.substr(code.size())));
}

// Every slice has a file, and every model file is a slice: one that was forgotten would else go unnoticed.
absl::Status CheckFiles(const ModelRelation& relation, const std::string& folder) {
  std::error_code error;
  std::set<std::string> found;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    std::error_code ignored;
    if (it->is_regular_file(ignored)) found.insert(it->path().filename().string());
  }
  if (error) return absl::NotFoundError(absl::StrCat("E19001: folder of slices ", folder, ": ", error.message()));
  std::set<std::string> named;
  for (const RelationSlice& slice : relation.slices) {
    named.insert(slice.file);
    if (found.count(slice.file) == 0) {
      return absl::InvalidArgumentError(
          absl::StrCat("EF1001: submodel '", slice.file, "' of deploy_config is not in the folder of slices; there are ",
                       found.empty() ? "no files" : absl::StrJoin(found, ", ")));
    }
    if (!IsModelFile(slice.file)) {
      return absl::InvalidArgumentError(absl::StrCat("EF1001: submodel '", slice.file,
                                                     "' of deploy_config is no model file; expected a name that ends in "
                                                     ".air, .pb or .onnx"));
    }
  }
  for (const std::string& name : found) {
    if (!IsModelFile(name) || named.count(name) > 0) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("EF1001: '", name, "' in the folder of slices is not in deploy_config, which has ",
                     absl::StrJoin(named, ", ")));
  }
  return absl::OkStatus();
}

absl::Status CheckDevices(const ModelRelation& relation, const Cluster& cluster) {
  std::set<LogicalDeviceId> known;
  for (const ClusterDevice& device : cluster.devices()) known.insert(device.id);
  for (const RelationSlice& slice : relation.slices) {
    for (const LogicalDeviceId& id : slice.devices) {
      if (known.count(id) > 0) continue;
      return absl::InvalidArgumentError(
          absl::StrCat("EF2001: device ", id.ToString(), " of '", slice.file, "' is not in the cluster file, which has ",
                       absl::StrJoin(known, ", ", [](std::string* out, const LogicalDeviceId& device) {
                         absl::StrAppend(out, device.ToString());
                       })));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckOperators(const Graph& graph) {
  for (const int32_t id : graph.NodeIds()) {
    const Node& node = *graph.node(id);
    for (const char* type : {"Variable", "VariableV2", "VarHandleOp", "TemporaryVariable"}) {
      if (!node.is(type)) continue;
      return absl::InvalidArgumentError(absl::StrCat("E10055: operator '", node.name(), "' is a ", type,
                                                     "; models with variables cannot be deployed"));
    }
  }
  return absl::OkStatus();
}

bool HasInput(const Graph& graph, const std::string& name) {
  const Node* node = graph.FindNode(name);
  return node != nullptr && node->is_data();
}

// What the given shapes say of this slice; what they leave open is refused by its code.
absl::StatusOr<InputShapes> ShapesOf(const Graph& graph, const InputShapes& given) {
  InputShapes own;
  for (const auto& [name, shape] : given) {
    if (HasInput(graph, name)) own[name] = shape;
  }
  for (const int32_t id : graph.inputs()) {
    const Node& data = *graph.node(id);
    if (IsStatic(data.output().shape) || own.count(data.name()) > 0) continue;
    return absl::InvalidArgumentError(absl::StrCat("EF1008: input '", data.name(), "' is ", ToString(data.output()),
                                                   "; slices need static shapes: give one with input_shape"));
  }
  return own;
}

absl::StatusOr<LooseSlice> ReadSlice(const std::string& path, const InputShapes& shapes) {
  ASSIGN_OR_RETURN(Graph graph, ImportModel(path));
  RETURN_IF_ERROR(CheckOperators(graph));
  ASSIGN_OR_RETURN(const InputShapes own, ShapesOf(graph, shapes));
  // Before passes change anything: what the maker wrote is what the other slices were written to fit.
  ASSIGN_OR_RETURN(std::vector<int32_t> communication, CommunicationOf(graph));
  CpuEvaluator evaluator;
  RETURN_IF_ERROR(Optimize(graph, own, [&](const Graph& g, const Node& node, absl::Span<const Tensor> inputs) {
    return evaluator.Evaluate(g, node, inputs);
  }));
  return LooseSlice{std::move(graph), std::move(communication)};
}

absl::Status CheckShapesAreUsed(const std::vector<LooseSlice>& slices, const InputShapes& shapes) {
  for (const auto& [name, shape] : shapes) {
    if (std::any_of(slices.begin(), slices.end(),
                    [&, &name = name](const LooseSlice& slice) { return HasInput(slice.graph, name); })) {
      continue;
    }
    return absl::InvalidArgumentError(
        absl::StrCat("E10016: a shape is given for '", name, "', which is no input of any slice"));
  }
  return absl::OkStatus();
}

std::string Summary(const ModelRelation& relation, const JoinedSlices& joined) {
  const size_t replicas = relation.slices[0].devices.size();
  std::string text = absl::StrCat(relation.slices.size(), " slices by their maker: ",
                                  absl::StrJoin(relation.slices, ", ", [](std::string* out, const RelationSlice& slice) {
                                    absl::StrAppend(out, slice.file, " on ", slice.devices[0].ToString());
                                  }));
  if (!joined.groups.empty()) {
    absl::StrAppend(&text, "\ngroups: ",
                    absl::StrJoin(joined.groups, ", ", [](std::string* out, const RelationGroup& group) {
                      absl::StrAppend(out, group.name, " [", absl::StrJoin(group.ranks, ","), "]");
                    }));
  }
  if (replicas > 1) absl::StrAppend(&text, "\n", replicas, " replicas");
  return text;
}

SlicedModel Describe(const BuildOptions& options, const ModelRelation& relation, JoinedSlices joined) {
  SlicedModel model;
  ModelInfo& info = model.info;
  info.name = options.model_name;
  if (info.name.empty()) info.name = fs::path(relation.slices[0].file).stem().string();
  for (JoinedSlices::Value& input : joined.inputs) info.inputs.push_back({std::move(input.name), input.desc});
  for (JoinedSlices::Value& output : joined.outputs) info.outputs.push_back({std::move(output.name), output.desc});
  info.build = {{"omserve_version", OMSERVE_VERSION},
                {"source", absl::StrJoin(relation.slices, " ", [](std::string* out, const RelationSlice& slice) {
                   absl::StrAppend(out, slice.file);
                 })},
                {"plan", Summary(relation, joined)}};
  for (size_t rank = 0; rank < joined.slices.size(); ++rank) {
    SliceInfo slice = DescribeSlice(joined.slices[rank], relation.slices[rank].devices);
    slice.inputs = std::move(joined.slice_inputs[rank]);
    for (const int output : joined.slice_outputs[rank]) {
      const Shape& shape = info.outputs[output].desc.shape;
      slice.outputs.push_back({output, std::vector<int64_t>(shape.size(), 0), shape});
    }
    info.slices.push_back(std::move(slice));
  }
  for (RelationGroup& group : joined.groups) info.groups.push_back({std::move(group.name), std::move(group.ranks)});
  model.graphs = std::move(joined.slices);
  return model;
}

}  // namespace

absl::StatusOr<SlicedModel> BuildSlices(const BuildOptions& options, const ProgressFunction& progress,
                                        const WaitLimit& limit) {
  const auto report = [&](const char* phase, double fraction, std::string message = "") {
    if (progress) progress({phase, fraction, std::move(message)});
  };
  if (options.parallel) {
    return absl::InvalidArgumentError(
        "E10056: slices and a partition policy exclude each other: a model that is already cut is not cut again");
  }
  ASSIGN_OR_RETURN(const ModelRelation relation,
                   ModelRelation::FromJson(options.slices->relation, options.slices->relation_name));
  RETURN_IF_ERROR(CheckDevices(relation, options.cluster));
  RETURN_IF_ERROR(CheckFiles(relation, options.slices->folder));
  std::vector<LooseSlice> slices;
  for (const RelationSlice& slice : relation.slices) {
    report("import", static_cast<double>(slices.size()) / static_cast<double>(relation.slices.size()), slice.file);
    RETURN_IF_ERROR(limit.Check("the build"));
    absl::StatusOr<LooseSlice> read =
        ReadSlice((fs::path(options.slices->folder) / slice.file).string(), options.input_shapes);
    if (!read.ok()) return NameSlice(read.status(), slice.file);
    slices.push_back(*std::move(read));
  }
  report("import", 1);
  RETURN_IF_ERROR(CheckShapesAreUsed(slices, options.input_shapes));
  report("plan", 0);
  RETURN_IF_ERROR(limit.Check("the build"));
  ASSIGN_OR_RETURN(JoinedSlices joined, JoinSlices(relation, std::move(slices)));
  SlicedModel model = Describe(options, relation, std::move(joined));
  model.info.stages = CountStages(model);
  report("plan", 1, model.info.build["plan"]);
  return model;
}

}  // namespace omserve
