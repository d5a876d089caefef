#include "core/partition/reshard.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <queue>

namespace omserve {
namespace {

// A local rearrangement reads and writes each byte once; every step costs at least the start of a kernel.
constexpr double kStepSeconds = 1e-6;

// Whole nanoseconds: sums are then exact in a double, so the order of additions cannot change which plan wins.
double WholeNanoseconds(double seconds) { return std::round(seconds * 1e9) * 1e-9; }

AxisList MinorEnd(const AxisList& axes, size_t count) { return AxisList(axes.end() - count, axes.end()); }

void Append(AxisList* list, const AxisList& axes) { list->insert(list->end(), axes.begin(), axes.end()); }

}  // namespace

const std::vector<ConcurrentGroup>& Resharder::GroupsOver(const AxisList& axes) const {
  auto [it, fresh] = groups_.try_emplace(axes);
  if (!fresh) return it->second;
  std::vector<std::vector<int>> groups = mesh_.Groups(axes);
  for (std::vector<int>& group : groups) {
    for (int& member : group) member = mesh_.device(member);
  }
  it->second = cluster_.Concurrent(groups);
  return it->second;
}

CollectivePrice Resharder::PriceCollective(CollectiveKind kind, const AxisList& axes, double payload) const {
  CollectivePrice slowest;
  for (const ConcurrentGroup& group : GroupsOver(axes)) {
    const CollectivePrice price = cluster_.PriceGroup(kind, group, payload);
    if (price.seconds > slowest.seconds) slowest = price;
  }
  return slowest;
}

double Resharder::AllReduceSeconds(const AxisList& axes, double bytes) const {
  return kStepSeconds + PriceCollective(CollectiveKind::kAllReduce, axes, bytes).seconds;
}

double Resharder::AllGatherSeconds(const AxisList& axes, double bytes) const {
  return kStepSeconds + PriceCollective(CollectiveKind::kAllGather, axes, bytes).seconds;
}

CollectivePrice Resharder::Price(const ReshardStep& step, const Sharding& before, const TensorDesc& desc) const {
  const double element = static_cast<double>(SizeOf(desc.type));
  const double local_before = static_cast<double>(NumElements(LocalShape(mesh_, before, desc.shape))) * element;
  const double local_after = static_cast<double>(NumElements(LocalShape(mesh_, step.after, desc.shape))) * element;
  const double copy = (local_before + local_after) / cluster_.devices()[mesh_.device(0)].bytes_per_second;
  CollectiveKind kind = CollectiveKind::kAllReduce;
  double payload = local_before;
  switch (step.kind) {
    case ReshardStep::Kind::kSlice: return {kStepSeconds + copy, ""};
    case ReshardStep::Kind::kAllReduce: kind = CollectiveKind::kAllReduce; break;
    case ReshardStep::Kind::kReduceScatter: kind = CollectiveKind::kReduceScatter; break;
    case ReshardStep::Kind::kAllToAll: kind = CollectiveKind::kAllToAll; break;
    case ReshardStep::Kind::kAllGather:
      kind = CollectiveKind::kAllGather;
      payload = local_after;
      break;
  }
  // Collectives work along dimension 0: cutting or joining another dimension rearranges the data locally.
  const bool rearranges = step.kind == ReshardStep::Kind::kAllToAll ||
                          (step.kind != ReshardStep::Kind::kAllReduce && step.dim > 0);
  CollectivePrice price = PriceCollective(kind, step.axes, payload);
  price.seconds += kStepSeconds + (rearranges ? copy : 0);
  return price;
}

std::vector<ReshardStep> Resharder::StepsFrom(const Sharding& from, const TensorDesc& desc) const {
  std::vector<ReshardStep> steps;
  const int rank = static_cast<int>(desc.shape.size());
  auto add = [&](ReshardStep::Kind kind, int dim, int to_dim, const AxisList& axes, Sharding after) {
    if (!IsLegal(mesh_, after, desc.shape)) return;
    ReshardStep step{kind, dim, to_dim, axes, std::move(after), 0, ""};
    const CollectivePrice price = Price(step, from, desc);
    step.seconds = WholeNanoseconds(price.seconds);
    step.algorithm = price.algorithm;
    steps.push_back(std::move(step));
  };
  const AxisMask unused = mesh_.all_axes() & ~from.UsedAxes();
  for (int dim = 0; dim < rank; ++dim) {
    for (int8_t axis = 0; axis < mesh_.num_axes(); ++axis) {
      if (!(unused >> axis & 1)) continue;
      Sharding after = from;
      after.dims[dim].push_back(axis);
      add(ReshardStep::Kind::kSlice, dim, dim, AxisList{axis}, std::move(after));
    }
    for (size_t count = 1; count <= from.dims[dim].size(); ++count) {
      const AxisList axes = MinorEnd(from.dims[dim], count);
      Sharding gathered = from;
      gathered.dims[dim].resize(gathered.dims[dim].size() - count);
      for (int to_dim = 0; to_dim < rank; ++to_dim) {
        if (to_dim == dim) continue;
        Sharding moved = gathered;
        Append(&moved.dims[to_dim], axes);
        add(ReshardStep::Kind::kAllToAll, dim, to_dim, axes, std::move(moved));
      }
      add(ReshardStep::Kind::kAllGather, dim, dim, axes, std::move(gathered));
    }
  }
  for (const AxisList& axes : SubsetsOf(from.partial)) {
    Sharding after = from;
    after.partial &= ~MaskOf(axes);
    for (int dim = 0; dim < rank; ++dim) {
      Sharding scattered = after;
      Append(&scattered.dims[dim], axes);
      add(ReshardStep::Kind::kReduceScatter, dim, dim, axes, std::move(scattered));
    }
    add(ReshardStep::Kind::kAllReduce, 0, 0, axes, std::move(after));
  }
  return steps;
}

const Resharder::Tree& Resharder::TreeFrom(const Sharding& from, const TensorDesc& desc) {
  auto& by_sharding = trees_[{desc.shape, static_cast<int>(SizeOf(desc.type))}];
  std::unique_ptr<Tree>& slot = by_sharding[from];
  if (slot) return *slot;
  slot = std::make_unique<Tree>();
  Tree& tree = *slot;
  // Ties are broken by the order in which states were found, which is deterministic.
  struct Entry {
    double seconds;
    int64_t order;
    Sharding sharding;
    bool operator>(const Entry& other) const {
      return seconds != other.seconds ? seconds > other.seconds : order > other.order;
    }
  };
  std::priority_queue<Entry, std::vector<Entry>, std::greater<Entry>> queue;
  int64_t order = 0;
  tree[from] = Reached{};
  queue.push({0, order++, from});
  while (!queue.empty()) {
    const Entry entry = queue.top();
    queue.pop();
    if (entry.seconds > tree[entry.sharding].seconds) continue;
    for (ReshardStep& step : StepsFrom(entry.sharding, desc)) {
      const double seconds = entry.seconds + step.seconds;
      auto [it, fresh] = tree.try_emplace(step.after);
      if (!fresh && it->second.seconds <= seconds) continue;
      queue.push({seconds, order++, step.after});
      it->second = Reached{seconds, entry.sharding, std::move(step)};
    }
  }
  return tree;
}

double Resharder::Seconds(const Sharding& from, const Sharding& to, const TensorDesc& desc) {
  if (from == to) return 0;
  if (to.partial & ~from.partial) return std::numeric_limits<double>::infinity();
  const Tree& tree = TreeFrom(from, desc);
  auto it = tree.find(to);
  return it == tree.end() ? std::numeric_limits<double>::infinity() : it->second.seconds;
}

ReshardPath Resharder::Path(const Sharding& from, const Sharding& to, const TensorDesc& desc) {
  ReshardPath path;
  if (from == to) return path;
  const Tree& tree = TreeFrom(from, desc);
  path.seconds = tree.at(to).seconds;
  for (Sharding at = to; at != from;) {
    const Reached& reached = tree.at(at);
    path.steps.push_back(reached.step);
    at = reached.previous;
  }
  std::reverse(path.steps.begin(), path.steps.end());
  return path;
}

}  // namespace omserve
