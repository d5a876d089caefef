#include "core/partition/strategy.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

#include "absl/container/flat_hash_map.h"
#include "core/base/status.h"
#include "core/ops/exchange.h"
#include "core/ops/op.h"
#include "core/partition/local_work.h"

namespace omserve {
namespace {

double WholeNanoseconds(double seconds) { return std::round(seconds * 1e9) * 1e-9; }

// Fills `sharding` for one operand, or returns false when the cut is not a plain box per rank.
bool ShardOperand(const OperandFactors& operand, const ShardingRule& rule, const Mesh& mesh,
                  const std::vector<AxisList>& factor_axes, Sharding* sharding) {
  sharding->dims.assign(operand.size(), {});
  for (size_t d = 0; d < operand.size(); ++d) {
    bool outer_whole = false;  // an outer factor that is not fully cut: inner cuts would interleave
    for (int factor : operand[d]) {
      const AxisList& axes = factor_axes[factor];
      const int64_t parts = mesh.Parts(axes);
      if (parts > 1 && outer_whole) return false;
      if (parts < rule.factors[factor].size) outer_whole = true;
      sharding->dims[d].insert(sharding->dims[d].end(), axes.begin(), axes.end());
    }
  }
  return true;
}

// What an operator becomes when its parts exchange something; no exchanges when they do not.
absl::StatusOr<Emission> ExchangingEmission(const Graph& graph, const Node& node, const ShardingRule& rule,
                                            const Mesh& mesh, const Strategy& strategy) {
  std::vector<int64_t> parts;
  for (const AxisList& axes : strategy.factor_axes) parts.push_back(mesh.Parts(axes));
  const bool cut = std::any_of(parts.begin(), parts.end(), [](int64_t count) { return count > 1; });
  if (!cut || !MayExchange(node)) return Emission{};
  return TrialEmission(graph, node, rule, parts);
}

double SecondsOf(const Emission& emission, const Resharder& resharder, const Strategy& strategy) {
  double seconds = 0;
  for (const Exchange& exchange : emission.exchanges) {
    const AxisList& axes = strategy.factor_axes[static_cast<size_t>(exchange.factor)];
    const double bytes = static_cast<double>(ByteSize(exchange.desc));
    seconds += exchange.gather ? resharder.AllGatherSeconds(axes, bytes) : resharder.AllReduceSeconds(axes, bytes);
  }
  return seconds;
}

// Seconds of the operator on one rank. One whose parts exchange something is priced as the steps it is emitted as.
absl::StatusOr<double> EmittedSeconds(const Graph& graph, const Node& node, const ShardingRule& rule,
                                      const Cluster& cluster, const Resharder& resharder, const Epilogues* epilogues,
                                      const Strategy& strategy) {
  const Mesh& mesh = resharder.mesh();
  ASSIGN_OR_RETURN(const Emission emission, ExchangingEmission(graph, node, rule, mesh, strategy));
  if (emission.exchanges.empty()) {
    OperatorWork work = LocalWork(graph, node, mesh, strategy);
    work.epilogue = epilogues != nullptr && epilogues->contains(node.id());
    return cluster.OperatorTime(mesh.device(0), work);
  }
  double seconds = SecondsOf(emission, resharder, strategy);
  for (const OpCost& cost : emission.nodes) {
    seconds += cluster.OperatorTime(mesh.device(0), {.flops = cost.flops, .bytes = cost.bytes});
  }
  return seconds;
}

// Calls `visit(target of each axis)`: targets 0 … num_targets - 1, or -1 for idle.
void ForEachAssignment(int num_axes, int num_targets, int max_assignments,
                       const std::function<void(const std::vector<int>&)>& visit) {
  double all = std::pow(num_targets + 1.0, num_axes);
  std::vector<int> target(static_cast<size_t>(num_axes), -1);
  if (all <= max_assignments) {
    while (true) {
      visit(target);
      int i = num_axes - 1;
      while (i >= 0 && ++target[i] == num_targets) target[i--] = -1;
      if (i < 0) return;
    }
  }
  // Contiguous runs: axes [0, a) to one target, [a, b) to another, the rest idle.
  visit(target);
  for (int first = 0; first < num_targets; ++first) {
    for (int a = 1; a <= num_axes; ++a) {
      for (int second = -1; second < num_targets; ++second) {
        if (second == first) continue;
        for (int b = a + (second >= 0); b <= (second >= 0 ? num_axes : a); ++b) {
          std::fill(target.begin(), target.end(), -1);
          std::fill(target.begin(), target.begin() + a, first);
          if (second >= 0) std::fill(target.begin() + a, target.begin() + b, second);
          visit(target);
        }
      }
    }
  }
}

}  // namespace

const Sharding& HeldAs(const Strategy& strategy, int input) {
  for (const auto& [gathered, sharding] : strategy.held) {
    if (gathered == input) return sharding;
  }
  return strategy.inputs[static_cast<size_t>(input)];
}

bool ApplyAssignment(const Graph& graph, const Node& node, const ShardingRule& rule, const Mesh& mesh,
                     Strategy* strategy) {
  AxisMask partial = 0;
  for (size_t f = 0; f < rule.factors.size(); ++f) {
    const Factor& factor = rule.factors[f];
    const int64_t parts = mesh.Parts(strategy->factor_axes[f]);
    if (parts == 1) continue;
    if (factor.kind == FactorKind::kWhole || factor.size == 0 || factor.size % parts != 0) return false;
    if (factor.kind == FactorKind::kSum) partial |= MaskOf(strategy->factor_axes[f]);
  }
  strategy->inputs.assign(static_cast<size_t>(node.num_inputs()), {});
  for (int i = 0; i < node.num_inputs(); ++i) {
    if (!node.input(i).valid()) continue;
    if (!ShardOperand(rule.inputs[i], rule, mesh, strategy->factor_axes, &strategy->inputs[i])) return false;
  }
  for (size_t set = 0; set < rule.linear.size(); ++set) {
    if (strategy->linear_axes[set] == 0) continue;
    partial |= strategy->linear_axes[set];
    for (int input : rule.linear[set]) {
      const ValueId value = node.input(input);
      // Constants and model inputs are never summands.
      if (!value.valid() || graph.node(value.node)->is_const() || graph.node(value.node)->is_data()) return false;
      strategy->inputs[input].partial |= strategy->linear_axes[set];
    }
  }
  strategy->raw_outputs.assign(static_cast<size_t>(node.num_outputs()), {});
  for (int i = 0; i < node.num_outputs(); ++i) {
    Sharding& output = strategy->raw_outputs[i];
    if (!ShardOperand(rule.outputs[i], rule, mesh, strategy->factor_axes, &output)) return false;
    output.partial = partial;
    if (!IsLegal(mesh, output, node.output(i).shape)) return false;
  }
  for (int i = 0; i < node.num_inputs(); ++i) {
    if (node.input(i).valid() && !IsLegal(mesh, strategy->inputs[i], graph.desc(node.input(i)).shape)) return false;
  }
  return true;
}

absl::StatusOr<double> StrategySeconds(const Graph& graph, const Node& node, const Cluster& cluster,
                                       Resharder& resharder, const Strategy& strategy, const Epilogues* epilogues) {
  ASSIGN_OR_RETURN(const ShardingRule rule, RuleOf(graph, node));
  ASSIGN_OR_RETURN(double seconds, EmittedSeconds(graph, node, rule, cluster, resharder, epilogues, strategy));
  for (int i = 0; i < node.num_outputs(); ++i) {
    seconds += resharder.Seconds(strategy.raw_outputs[i], strategy.outputs[i], node.output(i));
  }
  return WholeNanoseconds(seconds);
}

absl::StatusOr<double> ExchangeSeconds(const Graph& graph, const Node& node, const Resharder& resharder,
                                       const Strategy& strategy) {
  ASSIGN_OR_RETURN(const ShardingRule rule, RuleOf(graph, node));
  ASSIGN_OR_RETURN(const Emission emission, ExchangingEmission(graph, node, rule, resharder.mesh(), strategy));
  return SecondsOf(emission, resharder, strategy);
}

int64_t WeightParts(const Graph& graph, const Node& node, const Mesh& mesh, const Strategy& strategy) {
  int64_t parts = 1;
  for (int i = 0; i < node.num_inputs(); ++i) {
    if (!node.input(i).valid()) continue;
    const TensorSlice* constant = graph.ConstantOf(node.input(i));
    if (constant == nullptr || constant->shape().size() < 2) continue;
    parts = std::max(parts, mesh.PartsOfMask(HeldAs(strategy, i).CutAxes()));
  }
  return parts;
}

absl::StatusOr<std::vector<Strategy>> EnumerateStrategies(const Graph& graph, const Node& node,
                                                          const Cluster& cluster, Resharder& resharder,
                                                          const StrategySpace& space) {
  const Mesh& mesh = resharder.mesh();
  ASSIGN_OR_RETURN(const ShardingRule rule, RuleOf(graph, node));

  // What an axis can be given to: factors that may be cut, then linear sets.
  std::vector<int> factors;
  for (size_t f = 0; f < rule.factors.size(); ++f) {
    if (rule.factors[f].kind != FactorKind::kWhole && rule.factors[f].size > 1) factors.push_back(static_cast<int>(f));
  }
  const int num_factors = static_cast<int>(factors.size());
  const int num_targets = num_factors + static_cast<int>(rule.linear.size());

  std::vector<Strategy> strategies;
  absl::flat_hash_map<std::pair<std::vector<Sharding>, std::vector<Sharding>>, size_t> best;
  auto keep = [&](Strategy strategy) {
    strategy.seconds = WholeNanoseconds(strategy.seconds);
    if (!space.keep_dominated) {
      auto [it, fresh] = best.try_emplace({strategy.inputs, strategy.outputs}, strategies.size());
      if (!fresh) {
        if (strategy.seconds < strategies[it->second].seconds) strategies[it->second] = std::move(strategy);
        return;
      }
    }
    strategies.push_back(std::move(strategy));
  };

  absl::Status failed;
  ForEachAssignment(mesh.num_axes(), num_targets, space.max_assignments, [&](const std::vector<int>& target) {
    Strategy strategy;
    strategy.factor_axes.resize(rule.factors.size());
    strategy.linear_axes.assign(rule.linear.size(), 0);
    for (int8_t axis = 0; axis < mesh.num_axes(); ++axis) {
      if (target[axis] < 0) continue;
      if (target[axis] < num_factors) {
        strategy.factor_axes[factors[target[axis]]].push_back(axis);
      } else {
        strategy.linear_axes[target[axis] - num_factors] |= AxisMask{1} << axis;
      }
    }
    if (!ApplyAssignment(graph, node, rule, mesh, &strategy)) return;
    strategy.outputs = strategy.raw_outputs;
    absl::StatusOr<double> seconds = EmittedSeconds(graph, node, rule, cluster, resharder, space.epilogues, strategy);
    failed.Update(seconds.status());
    if (!seconds.ok()) return;
    strategy.seconds = *seconds;
    keep(strategy);
    const AxisMask partial = strategy.raw_outputs.empty() ? 0 : strategy.raw_outputs[0].partial;
    if (partial == 0 || node.num_outputs() != 1) return;
    // The same cut with the sum resolved at once, so that several readers share the one collective.
    const TensorDesc& desc = node.output();
    auto resolve = [&](Sharding resolved) {
      if (!IsLegal(mesh, resolved, desc.shape)) return;
      Strategy variant = strategy;
      variant.seconds += resharder.Seconds(strategy.raw_outputs[0], resolved, desc);
      variant.outputs[0] = std::move(resolved);
      keep(std::move(variant));
    };
    Sharding whole = strategy.raw_outputs[0];
    whole.partial = 0;
    resolve(whole);
    for (size_t d = 0; d < desc.shape.size(); ++d) {
      Sharding scattered = whole;
      for (int8_t axis = 0; axis < mesh.num_axes(); ++axis) {
        if (partial >> axis & 1) scattered.dims[d].push_back(axis);
      }
      resolve(std::move(scattered));
    }
  });
  RETURN_IF_ERROR(failed);
  return strategies;
}

}  // namespace omserve
