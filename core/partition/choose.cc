#include "core/partition/choose.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <tuple>
#include <utility>

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

// Sizes, and one way to write a stage's mesh.
struct Candidate {
  Sizes sizes;
  std::vector<int> axes;
  double promise = 0;  // less is better
};

// All that agree with what is given.
std::vector<Sizes> AllSizes(const ParallelOptions& options, int devices) {
  std::vector<Sizes> all;
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
      all.push_back({replicas, stages, tensor});
    }
  }
  return all;
}

std::vector<int> DevicesOf(int replica, int count) {
  std::vector<int> devices(static_cast<size_t>(count));
  std::iota(devices.begin(), devices.end(), replica * count);
  return devices;
}

// Tries candidates and keeps the best by an objective.
class Chooser {
 public:
  // `micro_batches`: runs of one request.
  Chooser(const ParallelOptions& options, int64_t micro_batches, PlanSearch& search, const WaitLimit& limit)
      : objective_(options.objective), padded_to_(options.padded_to), micro_batches_(micro_batches), search_(search),
        limit_(limit) {}

  bool has_plan() const { return !kept_.empty(); }

  // The objective of the whole model's plan on one stage's devices, cut into stages as it is; infinite when that does
  // not fit, there is none, or it cannot be the best promise so far. An estimate, to try what promises most first.
  absl::StatusOr<double> Promise(const Candidate& candidate) {
    const Sizes& sizes = candidate.sizes;
    auto promise = [&]() -> absl::StatusOr<double> {
      ASSIGN_OR_RETURN(Staging staging, search_.WholeOn(Mesh(DevicesOf(0, sizes.tensor), candidate.axes), limit_));
      // Stages share the work, and add transfers.
      if (Objective(staging.seconds, staging.slowest / sizes.stages, sizes) >= most_promised_) return kInfinity;
      if (sizes.stages > 1) {
        const double memory = static_cast<double>(search_.MemoryOf(staging.stages[0].devices()));
        if (memory > 0 && staging.weight_bytes > memory * sizes.stages) return kInfinity;
        ASSIGN_OR_RETURN(staging, search_.Stage(StageMeshes(DevicesOf(0, sizes.stages * sizes.tensor), sizes.stages,
                                                            candidate.axes),
                                                limit_));
      }
      return staging.fits ? Objective(staging.seconds, staging.slowest, sizes) : kInfinity;
    };
    absl::StatusOr<double> promised = promise();
    if (!promised.ok() && DoesNotDo(promised.status())) return kInfinity;
    if (promised.ok()) most_promised_ = std::min(most_promised_, *promised);
    return promised;
  }

  // Other errors than that these sizes do not do.
  absl::Status Try(const Candidate& candidate) {
    const Sizes& sizes = candidate.sizes;
    const absl::Status status = TryMesh(sizes, candidate.axes);
    if (status.ok() || !DoesNotDo(status)) return status;
    // Another size may do; when none does, that nearest to fit says most, else that with the most devices per copy.
    if (absl::IsResourceExhausted(status)) {
      if (search_.missing() >= missing_) return absl::OkStatus();
      missing_ = search_.missing();
    } else if (missing_ < kInfinity || sizes.stages * sizes.tensor < failed_devices_) {
      return absl::OkStatus();
    }
    failed_devices_ = sizes.stages * sizes.tensor;
    failure_ = status;
    return absl::OkStatus();
  }

  // When nothing was found: why.
  absl::Status Failure() {
    if (lean_) {
      ASSIGN_OR_RETURN(const Staging staging,
                       search_.Stage(StageMeshes(lean_->devices(), lean_->sizes.stages, lean_->axes), limit_));
      const absl::Status status = search_.Solve(staging, kInfinity, limit_).status();
      if (!DoesNotDo(status) || failure_.ok() || (absl::IsResourceExhausted(status) && search_.missing() < missing_)) return status;
    }
    if (!failure_.ok()) return failure_;
    return absl::InvalidArgumentError(
        absl::StrCat("EF1012: no replicas x stages x tensor parallel size agrees with what is asked; more than ", kMostStages,
                     " pipeline stages are taken only when pipe_stage_num asks for them"));
  }

  Plan Best(bool all_tried) {
    const Kept* winner = &kept_.front();
    for (const Kept& kept : kept_) {
      if (kept.value <= Allowed() && Rank(kept) < Rank(*winner)) winner = &kept;
    }
    Plan plan = search_.Write(winner->draft);
    plan.padded_to = padded_to_;
    for (int r = 0; r < winner->sizes.replicas; ++r)
      plan.replicas.push_back(DevicesOf(r, winner->sizes.stages * winner->sizes.tensor));
    const bool bound_of_all = objective_ == PlanObjective::kLatency && micro_batches_ == 1 && winner->sizes.stages == 1;
    if (bound_of_all) {
      // Any of the sizes tried could have been taken.
      plan.lower_bound = std::min(bound_, plan.seconds);
      plan.exact = plan.exact && plan.seconds - plan.lower_bound <= 1e-9 * plan.seconds;
    }
    plan.objective_seconds = winner->value;
    plan.objective_bound = all_tried ? std::min(bound_, winner->value) : 0;
    if (!all_tried) {
      plan.exact = false;
      absl::StrAppend(&plan.engine, ", not all sizes tried: the bound is of those ", bound_of_all ? "tried" : "chosen");
    }
    return plan;
  }

 private:
  static constexpr double kInfinity = std::numeric_limits<double>::infinity();
  // What is left out by an estimate must be this much worse than the best, for estimates are no bounds: it still counts in
  // the bound.
  static constexpr double kEstimateSlack = 1.1;
  // Devices that make a run this little faster serve more requests in further replicas.
  static constexpr double kTimeSlack = 1.02;

  struct Kept {
    Sizes sizes;
    PlanDraft draft;
    double value = 0;  // of the objective
  };
  struct Lean {
    Sizes sizes;
    std::vector<int> axes;
    double bytes = 0;
    std::vector<int> devices() const { return DevicesOf(0, sizes.stages * sizes.tensor); }
  };

  static bool DoesNotDo(const absl::Status& status) {
    return absl::IsInvalidArgument(status) || absl::IsResourceExhausted(status);
  }

  // Further runs of a request that a replica takes behind its first one.
  double RunsBehind(const Sizes& sizes) const {
    return static_cast<double>((micro_batches_ + sizes.replicas - 1) / sizes.replicas - 1);
  }

  double Objective(double seconds, double slowest, const Sizes& sizes) const {
    switch (objective_) {
      case PlanObjective::kLatency:
        return seconds + RunsBehind(sizes) * slowest;
      case PlanObjective::kThroughput:
        return slowest / sizes.replicas;
      case PlanObjective::kDecode:
        return std::max(seconds, sizes.stages * slowest);
    }
    return seconds;
  }

  // The most that is not worse than the best found.
  double Allowed() const { return objective_ == PlanObjective::kThroughput ? best_ : best_ * kTimeSlack; }

  // Less is better, among plans that are as good by the objective.
  std::tuple<double, double, int> Rank(const Kept& kept) const {
    return {kept.draft.slowest() / kept.sizes.replicas, kept.draft.seconds, -kept.sizes.replicas};
  }

  // A run that takes at least so long is worse than what is allowed.
  double Cutoff(const Sizes& sizes) const {
    if (!has_plan()) return kInfinity;
    // The slowest stage takes at least its share of the sum.
    switch (objective_) {
      case PlanObjective::kLatency:
        return Allowed() / (1 + RunsBehind(sizes) / sizes.stages);
      case PlanObjective::kThroughput:
        return Allowed() * sizes.replicas * sizes.stages;
      case PlanObjective::kDecode:
        return Allowed();
    }
    return kInfinity;
  }

  absl::Status TryMesh(const Sizes& sizes, const std::vector<int>& axes) {
    const std::vector<int> devices = DevicesOf(0, sizes.stages * sizes.tensor);
    const std::vector<Mesh> stages = StageMeshes(devices, sizes.stages, axes);
    ASSIGN_OR_RETURN(const PlanFloor floor, search_.Floor(stages, limit_));
    const double memory = static_cast<double>(search_.MemoryOf(devices)), bytes = floor.weight_bytes / sizes.stages;
    if (memory > 0 && bytes > memory) {
      if (!lean_ || bytes < lean_->bytes) lean_ = Lean{sizes, axes, bytes};
      return absl::OkStatus();
    }
    if (floor.seconds >= Cutoff(sizes)) return absl::OkStatus();
    if (has_plan()) {
      ASSIGN_OR_RETURN(const double bound, search_.Bound(stages, Cutoff(sizes), limit_));
      if (bound >= Cutoff(sizes)) return absl::OkStatus();
    }
    const absl::Status solved = SolveStages(sizes, stages);
    if (!solved.ok() && !DoesNotDo(solved)) return solved;
    // Whatever was found, these sizes are not proven to be worse.
    ASSIGN_OR_RETURN(const double bound, search_.Bound(stages, Cutoff(sizes), limit_));
    bound_ = std::min(bound_, Objective(bound, bound / sizes.stages, sizes));
    return solved;
  }

  absl::Status SolveStages(const Sizes& sizes, const std::vector<Mesh>& stages) {
    ASSIGN_OR_RETURN(const Staging staging, search_.Stage(stages, limit_));
    if (has_plan() && sizes.stages > 1 &&
        Objective(staging.seconds, staging.slowest, sizes) > kEstimateSlack * Allowed()) {
      return absl::OkStatus();
    }
    ASSIGN_OR_RETURN(std::optional<PlanDraft> draft, search_.Solve(staging, Cutoff(sizes), limit_));
    if (!draft) return absl::OkStatus();
    const double value = Objective(draft->seconds, draft->slowest(), sizes);
    best_ = std::min(best_, value);
    if (value > Allowed()) return absl::OkStatus();
    kept_.push_back({sizes, *std::move(draft), value});
    kept_.erase(std::remove_if(kept_.begin(), kept_.end(), [&](const Kept& k) { return k.value > Allowed(); }),
                kept_.end());
    return absl::OkStatus();
  }

  const PlanObjective objective_;
  const int64_t padded_to_;
  const int64_t micro_batches_;
  PlanSearch& search_;
  const WaitLimit& limit_;
  std::vector<Kept> kept_;  // all that are as good as the best
  double best_ = kInfinity;
  double most_promised_ = kInfinity;
  double bound_ = kInfinity;  // of the objective, over all that were not proven to be worse
  std::optional<Lean> lean_;  // of those whose weights alone are too large, the nearest to fit
  absl::Status failure_;
  double missing_ = kInfinity;  // bytes, of that
  int failed_devices_ = 0;
};

}  // namespace

absl::Status CheckSizes(const ParallelOptions& options, const Cluster& cluster) {
  if (!options.plan.empty()) return absl::OkStatus();
  const int devices = cluster.num_devices();
  const auto& tensor = options.tensor_parallel_size;
  const auto& stages = options.pipeline_stages;
  const auto& replicas = options.data_parallel_size;
  if (!tensor && !stages && !replicas) return absl::OkStatus();
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
  std::string advice;
  if (!options.automatic && product < devices && devices % product == 0) {
    advice = absl::StrCat("; with auto the rest is chosen",
                          replicas ? "" : absl::StrCat(", with data_parallel_size ", devices / product, " it holds copies"));
  }
  return absl::InvalidArgumentError(absl::StrCat("EF1012: ", absl::StrJoin(parts, " x "), " must ",
                                                 free ? "divide" : "equal",
                                                 " the number of devices in the cluster file, ", devices, advice));
}

namespace {

// Of requests whose size CountMicroBatches (core/build) has not refused.
int64_t MicroBatches(const Graph& graph, const ParallelOptions& options) {
  if (!options.global_batch_size) return 1;
  for (const int32_t id : graph.inputs()) {
    const Shape& shape = graph.node(id)->output().shape;
    if (!shape.empty() && shape[0] > 0) return std::max<int64_t>(1, *options.global_batch_size / shape[0]);
  }
  return 1;
}

}  // namespace

absl::StatusOr<Plan> PlanModel(const Graph& graph, const Cluster& cluster, const ParallelOptions& options,
                               const WaitLimit& limit) {
  ASSIGN_OR_RETURN(const std::unique_ptr<ModelPlanner> planner, ModelPlanner::Create(graph, cluster, options));
  return planner->Find(1, limit);
}

ModelPlanner::ModelPlanner(const Graph& graph, const Cluster& cluster, const ParallelOptions& options)
    : graph_(graph), cluster_(cluster), options_(options) {
  plan_options_.cut_weights = options.tensor_parallel_size.has_value() && *options.tensor_parallel_size > 1;
  plan_options_.hints = options.hints;
  plan_options_.weight_sharding = options.weight_sharding;
  plan_options_.weight_prefetch = options.weight_prefetch;
  plan_options_.solve.level = options.opt_level == "O1" ? SearchLevel::kO1 : SearchLevel::kO2;
  plan_options_.solve.time_budget = absl::Seconds(options.search_seconds);
}

ModelPlanner::~ModelPlanner() = default;

absl::StatusOr<std::unique_ptr<ModelPlanner>> ModelPlanner::Create(const Graph& graph, const Cluster& cluster,
                                                                   const ParallelOptions& options) {
  auto planner = std::unique_ptr<ModelPlanner>(new ModelPlanner(graph, cluster, options));
  if (!options.plan.empty()) return planner;
  RETURN_IF_ERROR(CheckSizes(options, cluster));
  ASSIGN_OR_RETURN(planner->search_, PlanSearch::Create(graph, cluster, planner->plan_options_));
  return planner;
}

absl::StatusOr<Plan> ModelPlanner::Find(double memory, const WaitLimit& limit) {
  if (!search_) return PlanFromText(options_.plan, "plan", graph_, cluster_);
  search_->ScaleMemory(memory);
  ParallelOptions sizes = options_;
  if (!options_.automatic) {
    // What is not given is off; when nothing is given, all devices share one copy of the model.
    if (!sizes.data_parallel_size) sizes.data_parallel_size = 1;
    if (!sizes.pipeline_stages) sizes.pipeline_stages = 1;
  }
  const absl::Time start = absl::Now();
  std::vector<Candidate> candidates;
  for (const Sizes& one : AllSizes(sizes, cluster_.num_devices())) {
    for (std::vector<int>& axes : MeshCandidates(cluster_, DevicesOf(0, one.tensor)))
      candidates.push_back({one, std::move(axes)});
  }
  // Those that promise most come first; what cannot be better than they are is then soon told. Without transfers no
  // throughput is better than that of single devices.
  const bool throughput = options_.objective == PlanObjective::kThroughput;
  std::stable_sort(candidates.begin(), candidates.end(), [&](const Candidate& a, const Candidate& b) {
    auto key = [&](const Sizes& s) {
      return throughput ? std::pair(s.tensor, s.stages) : std::pair(s.stages, -s.tensor);
    };
    return key(a.sizes) < key(b.sizes);
  });
  Chooser chooser(options_, MicroBatches(graph_, options_), *search_, limit);
  if (!throughput && candidates.size() > 1) {
    for (Candidate& candidate : candidates) {
      candidate.promise = std::numeric_limits<double>::infinity();
      if (absl::Now() > start + plan_options_.solve.time_budget / 4) continue;
      ASSIGN_OR_RETURN(candidate.promise, chooser.Promise(candidate));
    }
    std::stable_sort(candidates.begin(), candidates.end(),
                     [](const Candidate& a, const Candidate& b) { return a.promise < b.promise; });
  }
  bool all_tried = true;
  for (const Candidate& candidate : candidates) {
    if (chooser.has_plan() && absl::Now() > start + plan_options_.solve.time_budget) {
      all_tried = false;
      break;
    }
    RETURN_IF_ERROR(chooser.Try(candidate));
  }
  if (!chooser.has_plan()) return chooser.Failure();
  return chooser.Best(all_tried);
}

}  // namespace omserve
