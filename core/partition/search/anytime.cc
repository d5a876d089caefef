#include "core/partition/search/anytime.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <optional>
#include <thread>

#include "absl/time/clock.h"
#include "core/partition/search/block_search.h"
#include "core/partition/search/branch.h"
#include "core/partition/search/dual.h"
#include "core/partition/search/elimination.h"
#include "core/partition/search/integer_program.h"

namespace omserve {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
// What a linear program may have; more when variables are few, as in forward graphs with many strategies.
constexpr int64_t kIntegerProgramEntries = 300'000;
constexpr int64_t kFewVariablesEntries = 1'000'000;
constexpr size_t kFewVariables = 1000;

int64_t EntriesOf(const CostNetwork& network) {
  int64_t entries = 0;
  for (const auto& edge : network.edges) entries += static_cast<int64_t>(edge.cost.size());
  return entries;
}

// No choice of finite cost is dearer.
double Dearest(const CostNetwork& network) {
  double sum = 0;
  const auto add = [&](const std::vector<double>& costs) {
    double most = 0;
    for (double cost : costs) most = std::max(most, cost == kInfinity ? 0 : cost);
    sum += most;
  };
  for (const auto& unary : network.unary) add(unary);
  for (const auto& edge : network.edges) add(edge.cost);
  return sum;
}

class Anytime {
 public:
  Anytime(const CostNetwork& network, const SolveOptions& options, const WaitLimit& limit, Incumbent& best,
          SearchStatistics& statistics)
      : network_(network), options_(options), limit_(limit), best_(best), statistics_(statistics) {
    const absl::Time now = absl::Now();
    late_ = now + (limit.deadline - now) / 4;
  }

  std::string Run(const Contraction& contraction) {
    chain_.push_back(&contraction);
    std::vector<double> prices;
    while (true) {
      const Outcome outcome = SearchCore(prices);
      if (outcome != Outcome::kSmaller) return engine_;
    }
  }

 private:
  enum class Outcome { kDone, kSmaller };

  const CostNetwork& core() const { return chain_.back()->core(); }
  double offset() const {
    double offset = 0;
    for (const Contraction* contraction : chain_) offset += contraction->offset();
    return offset;
  }
  std::vector<int> Expand(std::vector<int> choice) const {
    for (auto it = chain_.rbegin(); it != chain_.rend(); ++it) choice = (*it)->Expand(choice);
    return choice;
  }
  std::vector<int> Restrict(std::vector<int> choice) const {
    for (const Contraction* contraction : chain_) choice = contraction->Restrict(choice);
    return choice;
  }
  bool Over() const { return limit_.cancelled() || absl::Now() >= limit_.deadline; }
  double CoreUpperBound() const { return best_.feasible ? best_.cost - offset() : kInfinity; }
  void Offer(const std::vector<int>& core_choice) { best_.Offer(network_, Expand(core_choice)); }

  // One core: rounds until proven, out of time, or small enough to be contracted again.
  Outcome SearchCore(std::vector<double>& prices) {
    const FlatNetwork flat(core());
    const int64_t entries = EntriesOf(core());
    if (flat.variables() == 0) {
      Close("contraction");
      return Outcome::kDone;
    }
    Dual dual(flat);
    if (!prices.empty()) dual.SetPrices(prices);
    BlockSearch first(flat, options_.seed * 2 + 1), second(flat, options_.seed * 2 + 2);
    bool first_started = false;
    if (best_.has_choice) {
      first.Start(Restrict(best_.choice));
      first_started = true;
    }
    const auto stop = [this] { return Over(); };
    const double dearest = Dearest(core());
    const int64_t work = std::clamp<int64_t>(30 * entries, 300'000, 100'000'000);
    const int64_t values = static_cast<int64_t>(flat.unary.size());
    double first_seen = kInfinity;
    int quiet = 0, second_quiet = 0, second_starts = 0;
    for (int round = 0;; ++round) {
      const double upper = CoreUpperBound();
      const bool dual_rests = dual.settled() && round % 8 != 0;
      const auto run_dual = [&] {
        const int64_t end = dual.work() + work;
        int checked = 0;
        while (dual.work() < end && (checked++ == 0 || !Over())) {
          dual.Sweep(upper);
          Consider(flat, dual.labelling());
        }
        dual.Bound();
      };
      const auto run_first = [&] {
        first.SetPrices(dual_prices_);
        if (first_started) first.Run(work, stop);
      };
      const auto run_second = [&] {
        second.SetPrices(dual_prices_);
        // From the best known, wandering a little above it: a threshold per start.
        if (!second.has_best() || second.best_cost() > upper || second_quiet >= 6) {
          constexpr double kTemperatures[] = {2e-4, 5e-5, 1e-3};
          second.SetTemperature(kTemperatures[second_starts++ % 3]);
          second.Start(Restrict(best_.choice));
          second_quiet = 0;
        }
        const double before = second.has_best() ? second.best_cost() : kInfinity;
        second.Run(work, stop);
        second_quiet = second.has_best() && second.best_cost() < before ? 0 : second_quiet + 1;
      };
      dual_prices_ = dual.best_prices();
      candidate_.clear();
      const bool use_second = dual_rests && best_.feasible;
      if (program_ != nullptr && options_.threads == 1) {
        // One thread was asked for: the program has it.
        while (!program_->Ended(absl::Milliseconds(50)) && !Over()) {
        }
      } else if (program_ != nullptr) {
        // The program has the other core.
        run_first();
        if (use_second) run_second();
        if (round % 8 == 0) run_dual();
      } else if (options_.threads > 1) {
        std::thread helper(run_first);
        use_second ? run_second() : run_dual();
        helper.join();
      } else {
        run_first();
        use_second ? run_second() : run_dual();
      }
      if (!candidate_.empty()) Offer(candidate_);
      if (first_started) Offer(first.has_best() ? first.best() : first.current());
      if (second.has_best()) Offer(second.best());
      best_.RaiseBound(dual.best_bound() + offset());
      statistics_.sweeps = sweeps_before_ + dual.sweeps();
      statistics_.moves = moves_before_ + first.moves() + second.moves();
      engine_ = "contraction+message passing+block moves";
      if (best_.proven || Over()) return Outcome::kDone;
      // Where to search next.
      const double now = first.has_best() ? first.best_cost() : kInfinity;
      quiet = now < first_seen * (1 - 1e-4) ? 0 : quiet + 1;
      first_seen = std::min(first_seen, now);
      if (!first_started && (dual.sweeps() >= 200 || absl::Now() >= late_)) {
        first.Start(dual.labelling());
        first_started = true;
      } else if (first_started && quiet >= 3) {
        // Stuck: begin from another labelling; the best is kept.
        quiet = 0;
        first_seen = kInfinity;
        first.Start(dual.labelling());
        first.ForgetBest();
      }
      if (!best_.feasible) {
        // A bound above every cost there is: nothing keeps the rows.
        best_.proven = dual.best_bound() > dearest;
        if (best_.proven || (dual.settled() && options_.level == SearchLevel::kO1)) return Outcome::kDone;
        continue;
      }
      // Prune when that leaves clearly less.
      if (round % 4 == 3 || dual.settled()) {
        dual.Bound();
        int64_t left = 0;
        for (int v = 0; v < flat.variables(); ++v) {
          for (int k = 0; k < flat.size[v]; ++k) left += dual.Marginal(v, k) <= CoreUpperBound();
        }
        if (left < values - std::max<int64_t>(values / 8, 2)) {
          if (Contract(dual.Pruned(core(), CoreUpperBound(), false), dual.best_prices())) {
            prices = prices_;
            sweeps_before_ = statistics_.sweeps;
            moves_before_ = statistics_.moves;
            return Outcome::kSmaller;
          }
        }
      }
      // A program costs a core for long: it is tried again only when there is clearly less to decide.
      const double gap = best_.cost - best_.lower_bound;
      if (dual.settled() && program_ == nullptr && gap < 0.7 * program_gap_) {
        program_gap_ = gap;
        // O1 ends where the multipliers have brought it; O2 goes on until the time is over.
        if (TrySmall(dual)) return Outcome::kDone;
      }
      if (dual.settled() && options_.level == SearchLevel::kO1) return Outcome::kDone;
      if (TakeProgram()) return Outcome::kDone;
    }
  }

  // Keeps the cheapest labelling of the round that fits.
  void Consider(const FlatNetwork& flat, const std::vector<int>& labelling) {
    const double cost = flat.CostOf(labelling);
    if (cost >= CoreUpperBound() || (!candidate_.empty() && cost >= candidate_cost_)) return;
    for (double excess : flat.Excess(labelling)) {
      if (excess > 0) return;
    }
    candidate_ = labelling;
    candidate_cost_ = cost;
  }

  bool Contract(const CostNetwork& pruned, const std::vector<double>& prices) {
    auto smaller = Contraction::Make(pruned, limit_);
    if (!smaller.ok() || !smaller->complete()) return false;
    owned_.push_back(std::make_unique<Contraction>(*std::move(smaller)));
    prices_.assign(owned_.back()->rows().size(), 0);
    // The price of a row that left goes to the nearest one that stayed.
    const std::vector<int>& rows = owned_.back()->rows();
    for (int row = 0; row < static_cast<int>(prices.size()) && !rows.empty(); ++row) {
      size_t near = static_cast<size_t>(std::lower_bound(rows.begin(), rows.end(), row) - rows.begin());
      if (near == rows.size() || (near > 0 && row - rows[near - 1] < rows[near] - row)) --near;
      prices_[near] += prices[row];
    }
    chain_.push_back(owned_.back().get());
    return true;
  }

  // Everything below the bound was ruled out: what is left of the core is decided.
  void Close(const char* engine) {
    Offer({});
    if (best_.feasible) best_.RaiseBound(best_.cost);
    best_.proven = true;
    engine_ = engine;
  }

  // A settled dual and a small core: branch and bound; what that leaves open goes to the integer program, which runs on
  // beside the rounds. True when the search has ended.
  bool TrySmall(Dual& dual) {
    dual.SetPrices(dual.best_prices());
    for (int i = 0; i < 20; ++i) dual.Settle();
    dual.Bound();
    const double upper = CoreUpperBound();
    auto smaller = Contraction::Make(dual.Pruned(core(), upper, true), limit_);
    if (!smaller.ok() || !smaller->complete()) return false;
    const bool few = smaller->core().unary.size() <= kFewVariables;
    if (EntriesOf(smaller->core()) > (few ? kFewVariablesEntries : kIntegerProgramEntries)) return false;
    const auto offer = [&](const std::vector<int>& choice) { Offer(smaller->Expand(choice)); };
    const FlatNetwork flat(smaller->core());
    const BranchResult branch = BranchAndBound(flat, kInfinity, options_.max_branch_nodes, limit_);
    if (!branch.choice.empty() || flat.variables() == 0) offer(branch.choice);
    if (branch.proven) {
      best_.RaiseBound(best_.cost);
      best_.proven = true;
      engine_ = "contraction+message passing+branch and bound";
      return true;
    }
    if (options_.level == SearchLevel::kO1) return false;
    IntegerProgram program{smaller->core(), best_.integral, upper - smaller->offset(), smaller->Restrict(Restrict(best_.choice)), {}, limit_.deadline};
    for (int row : smaller->rows()) program.prices.push_back(dual.best_prices()[static_cast<size_t>(row)]);
    if (program.network.CostOf(program.incumbent) > program.upper_bound || program.network.ExcessOf(program.incumbent).row >= 0) {
      program.incumbent.clear();
    }
    program_offset_ = offset() + smaller->offset();
    program_upper_ = best_.cost;
    program_ = IntegerProgramTask::Start(program);
    program_chain_ = chain_;
    owned_.push_back(std::make_unique<Contraction>(*std::move(smaller)));
    program_chain_.push_back(owned_.back().get());
    return false;
  }

  // Takes what the integer program has found so far. True when that proves the incumbent.
  bool TakeProgram() {
    if (program_ == nullptr) return false;
    const bool ended = program_->Ended(absl::ZeroDuration());
    const IntegerProgramResult& result = program_->result();
    double settled = program_upper_;  // whatever it left out costs at least this
    if (!result.choice.empty()) {
      std::vector<int> choice = result.choice;
      for (auto it = program_chain_.rbegin(); it != program_chain_.rend(); ++it) choice = (*it)->Expand(choice);
      best_.Offer(network_, choice);
      settled = std::min(settled, network_.CostOf(choice));
    }
    best_.RaiseBound(result.closed ? settled : std::min(settled, result.bound + program_offset_));
    if (best_.proven) engine_ = "contraction+message passing+integer program";
    if (ended) program_ = nullptr;
    return best_.proven;
  }

  const CostNetwork& network_;
  const SolveOptions& options_;
  const WaitLimit& limit_;
  Incumbent& best_;
  SearchStatistics& statistics_;
  absl::Time late_;  // a choice is looked for even if the multipliers have not come far
  std::vector<const Contraction*> chain_;
  std::vector<std::unique_ptr<Contraction>> owned_;
  std::vector<double> prices_, dual_prices_;
  std::vector<int> candidate_;
  double candidate_cost_ = 0;
  std::unique_ptr<IntegerProgramTask> program_;
  std::vector<const Contraction*> program_chain_;  // the way from the program's core to the network
  double program_offset_ = 0, program_upper_ = 0, program_gap_ = kInfinity;
  int64_t sweeps_before_ = 0, moves_before_ = 0;
  std::string engine_;
};

}  // namespace

bool Incumbent::Offer(const CostNetwork& network, const std::vector<int>& candidate) {
  const double candidate_cost = network.CostOf(candidate);
  if (candidate_cost == kInfinity || (feasible && candidate_cost >= cost)) return false;
  const CostNetwork::Excess candidate_excess = network.ExcessOf(candidate);
  const bool fits = candidate_excess.row < 0;
  if (has_choice && !fits && (feasible || candidate_excess.amount >= excess.amount)) return false;
  has_choice = true;
  feasible = fits;
  choice = candidate;
  cost = candidate_cost;
  excess = candidate_excess;
  RaiseBound(lower_bound);
  return true;
}

void Incumbent::RaiseBound(double bound) {
  if (integral) bound = std::ceil(bound);
  lower_bound = std::max(lower_bound, bound);
  if (feasible && lower_bound >= cost - (integral ? 0 : 1e-9 * std::abs(cost))) {
    lower_bound = cost;
    proven = true;
  }
}

std::string SearchAnytime(const CostNetwork& network, const Contraction& contraction, const SolveOptions& options,
                          const WaitLimit& limit, Incumbent& best, SearchStatistics& statistics) {
  return Anytime(network, options, limit, best, statistics).Run(contraction);
}

}  // namespace omserve
