#include "core/partition/weight_gather.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "core/ops/op.h"
#include "core/partition/device_bytes.h"

namespace omserve {
namespace {

int64_t LocalBytes(const Mesh& mesh, const Sharding& sharding, const TensorDesc& desc) {
  return static_cast<int64_t>(ByteSize({desc.type, LocalShape(mesh, sharding, desc.shape)}));
}

// Besides the shard and the gathered weight. Parts arrive one after the other: where that is not how they lie in the
// gathered weight they are rearranged, and with several dimensions there is a step between.
int64_t TransientBytes(const Mesh& mesh, const Sharding& held, const Sharding& wanted, const TensorDesc& desc) {
  int dims = 0;
  bool rearranged = false;
  int64_t before = 1;
  const Shape local = LocalShape(mesh, wanted, desc.shape);
  for (size_t d = 0; d < held.dims.size(); ++d) {
    if (held.dims[d] != wanted.dims[d]) {
      ++dims;
      rearranged |= before > 1;
    }
    before *= local[d];
  }
  const int64_t bytes = LocalBytes(mesh, wanted, desc);
  return (rearranged ? bytes : 0) + (dims > 1 ? bytes : 0);
}

}  // namespace

bool Refines(const Sharding& held, const Sharding& wanted) {
  if (held.partial != 0 || held.dims.size() != wanted.dims.size()) return false;
  for (size_t d = 0; d < held.dims.size(); ++d) {
    const AxisList &fine = held.dims[d], &coarse = wanted.dims[d];
    if (fine.size() < coarse.size() || !std::equal(coarse.begin(), coarse.end(), fine.begin())) return false;
  }
  return true;
}

bool MayBeGathered(const Graph& graph, const Node& node, int input) {
  const ValueId value = node.input(input);
  const TensorSlice* constant = value.valid() ? graph.ConstantOf(value) : nullptr;
  if (constant == nullptr || constant->shape().size() < 2) return false;
  const absl::StatusOr<const OpDef*> def = FindOp(node);
  const InputDef* what = def.ok() ? FindInputDef(**def, node.num_inputs(), input) : nullptr;
  return what != nullptr && what->kind != InputKind::kParameter && what->kind != InputKind::kOptionalParameter;
}

bool HoldFewest(const Graph& graph, const Node& node, Resharder& resharder, Strategy* strategy) {
  const Mesh& mesh = resharder.mesh();
  for (int i = 0; i < node.num_inputs(); ++i) {
    if (!MayBeGathered(graph, node, i)) continue;
    const Sharding& wanted = strategy->inputs[static_cast<size_t>(i)];
    const TensorDesc& desc = graph.desc(node.input(i));
    Sharding best = wanted;
    int64_t most = 1;
    double least = std::numeric_limits<double>::infinity();
    for (const AxisList& axes : SubsetsOf(mesh.all_axes() & ~wanted.UsedAxes())) {
      const int64_t parts = mesh.Parts(axes);
      if (parts < most) continue;
      for (size_t d = 0; d < desc.shape.size(); ++d) {
        Sharding held = wanted;
        held.dims[d].insert(held.dims[d].end(), axes.begin(), axes.end());
        if (!IsLegal(mesh, held, desc.shape)) continue;
        const double seconds = resharder.Seconds(held, wanted, desc);
        if (parts == most && seconds >= least) continue;
        most = parts;
        least = seconds;
        best = std::move(held);
      }
    }
    if (most > 1) strategy->held.emplace_back(i, std::move(best));
  }
  return !strategy->held.empty();
}

double GatherSeconds(const Graph& graph, const Node& node, Resharder& resharder, const Strategy& strategy) {
  double seconds = 0;
  for (const auto& [input, held] : strategy.held) {
    seconds += resharder.Seconds(held, strategy.inputs[static_cast<size_t>(input)], graph.desc(node.input(input)));
  }
  return seconds;
}

double HeldBytes(const Graph& graph, const Node& node, const Mesh& mesh, const Strategy& strategy) {
  double bytes = 0;
  for (int i = 0; i < node.num_inputs(); ++i) {
    const ValueId input = node.input(i);
    if (!input.valid() || !graph.node(input.node)->is_const()) continue;
    bytes += static_cast<double>(LocalBytes(mesh, HeldAs(strategy, i), graph.desc(input)));
  }
  return bytes;
}

std::vector<std::vector<WeightGather>> ScheduleGathers(const Graph& graph, const Plan& plan,
                                                       const std::vector<int32_t>& order) {
  std::vector<std::vector<WeightGather>> schedule(static_cast<size_t>(plan.num_stages()));
  std::vector<size_t> position(schedule.size(), 0);
  for (int32_t id : order) {
    auto it = plan.strategies.find(id);
    if (it == plan.strategies.end()) continue;
    const size_t stage = static_cast<size_t>(plan.stage(id)), reader = position[stage]++;
    const Mesh& mesh = plan.stages[stage];
    for (const auto& [input, held] : it->second.held) {
      const TensorDesc& desc = graph.desc(graph.node(id)->input(input));
      const Sharding& wanted = it->second.inputs[static_cast<size_t>(input)];
      schedule[stage].push_back({id, input, reader, reader, LocalBytes(mesh, wanted, desc),
                                 TransientBytes(mesh, held, wanted, desc)});
    }
  }
  const WeightPrefetch& prefetch = plan.weight_prefetch;
  if (!prefetch.ahead) return schedule;
  for (std::vector<WeightGather>& gathers : schedule) {
    size_t oldest = 0;  // the first gather of which something may be unread
    size_t start = 0;   // of the last gather
    int64_t unread = 0;
    for (size_t g = 0; g < gathers.size(); ++g) {
      WeightGather& gather = gathers[g];
      if (prefetch.buffer_bytes == 0) {
        gather.start = gather.reader - std::min(gather.reader, kPrefetchOperators);
        continue;
      }
      // Gathers wait until enough of those before them have been read.
      while (oldest < g && unread + gather.bytes > prefetch.buffer_bytes) {
        start = std::max(start, gathers[oldest].reader + 1);
        unread -= gathers[oldest++].bytes;
      }
      // What two inputs of one operator need together may be more than the buffer.
      gather.start = start = std::min(start, gather.reader);
      unread += gather.bytes;
    }
  }
  return schedule;
}

void GatherLess(const Graph& graph, const std::vector<int32_t>& order, const std::vector<Resharder*>& resharders,
                const std::vector<int64_t>& memory, Plan* plan) {
  struct Candidate {
    double seconds = 0;
    double bytes = 0;  // that holding whole takes
    int32_t node = -1;
  };
  for (size_t s = 0; s < resharders.size(); ++s) {
    std::vector<Candidate> candidates;
    for (const auto& [id, strategy] : plan->strategies) {
      if (strategy.held.empty() || plan->stage(id) != static_cast<int>(s)) continue;
      const Node& node = *graph.node(id);
      Strategy whole = strategy;
      whole.held.clear();
      candidates.push_back({GatherSeconds(graph, node, *resharders[s], strategy),
                            HeldBytes(graph, node, plan->stages[s], whole) -
                                HeldBytes(graph, node, plan->stages[s], strategy),
                            id});
    }
    std::stable_sort(candidates.begin(), candidates.end(), [](const Candidate& a, const Candidate& b) {
      return a.seconds * b.bytes > b.seconds * a.bytes;
    });
    // The more are held whole the more memory it takes: the most that fit are found by halving.
    auto without = [&](size_t count) {
      Plan trial = *plan;
      for (size_t c = 0; c < count; ++c) {
        trial.strategies.at(candidates[c].node).held.clear();
        trial.seconds -= candidates[c].seconds;
        trial.stage_seconds[s] -= candidates[c].seconds;
      }
      trial.device_bytes = DeviceBytes(graph, trial, order);
      return trial;
    };
    size_t fits = 0, too_many = candidates.size() + 1;
    while (too_many - fits > 1) {
      const size_t middle = fits + (too_many - fits) / 2;
      const bool within = memory[s] == 0 || without(middle).device_bytes[s] <= memory[s];
      (within ? fits : too_many) = middle;
    }
    if (fits > 0) *plan = without(fits);
  }
}

}  // namespace omserve
