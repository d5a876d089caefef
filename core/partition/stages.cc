#include "core/partition/stages.h"

#include <algorithm>
#include <limits>
#include <numeric>

namespace omserve {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// Points 0 … n: the begin of the chain, the cuts, its end. A stage is a pair of points.
class Chain {
 public:
  explicit Chain(const StageProblem& problem) : problem_(problem) {
    std::vector<double> seconds(problem.seconds.size() + 1, 0), bytes(problem.seconds.size() + 1, 0);
    for (size_t i = 0; i < problem.seconds.size(); ++i) {
      seconds[i + 1] = seconds[i] + problem.seconds[i];
      bytes[i + 1] = bytes[i] + problem.weight_bytes[i];
    }
    positions_.push_back(0);
    positions_.insert(positions_.end(), problem.cuts.begin(), problem.cuts.end());
    positions_.push_back(static_cast<int>(problem.seconds.size()));
    for (int position : positions_) {
      seconds_.push_back(seconds[static_cast<size_t>(position)]);
      bytes_.push_back(bytes[static_cast<size_t>(position)]);
    }
  }

  int last() const { return static_cast<int>(positions_.size()) - 1; }
  int position(int point) const { return positions_[static_cast<size_t>(point)]; }
  // Without what is received.
  double Compute(int from, int to) const { return seconds_[to] - seconds_[from]; }
  // Infinite when its weights do not fit.
  double Seconds(int from, int to) const {
    if (problem_.memory_bytes > 0 && bytes_[to] - bytes_[from] > problem_.memory_bytes) return kInfinity;
    return seconds_[to] - seconds_[from] +
           (from == 0 ? 0 : problem_.cut_seconds[static_cast<size_t>(from) - 1]);
  }

 private:
  const StageProblem& problem_;
  std::vector<int> positions_;
  std::vector<double> seconds_, bytes_;
};

// The least sum of stages none of which is above `cap`.
std::optional<StageSolution> UnderCap(const Chain& chain, int stages, double cap) {
  const int n = chain.last();
  // The farthest end of a stage from each point: what it takes only grows with its end.
  std::vector<int> farthest(static_cast<size_t>(n));
  for (int from = 0; from < n; ++from) {
    int low = from, high = n + 1;  // within the cap or empty, beyond
    while (high - low > 1) {
      const int middle = low + (high - low) / 2;
      (chain.Seconds(from, middle) <= cap ? low : high) = middle;
    }
    farthest[static_cast<size_t>(from)] = low;
  }
  // Per number of stages and point: the least sum up to there, and where the last stage begins.
  const size_t points = static_cast<size_t>(n) + 1;
  std::vector<double> best((static_cast<size_t>(stages) + 1) * points, kInfinity);
  std::vector<int> begins(best.size(), -1);
  best[0] = 0;
  for (int s = 1; s <= stages; ++s) {
    const double* before = best.data() + static_cast<size_t>(s - 1) * points;
    double* here = best.data() + static_cast<size_t>(s) * points;
    int* begin = begins.data() + static_cast<size_t>(s) * points;
    for (int from = n - 1; from >= s - 1; --from) {
      if (before[from] == kInfinity) continue;
      for (int to = from + 1; to <= farthest[static_cast<size_t>(from)]; ++to) {
        const double sum = before[from] + chain.Seconds(from, to);
        if (sum >= here[to]) continue;
        here[to] = sum;
        begin[to] = from;
      }
    }
  }
  const size_t whole = static_cast<size_t>(stages) * points + static_cast<size_t>(n);
  if (best[whole] == kInfinity) return std::nullopt;
  StageSolution solution;
  solution.sum = best[whole];
  for (int s = stages, to = n; s > 0; --s) {
    const int begin = begins[static_cast<size_t>(s) * points + static_cast<size_t>(to)];
    solution.begin.push_back(chain.position(begin));
    solution.slowest = std::max(solution.slowest, chain.Seconds(begin, to));
    to = begin;
  }
  std::reverse(solution.begin.begin(), solution.begin.end());
  return solution;
}

}  // namespace

std::optional<StageSolution> CutIntoStages(const StageProblem& problem, bool exact) {
  if (problem.memory_bytes > 0 &&
      std::accumulate(problem.weight_bytes.begin(), problem.weight_bytes.end(), 0.0) >
          problem.memory_bytes * problem.stages) {
    return std::nullopt;
  }
  const Chain chain(problem);
  auto objective = [&](const StageSolution& s) { return s.sum + (problem.in_flight - 1) * s.slowest; };
  // The stages take the whole chain and some cuts, however it is cut.
  double floor = chain.Compute(0, chain.last());
  double most = floor;  // of a stage
  if (!problem.cut_seconds.empty()) {
    const auto [least, worst] = std::minmax_element(problem.cut_seconds.begin(), problem.cut_seconds.end());
    floor += (problem.stages - 1) * *least;
    most += *worst;
  }
  // Without more in flight only the sum counts.
  if (problem.in_flight <= 1) return UnderCap(chain, problem.stages, kInfinity);
  // Some cap that allows a solution. What that promises leaves few caps to try.
  double low_cap = 0, cap = floor / problem.stages, growth = 1.05;
  std::optional<StageSolution> best;
  while (!(best = UnderCap(chain, problem.stages, cap))) {
    if (cap >= most) return std::nullopt;
    low_cap = cap;
    cap = std::max(cap * growth, most * 1e-6);
    growth *= 1.1;
  }
  const double high_cap = (objective(*best) - floor) / (problem.in_flight - 1) * (1 + 1e-9);
  std::vector<double> caps;
  for (int from = 0; from < chain.last(); ++from) {
    for (int to = from + 1; to <= chain.last(); ++to) {
      const double seconds = chain.Seconds(from, to);
      if (seconds >= low_cap && seconds <= high_cap) caps.push_back(seconds);
    }
  }
  std::sort(caps.begin(), caps.end());
  std::vector<double> distinct;
  for (size_t i = 0; i < caps.size(); ++i) {
    // The last of a bucket, so that all of it is allowed.
    const bool last = i + 1 == caps.size() || caps[i + 1] > caps[i];
    if (!last) continue;
    if (!exact && !distinct.empty() && caps[i] < distinct.back() * 1.001) {
      distinct.back() = caps[i];
    } else {
      distinct.push_back(caps[i]);
    }
  }
  // The smallest cap that allows anything, then upwards while a higher one can still win.
  size_t low = 0, high = distinct.size();
  while (low < high) {
    const size_t middle = (low + high) / 2;
    if (UnderCap(chain, problem.stages, distinct[middle])) {
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  for (size_t i = low; i < distinct.size(); ++i) {
    const double least = std::max(floor, distinct[i]) + (problem.in_flight - 1) * distinct[i];
    if (least >= objective(*best) * (exact ? 1 + 1e-12 : 1)) break;
    std::optional<StageSolution> solution = UnderCap(chain, problem.stages, distinct[i]);
    if (solution && objective(*solution) < objective(*best)) best = std::move(solution);
  }
  return best;
}

}  // namespace omserve
