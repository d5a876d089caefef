#include "core/partition/plan_file.h"

#include <cmath>
#include <limits>
#include <memory>
#include <set>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "core/base/json.h"
#include "core/base/status.h"
#include "core/ops/op.h"
#include "core/partition/explain.h"
#include "core/partition/space.h"
#include "core/partition/weight_gather.h"
#include "nlohmann/json.hpp"

namespace omserve {
namespace {

using nlohmann::ordered_json;

// Names of the factors of a rule, unique: "m", or "#2" where a name is empty or repeats.
std::vector<std::string> FactorNames(const ShardingRule& rule) {
  std::map<std::string, int> times;
  for (const Factor& factor : rule.factors) ++times[factor.name];
  std::vector<std::string> names;
  for (size_t f = 0; f < rule.factors.size(); ++f) {
    const std::string& name = rule.factors[f].name;
    names.push_back(name.empty() || times[name] > 1 || name[0] == '#' ? absl::StrCat("#", f) : name);
  }
  return names;
}

AxisList ListOf(AxisMask mask) {
  AxisList axes;
  for (int8_t axis = 0; axis < 32; ++axis) {
    if (mask >> axis & 1) axes.push_back(axis);
  }
  return axes;
}

ordered_json AxesToJson(const AxisList& axes) {
  ordered_json list = ordered_json::array();
  for (int8_t axis : axes) list.push_back(static_cast<int>(axis));
  return list;
}

absl::StatusOr<AxisList> AxesFromJson(const JsonPlace& place, const Mesh& mesh) {
  ASSIGN_OR_RETURN(const std::vector<JsonPlace> items, place.Array());
  AxisList axes;
  for (const JsonPlace& item : items) {
    ASSIGN_OR_RETURN(const int64_t axis, item.IntInRange(0, mesh.num_axes() - 1));
    if (MaskOf(axes) >> axis & 1) return item.Error(absl::StrCat("axis ", axis, " is given twice"));
    axes.push_back(static_cast<int8_t>(axis));
  }
  return axes;
}

// The reverse of ToString(Sharding).
absl::StatusOr<Sharding> ShardingFromJson(const JsonPlace& place, const Mesh& mesh, const Shape& shape) {
  ASSIGN_OR_RETURN(const std::string text, place.String());
  auto wrong = [&] {
    return place.Error(absl::StrCat("expected a sharding of rank ", shape.size(), " on mesh ",
                                    mesh.ToString(), " such as \"[0.1, -]\" or \"[-, -]+sum(0)\", found \"",
                                    text, "\""));
  };
  Sharding sharding;
  absl::string_view rest = text;
  if (!absl::ConsumePrefix(&rest, "[")) return wrong();
  const size_t end = rest.find(']');
  if (end == absl::string_view::npos) return wrong();
  auto axes_of = [&](absl::string_view list, AxisList* axes) {
    for (absl::string_view part : absl::StrSplit(list, '.')) {
      int axis = 0;
      if (!absl::SimpleAtoi(part, &axis) || axis < 0 || axis >= mesh.num_axes()) return false;
      axes->push_back(static_cast<int8_t>(axis));
    }
    return true;
  };
  const absl::string_view dims = rest.substr(0, end);
  if (!dims.empty()) {
    for (absl::string_view dim : absl::StrSplit(dims, ", ")) {
      sharding.dims.emplace_back();
      if (dim != "-" && !axes_of(dim, &sharding.dims.back())) return wrong();
    }
  }
  rest.remove_prefix(end + 1);
  if (absl::ConsumePrefix(&rest, "+sum(")) {
    AxisList axes;
    if (!absl::ConsumeSuffix(&rest, ")") || !axes_of(rest, &axes)) return wrong();
    sharding.partial = MaskOf(axes);
    rest = "";
  }
  if (!rest.empty() || sharding.dims.size() != shape.size() || !IsLegal(mesh, sharding, shape))
    return wrong();
  return sharding;
}

absl::StatusOr<std::vector<int>> DevicesFromJson(const JsonPlace& place, const Cluster& cluster) {
  ASSIGN_OR_RETURN(const std::vector<JsonPlace> items, place.Array());
  std::vector<int> devices;
  for (const JsonPlace& item : items) {
    ASSIGN_OR_RETURN(const std::string text, item.String());
    ASSIGN_OR_RETURN_WITH(const LogicalDeviceId id, LogicalDeviceId::Parse(text), item.path());
    int position = -1;
    for (int i = 0; i < cluster.num_devices(); ++i) {
      if (cluster.devices()[static_cast<size_t>(i)].id == id) position = i;
    }
    if (position < 0) return item.Error(absl::StrCat("the cluster has no device ", id.ToString()));
    devices.push_back(position);
  }
  if (devices.empty()) return place.Error("expected at least one device");
  return devices;
}

ordered_json DevicesToJson(const Cluster& cluster, const std::vector<int>& devices) {
  ordered_json list = ordered_json::array();
  for (int position : devices) list.push_back(cluster.devices()[static_cast<size_t>(position)].id.ToString());
  return list;
}

absl::StatusOr<int64_t> ReadPadding(const JsonPlace& root) {
  constexpr int64_t kMost = 1 << 16;
  const JsonPlace place = root.Field("padded_to_multiple_of");
  if (place.value() == nullptr) return 1;
  return place.IntInRange(1, kMost);
}

class PlanReader {
 public:
  PlanReader(const Graph& graph, const Cluster& cluster)
      : graph_(graph), cluster_(cluster), epilogues_(FindEpilogues(graph)) {}

  absl::StatusOr<Plan> Read(const JsonPlace& root) {
    RETURN_IF_ERROR(root.CheckObject());
    RETURN_IF_ERROR(root.CheckFields(
        {"model", "predicted_seconds", "lower_bound_seconds", "stages", "replicas", "weight_prefetch",
         "padded_to_multiple_of", "operators", "outputs"}));
    ASSIGN_OR_RETURN(plan_.padded_to, ReadPadding(root));
    RETURN_IF_ERROR(ReadPrefetch(root.Field("weight_prefetch")));
    RETURN_IF_ERROR(ReadStages(root));
    ASSIGN_OR_RETURN(const std::vector<JsonPlace> operators, root.Field("operators").Array());
    for (const JsonPlace& place : operators) RETURN_IF_ERROR(ReadOperator(place));
    ASSIGN_OR_RETURN(const PlanGraph decided, PlanGraph::Create(graph_));
    for (int32_t id : decided.nodes()) {
      if (plan_.strategies.contains(id)) continue;
      return root.Field("operators")
          .Error(absl::StrCat("operator '", graph_.node(id)->name(), "' (", graph_.node(id)->type(),
                              ") of the model is missing"));
    }
    RETURN_IF_ERROR(CheckEdges(decided));
    RETURN_IF_ERROR(ReadOutputs(root.Field("outputs")));
    return std::move(plan_);
  }

 private:
  absl::Status ReadStages(const JsonPlace& root) {
    ASSIGN_OR_RETURN(const std::vector<JsonPlace> stages, root.Field("stages").Array());
    if (stages.empty()) return root.Field("stages").Error("expected at least one stage");
    plan_.stages.clear();
    std::set<int> used;
    for (const JsonPlace& stage : stages) {
      RETURN_IF_ERROR(stage.CheckObject());
      RETURN_IF_ERROR(stage.CheckFields({"devices", "axes"}));
      ASSIGN_OR_RETURN(const std::vector<int> devices, DevicesFromJson(stage.Field("devices"), cluster_));
      for (int device : devices) {
        if (used.insert(device).second) continue;
        return stage.Field("devices").Error(absl::StrCat(
            "device ", cluster_.devices()[static_cast<size_t>(device)].id.ToString(), " is used twice"));
      }
      ASSIGN_OR_RETURN(const std::vector<JsonPlace> sizes, stage.Field("axes").Array());
      std::vector<int> axes;
      int64_t product = 1;
      for (const JsonPlace& size : sizes) {
        ASSIGN_OR_RETURN(const int64_t value, size.IntInRange(2, static_cast<int64_t>(devices.size())));
        axes.push_back(static_cast<int>(value));
        product = std::min<int64_t>(product * value, int64_t{1} << 32);
      }
      if (product != static_cast<int64_t>(devices.size()) || axes.size() > 16) {
        return stage.Field("axes").Error(
            absl::StrCat("expected sizes whose product is the number of devices, ", devices.size(),
                         ", found ", absl::StrJoin(axes, " x ")));
      }
      plan_.stages.emplace_back(devices, axes);
    }
    if (root.Field("replicas").value() == nullptr) return absl::OkStatus();
    ASSIGN_OR_RETURN(const std::vector<JsonPlace> replicas, root.Field("replicas").Array());
    std::set<int> all;
    for (const JsonPlace& replica : replicas) {
      ASSIGN_OR_RETURN(std::vector<int> devices, DevicesFromJson(replica, cluster_));
      if (static_cast<int>(devices.size()) != plan_.num_ranks()) {
        return replica.Error(
            absl::StrCat("expected ", plan_.num_ranks(), " devices, one per rank, found ", devices.size()));
      }
      for (int device : devices) {
        if (all.insert(device).second) continue;
        return replica.Error(absl::StrCat(
            "device ", cluster_.devices()[static_cast<size_t>(device)].id.ToString(), " is used twice"));
      }
      plan_.replicas.push_back(std::move(devices));
    }
    return absl::OkStatus();
  }

  absl::Status ReadPrefetch(const JsonPlace& place) {
    if (place.value() == nullptr) return absl::OkStatus();
    RETURN_IF_ERROR(place.CheckObject());
    RETURN_IF_ERROR(place.CheckFields({"ahead", "buffer_bytes"}));
    ASSIGN_OR_RETURN(plan_.weight_prefetch.ahead, place.Field("ahead").Bool());
    ASSIGN_OR_RETURN(plan_.weight_prefetch.buffer_bytes,
                     place.Field("buffer_bytes").IntInRange(0, std::numeric_limits<int64_t>::max()));
    return absl::OkStatus();
  }

  // {"1": "[0, -]"}: by input, how its weight is held.
  absl::Status ReadHeld(const JsonPlace& place, const Node& node, const Mesh& mesh, Strategy* strategy) {
    if (place.value() == nullptr) return absl::OkStatus();
    RETURN_IF_ERROR(place.CheckObject());
    for (auto it = place.value()->begin(); it != place.value()->end(); ++it) {
      int input = -1;
      if (!absl::SimpleAtoi(it.key(), &input) || input < 0 || input >= node.num_inputs() ||
          !MayBeGathered(graph_, node, input)) {
        return place.Error(absl::StrCat("'", node.name(), "' has no weight as input '", it.key(), "'"));
      }
      const JsonPlace value = place.Field(it.key());
      ASSIGN_OR_RETURN(Sharding held, ShardingFromJson(value, mesh, graph_.desc(node.input(input)).shape));
      const Sharding& wanted = strategy->inputs[static_cast<size_t>(input)];
      if (!Refines(held, wanted)) {
        return value.Error(absl::StrCat("expected ", ToString(wanted),
                                        ", which the operator wants, with further axes; found ", ToString(held)));
      }
      if (held != wanted) strategy->held.emplace_back(input, std::move(held));
    }
    return absl::OkStatus();
  }

  absl::Status ReadOperator(const JsonPlace& place) {
    RETURN_IF_ERROR(place.CheckObject());
    RETURN_IF_ERROR(place.CheckFields({"node", "type", "stage", "cut", "summands", "held", "outputs"}));
    ASSIGN_OR_RETURN(const std::string name, place.Field("node").String());
    const Node* node = graph_.FindNode(name);
    if (node == nullptr || node->is_data() || node->is_const()) {
      return place.Field("node").Error(absl::StrCat("the model has no operator '", name, "'"));
    }
    if (place.Field("type").value() != nullptr) {
      ASSIGN_OR_RETURN(const std::string type, place.Field("type").String());
      if (type != node->type())
        return place.Field("type").Error(absl::StrCat("'", name, "' is a ", node->type(), ", not a ", type));
    }
    int64_t stage = 0;
    if (place.Field("stage").value() != nullptr) {
      ASSIGN_OR_RETURN(stage, place.Field("stage").IntInRange(0, plan_.num_stages() - 1));
    }
    const Mesh& mesh = plan_.stages[static_cast<size_t>(stage)];
    ASSIGN_OR_RETURN(const ShardingRule rule, RuleOf(graph_, *node));
    Strategy strategy;
    strategy.factor_axes.resize(rule.factors.size());
    strategy.linear_axes.assign(rule.linear.size(), 0);
    AxisMask used = 0;
    auto take = [&](const JsonPlace& where, const AxisList& axes) {
      if (used & MaskOf(axes)) return where.Error("an axis is given to two things");
      used |= MaskOf(axes);
      return absl::OkStatus();
    };
    const JsonPlace cut = place.Field("cut");
    if (cut.value() != nullptr) {
      RETURN_IF_ERROR(cut.CheckObject());
      const std::vector<std::string> names = FactorNames(rule);
      for (auto it = cut.value()->begin(); it != cut.value()->end(); ++it) {
        const auto found = std::find(names.begin(), names.end(), it.key());
        if (found == names.end()) {
          return cut.Error(absl::StrCat("'", name, "' has no factor '", it.key(), "'; it has ",
                                        absl::StrJoin(names, ", ")));
        }
        ASSIGN_OR_RETURN(const AxisList axes, AxesFromJson(cut.Field(it.key()), mesh));
        RETURN_IF_ERROR(take(cut.Field(it.key()), axes));
        strategy.factor_axes[static_cast<size_t>(found - names.begin())] = axes;
      }
    }
    const JsonPlace summands = place.Field("summands");
    if (summands.value() != nullptr) {
      ASSIGN_OR_RETURN(const std::vector<JsonPlace> sets, summands.Array());
      if (sets.size() != rule.linear.size()) {
        return summands.Error(absl::StrCat("'", name, "' has ", rule.linear.size(),
                                           " sets of linear inputs, found ", sets.size()));
      }
      for (size_t i = 0; i < sets.size(); ++i) {
        ASSIGN_OR_RETURN(const AxisList axes, AxesFromJson(sets[i], mesh));
        RETURN_IF_ERROR(take(sets[i], axes));
        strategy.linear_axes[i] = MaskOf(axes);
      }
    }
    if (!ApplyAssignment(graph_, *node, rule, mesh, &strategy)) {
      return place.Error(
          absl::StrCat("'", name, "' (", node->type(), ") cannot be cut like this on mesh ", mesh.ToString(),
                       ": a dimension does not divide evenly, or the operator needs it whole"));
    }
    RETURN_IF_ERROR(ReadHeld(place.Field("held"), *node, mesh, &strategy));
    strategy.outputs = strategy.raw_outputs;
    Resharder resharder(mesh, cluster_);
    const JsonPlace outputs = place.Field("outputs");
    if (outputs.value() != nullptr) {
      ASSIGN_OR_RETURN(const std::vector<JsonPlace> items, outputs.Array());
      if (items.size() != strategy.outputs.size()) {
        return outputs.Error(
            absl::StrCat("'", name, "' has ", strategy.outputs.size(), " outputs, found ", items.size()));
      }
      for (size_t i = 0; i < items.size(); ++i) {
        ASSIGN_OR_RETURN(strategy.outputs[i],
                         ShardingFromJson(items[i], mesh, node->output(static_cast<int>(i)).shape));
        if (strategy.outputs[i] == strategy.raw_outputs[i]) continue;
        if (!std::isfinite(resharder.Seconds(strategy.raw_outputs[i], strategy.outputs[i],
                                             node->output(static_cast<int>(i))))) {
          return items[i].Error(absl::StrCat("the cut yields ", ToString(strategy.raw_outputs[i]),
                                             ", from which there is no way to ",
                                             ToString(strategy.outputs[i])));
        }
      }
    }
    ASSIGN_OR_RETURN(strategy.seconds, StrategySeconds(graph_, *node, cluster_, resharder, strategy, &epilogues_));
    if (!plan_.strategies.emplace(node->id(), std::move(strategy)).second) {
      return place.Field("node").Error(absl::StrCat("operator '", name, "' is given twice"));
    }
    if (stage > 0) plan_.stage_of[node->id()] = static_cast<int>(stage);
    places_[node->id()] = place.path();
    return absl::OkStatus();
  }

  absl::Status CheckEdges(const PlanGraph& decided) {
    for (int32_t id : decided.nodes()) {
      const Node& node = *graph_.node(id);
      for (int i = 0; i < node.num_inputs(); ++i) {
        const ValueId input = node.input(i);
        if (!input.valid() || decided.index(input.node) < 0) continue;
        const int from = plan_.stage(input.node), to = plan_.stage(id);
        const std::string producer = graph_.node(input.node)->name();
        if (from > to) {
          return absl::InvalidArgumentError(absl::StrCat(places_[id], ".stage: '", node.name(), "' in stage ",
                                                         to, " reads '", producer, "' of the later stage ",
                                                         from));
        }
        const Sharding produced = ProducedSharding(graph_, plan_, input);
        const Sharding& wanted = plan_.strategies.at(id).inputs[static_cast<size_t>(i)];
        if ((wanted.partial & ~(from == to ? produced.partial : 0)) == 0) continue;
        return absl::InvalidArgumentError(
            absl::StrCat(places_[id], ".summands: '", node.name(), "' wants summands of '", producer,
                         "' over axes on which it is whole: it leaves as ", ToString(produced)));
      }
    }
    return absl::OkStatus();
  }

  absl::Status ReadOutputs(const JsonPlace& place) {
    if (place.value() != nullptr) RETURN_IF_ERROR(place.CheckObject());
    for (const GraphOutput& output : graph_.outputs()) {
      const Mesh& mesh = plan_.mesh_of(output.value.node);
      Resharder resharder(mesh, cluster_);
      const TensorDesc& desc = graph_.desc(output.value);
      double seconds = 0;
      Sharding sharding =
          ResolveOutput(ProducedSharding(graph_, plan_, output.value), desc, resharder, &seconds);
      const JsonPlace given = place.Field(output.name);
      if (given.value() != nullptr) {
        ASSIGN_OR_RETURN(sharding, ShardingFromJson(given, mesh, desc.shape));
        if (sharding.partial != 0) return given.Error("a model output may not be left as summands");
      }
      plan_.outputs.push_back(std::move(sharding));
    }
    return absl::OkStatus();
  }

  const Graph& graph_;
  const Cluster& cluster_;
  const Epilogues epilogues_;
  Plan plan_;
  std::map<int32_t, std::string> places_;
};

}  // namespace

std::string PlanToText(const Graph& graph, const Cluster& cluster, const Plan& plan) {
  ordered_json root;
  root["model"] = graph.name();
  root["predicted_seconds"] = plan.seconds;
  root["lower_bound_seconds"] = plan.lower_bound;
  root["stages"] = ordered_json::array();
  for (const Mesh& mesh : plan.stages) {
    root["stages"].push_back(
        {{"devices", DevicesToJson(cluster, mesh.devices())}, {"axes", mesh.axis_sizes()}});
  }
  if (!plan.replicas.empty()) {
    root["replicas"] = ordered_json::array();
    for (const std::vector<int>& devices : plan.replicas)
      root["replicas"].push_back(DevicesToJson(cluster, devices));
  }
  const bool gathers = std::any_of(plan.strategies.begin(), plan.strategies.end(),
                                   [](const auto& entry) { return !entry.second.held.empty(); });
  if (gathers) {
    root["weight_prefetch"] = {{"ahead", plan.weight_prefetch.ahead},
                               {"buffer_bytes", plan.weight_prefetch.buffer_bytes}};
  }
  if (plan.padded_to > 1) root["padded_to_multiple_of"] = plan.padded_to;
  root["operators"] = ordered_json::array();
  for (int32_t id : graph.TopologicalOrder().value_or(std::vector<int32_t>{})) {
    auto it = plan.strategies.find(id);
    if (it == plan.strategies.end()) continue;
    const Node& node = *graph.node(id);
    const Strategy& strategy = it->second;
    ordered_json entry = {{"node", node.name()}, {"type", node.type()}, {"stage", plan.stage(id)}};
    const absl::StatusOr<ShardingRule> rule = RuleOf(graph, node);
    if (rule.ok()) {
      const std::vector<std::string> names = FactorNames(*rule);
      ordered_json cut = ordered_json::object();
      for (size_t f = 0; f < names.size(); ++f) {
        if (!strategy.factor_axes[f].empty()) cut[names[f]] = AxesToJson(strategy.factor_axes[f]);
      }
      if (!cut.empty()) entry["cut"] = std::move(cut);
    }
    if (std::any_of(strategy.linear_axes.begin(), strategy.linear_axes.end(),
                    [](AxisMask mask) { return mask != 0; })) {
      entry["summands"] = ordered_json::array();
      for (AxisMask mask : strategy.linear_axes) entry["summands"].push_back(AxesToJson(ListOf(mask)));
    }
    for (const auto& [input, held] : strategy.held) entry["held"][absl::StrCat(input)] = ToString(held);
    entry["outputs"] = ordered_json::array();
    for (const Sharding& output : strategy.outputs) entry["outputs"].push_back(ToString(output));
    root["operators"].push_back(std::move(entry));
  }
  root["outputs"] = ordered_json::object();
  for (size_t i = 0; i < graph.outputs().size(); ++i)
    root["outputs"][graph.outputs()[i].name] = ToString(plan.outputs[i]);
  // One operator a line.
  std::string text = "{\"omserve_plan\": {\n";
  bool first = true;
  for (auto it = root.begin(); it != root.end(); ++it) {
    absl::StrAppend(&text, first ? "" : ",\n", "  ", ordered_json(it.key()).dump(), ": ");
    first = false;
    if (!it->is_array() || it->empty()) {
      text += it->dump();
      continue;
    }
    std::vector<std::string> lines;
    for (const ordered_json& item : *it)
      lines.push_back(
          absl::StrCat("    ", item.dump(-1, ' ', false, ordered_json::error_handler_t::replace)));
    absl::StrAppend(&text, "[\n", absl::StrJoin(lines, ",\n"), "\n  ]");
  }
  return absl::StrCat(text, "\n}}\n");
}

absl::StatusOr<int64_t> PaddingOfPlan(absl::string_view text, absl::string_view source) {
  ASSIGN_OR_RETURN(const JsonDocument document, JsonDocument::Parse(text, source));
  return ReadPadding(document.root().Field("omserve_plan"));
}

absl::StatusOr<Plan> PlanFromText(absl::string_view text, absl::string_view source, const Graph& graph,
                                  const Cluster& cluster) {
  ASSIGN_OR_RETURN(const JsonDocument document, JsonDocument::Parse(text, source));
  RETURN_IF_ERROR(document.root().CheckFields({"omserve_plan"}));
  ASSIGN_OR_RETURN(Plan plan, PlanReader(graph, cluster).Read(document.root().Field("omserve_plan")));
  ASSIGN_OR_RETURN(const PlanReport report, ExplainPlan(graph, cluster, plan));
  plan.seconds = report.seconds;
  for (const PlanReport::Stage& stage : report.stages) {
    const int64_t bytes = stage.weight_bytes + stage.value_bytes;
    if (stage.memory_bytes > 0 && bytes > stage.memory_bytes) {
      return absl::ResourceExhaustedError(
          absl::StrCat(source, ".omserve_plan.stages[", plan.stage_seconds.size(), "]: the plan needs ", bytes,
                       " bytes for weights and values on device ", stage.devices.front(), ", which has ", stage.memory_bytes,
                       "; ", bytes - stage.memory_bytes, " bytes are missing"));
    }
    plan.stage_seconds.push_back(stage.seconds);
    plan.device_bytes.push_back(bytes);
  }
  plan.engine = "plan file";
  return plan;
}

}  // namespace omserve
