#include "core/partition/choose.h"

#include <algorithm>
#include <numeric>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "core/base/status.h"
#include "core/partition/plan_file.h"
#include "core/partition/plan_search.h"

namespace omserve {
namespace {

// More stages than this only add transfers.
constexpr int kMostStages = 64;

struct Sizes {
  int replicas = 1;
  int stages = 1;
  int tensor = 1;
};

// All that agree with what is given.
std::vector<Sizes> Candidates(const ParallelOptions& options, int devices) {
  std::vector<Sizes> candidates;
  // More replicas first: of equal plans the first found stays.
  for (int replicas = devices; replicas >= 1; --replicas) {
    if (devices % replicas != 0 || (options.data_parallel_size && *options.data_parallel_size != replicas))
      continue;
    for (int stages = 1; stages <= devices / replicas; ++stages) {
      if (devices / replicas % stages != 0 || (options.pipeline_stages && *options.pipeline_stages != stages))
        continue;
      if (!options.pipeline_stages && stages > kMostStages) continue;
      const int tensor = devices / replicas / stages;
      if (options.tensor_parallel_size && *options.tensor_parallel_size != tensor) continue;
      candidates.push_back({replicas, stages, tensor});
    }
  }
  return candidates;
}

double ObjectiveOf(PlanObjective objective, const Plan& plan, int replicas) {
  switch (objective) {
    case PlanObjective::kLatency:
      return plan.seconds;
    case PlanObjective::kThroughput:
      return plan.seconds_between_answers() / replicas;
    case PlanObjective::kDecode:
      return std::max(plan.seconds, plan.num_stages() * plan.seconds_between_answers());
  }
  return plan.seconds;
}

std::vector<int> DevicesOf(int replica, int count) {
  std::vector<int> devices(static_cast<size_t>(count));
  std::iota(devices.begin(), devices.end(), replica * count);
  return devices;
}

void AddReplicas(int replicas, Plan* plan) {
  for (int r = 0; r < replicas; ++r) plan->replicas.push_back(DevicesOf(r, plan->num_ranks()));
}

}  // namespace

absl::Status CheckSizes(const ParallelOptions& options, const Cluster& cluster) {
  if (!options.plan.empty()) return absl::OkStatus();
  const int devices = cluster.num_devices();
  const auto& tensor = options.tensor_parallel_size;
  const auto& stages = options.pipeline_stages;
  const auto& replicas = options.data_parallel_size;
  if (!tensor && !stages && !replicas) return absl::OkStatus();
  if (tensor && !stages && !replicas && !options.automatic) {
    if (*tensor == devices) return absl::OkStatus();
    return absl::InvalidArgumentError(absl::StrCat("EF1012: tensor_parallel_size ", *tensor,
                                                   " must equal the number of devices in the cluster file, ",
                                                   devices));
  }
  std::vector<std::string> parts;
  int64_t product = 1;
  auto add = [&](const char* name, const std::optional<int>& size) {
    if (!size) return;
    parts.push_back(absl::StrCat(name, " ", *size));
    product *= *size;
    if (product > devices) product = int64_t{devices} + 1;  // no overflow; wrong already
  };
  add("tensor_parallel_size", tensor);
  add("pipe_stage_num", stages);
  add("data_parallel_size", replicas);
  const bool free = options.automatic && parts.size() < 3;
  if (free ? product <= devices && devices % product == 0 : product == devices) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("EF1012: ", absl::StrJoin(parts, " x "), " must ",
                                                 free ? "divide" : "equal",
                                                 " the number of devices in the cluster file, ", devices));
}

absl::StatusOr<Plan> PlanModel(const Graph& graph, const Cluster& cluster, const ParallelOptions& options,
                               const WaitLimit& limit) {
  if (!options.plan.empty()) return PlanFromText(options.plan, "plan", graph, cluster);
  RETURN_IF_ERROR(CheckSizes(options, cluster));
  PlanOptions plan_options;
  plan_options.cut_weights = options.tensor_parallel_size.has_value() && *options.tensor_parallel_size > 1;
  plan_options.hints = options.hints;
  plan_options.weight_sharding = options.weight_sharding;
  plan_options.weight_prefetch = options.weight_prefetch;
  plan_options.solve.level = options.opt_level == "O1" ? SearchLevel::kO1 : SearchLevel::kO2;
  plan_options.solve.time_budget = absl::Seconds(options.search_seconds);
  ASSIGN_OR_RETURN(const std::unique_ptr<PlanSearch> search,
                   PlanSearch::Create(graph, cluster, plan_options));

  ParallelOptions sizes = options;
  if (!options.automatic) {
    // What is not given is off; when nothing is given, all devices share one copy of the model.
    if (!sizes.data_parallel_size) sizes.data_parallel_size = 1;
    if (!sizes.pipeline_stages) sizes.pipeline_stages = 1;
  }
  std::vector<Sizes> candidates = Candidates(sizes, cluster.num_devices());
  // A pipeline makes one run no faster: for latency it is for models that fit no other way.
  const bool stages_last = options.objective == PlanObjective::kLatency;
  if (stages_last) {
    std::stable_sort(candidates.begin(), candidates.end(),
                     [](const Sizes& a, const Sizes& b) { return a.stages < b.stages; });
  }
  const absl::Time end = absl::Now() + plan_options.solve.time_budget;
  std::optional<Plan> best;
  absl::Status failure;
  for (const Sizes& candidate : candidates) {
    if (stages_last && best && candidate.stages > best->num_stages()) break;
    // Out of time: what was found stands, without a claim that nothing untried is better.
    if (best && absl::Now() > end) {
      best->exact = false;
      best->engine = absl::StrCat(best->engine, ", not all sizes tried");
      break;
    }
    absl::StatusOr<Plan> plan = search->Find(DevicesOf(0, candidate.stages * candidate.tensor),
                                             candidate.stages, std::nullopt, limit);
    if (!plan.ok()) {
      // Another size may do; when none does, the last says most: it had the most devices per copy.
      if (!absl::IsInvalidArgument(plan.status()) && !absl::IsResourceExhausted(plan.status()))
        return plan.status();
      failure = plan.status();
      continue;
    }
    const int best_replicas = best ? best->num_replicas() : 1;
    if (best && ObjectiveOf(options.objective, *plan, candidate.replicas) >=
                    ObjectiveOf(options.objective, *best, best_replicas)) {
      continue;
    }
    AddReplicas(candidate.replicas, &*plan);
    best = *std::move(plan);
  }
  if (!best) {
    if (!failure.ok()) return failure;
    return absl::InvalidArgumentError(
        "EF1012: no replicas x stages x tensor parallel size agrees with what is asked");
  }
  return *std::move(best);
}

}  // namespace omserve
