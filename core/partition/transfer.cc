#include "core/partition/transfer.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace omserve {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
// Beyond this, boxes of different cuts are not compared rank by rank; whole values and equal cuts still are
// sent.
constexpr int kMostRanksCompared = 64;

double WholeNanoseconds(double seconds) { return std::round(seconds * 1e9) * 1e-9; }

void AddUnique(std::vector<Sharding>* list, Sharding sharding) {
  if (std::find(list->begin(), list->end(), sharding) == list->end()) list->push_back(std::move(sharding));
}

// `sharding` with its summands added up: everywhere, or scattered over one dimension.
std::vector<Sharding> WithoutSummands(const Mesh& mesh, const Sharding& sharding, const Shape& shape) {
  std::vector<Sharding> all;
  Sharding whole = sharding;
  whole.partial = 0;
  AddUnique(&all, whole);
  if (sharding.partial == 0) return all;
  for (size_t d = 0; d < shape.size(); ++d) {
    Sharding scattered = whole;
    for (int8_t axis = 0; axis < mesh.num_axes(); ++axis) {
      if (sharding.partial >> axis & 1) scattered.dims[d].push_back(axis);
    }
    if (IsLegal(mesh, scattered, shape)) AddUnique(&all, std::move(scattered));
  }
  return all;
}

// Each dimension cut over all axes.
std::vector<Sharding> FullyCut(const Mesh& mesh, const Shape& shape) {
  std::vector<Sharding> all;
  for (size_t d = 0; d < shape.size(); ++d) {
    Sharding cut = Sharding::Replicated(static_cast<int>(shape.size()));
    for (int8_t axis = 0; axis < mesh.num_axes(); ++axis) cut.dims[d].push_back(axis);
    if (IsLegal(mesh, cut, shape)) all.push_back(std::move(cut));
  }
  return all;
}

}  // namespace

bool BoxContains(const std::vector<int64_t>& outer_begin, const Shape& outer_extent,
                 const std::vector<int64_t>& begin, const Shape& extent) {
  for (size_t d = 0; d < extent.size(); ++d) {
    if (begin[d] < outer_begin[d] || begin[d] + extent[d] > outer_begin[d] + outer_extent[d]) return false;
  }
  return true;
}

const Transfer& TransferPlanner::Messages(const Sharding& sent, const Sharding& received,
                                          const TensorDesc& desc) {
  const Key key{desc.shape, static_cast<int>(SizeOf(desc.type)), sent, received};
  auto known = messages_.find(key);
  if (known != messages_.end()) return known->second;
  Transfer transfer{sent, received, {}, kInfinity, kInfinity};
  const Mesh& from = from_mesh_;
  const Mesh& to = to_mesh_;
  if (sent.is_replicated()) {
    for (int rank = 0; rank < to.size(); ++rank) transfer.sources.push_back(rank % from.size());
  } else if (from.axis_sizes() == to.axis_sizes() && sent == received) {
    for (int rank = 0; rank < to.size(); ++rank) transfer.sources.push_back(rank);
  } else if (from.size() <= kMostRanksCompared && to.size() <= kMostRanksCompared) {
    const Shape outer = LocalShape(from, sent, desc.shape), inner = LocalShape(to, received, desc.shape);
    for (int rank = 0; rank < to.size(); ++rank) {
      const std::vector<int64_t> begin = LocalBegin(to, received, desc.shape, rank);
      for (int i = 0; i < from.size(); ++i) {
        const int source = (rank + i) % from.size();
        if (!BoxContains(LocalBegin(from, sent, desc.shape, source), outer, begin, inner)) continue;
        transfer.sources.push_back(source);
        break;
      }
      if (static_cast<int>(transfer.sources.size()) <= rank) break;
    }
  }
  if (static_cast<int>(transfer.sources.size()) == to.size()) {
    const double bytes = static_cast<double>(ByteSize({desc.type, LocalShape(to, received, desc.shape)}));
    // A rank sends its messages one after the other.
    std::vector<double> busy(static_cast<size_t>(from.size()), 0);
    for (int rank = 0; rank < to.size(); ++rank) {
      const int source = transfer.sources[static_cast<size_t>(rank)];
      busy[static_cast<size_t>(source)] += cluster_.CollectiveTime(
          CollectiveKind::kSendReceive, {from.device(source), to.device(rank)}, bytes);
    }
    transfer.send_seconds = WholeNanoseconds(*std::max_element(busy.begin(), busy.end()));
  }
  return messages_.emplace(key, std::move(transfer)).first->second;
}

const Transfer& TransferPlanner::Best(const Sharding& produced, const Sharding& wanted,
                                      const TensorDesc& desc) {
  const Key key{desc.shape, static_cast<int>(SizeOf(desc.type)), produced, wanted};
  auto known = best_.find(key);
  if (known != best_.end()) return known->second;
  Transfer best{Sharding::Replicated(static_cast<int>(desc.shape.size())), wanted, {}, kInfinity, kInfinity};
  if (wanted.partial == 0) {
    const Sharding whole = Sharding::Replicated(static_cast<int>(desc.shape.size()));
    std::vector<Sharding> sendable = WithoutSummands(from_mesh_, produced, desc.shape);
    for (Sharding& cut : FullyCut(from_mesh_, desc.shape)) AddUnique(&sendable, std::move(cut));
    AddUnique(&sendable, whole);
    std::vector<Sharding> receivable{wanted};
    for (Sharding& cut : FullyCut(to_mesh_, desc.shape)) AddUnique(&receivable, std::move(cut));
    AddUnique(&receivable, whole);
    if (from_mesh_.axis_sizes() == to_mesh_.axis_sizes()) {
      for (const Sharding& sharding : sendable) AddUnique(&receivable, sharding);
    }
    for (const Sharding& sent : sendable) {
      const double before = from_.Seconds(produced, sent, desc);
      if (!std::isfinite(before)) continue;
      for (const Sharding& received : receivable) {
        const Transfer& messages = Messages(sent, received, desc);
        if (!std::isfinite(messages.send_seconds)) continue;
        const double seconds = before + messages.send_seconds + to_.Seconds(received, wanted, desc);
        if (seconds >= best.seconds) continue;
        best = messages;
        best.seconds = seconds;
      }
    }
  }
  return best_.emplace(key, std::move(best)).first->second;
}

}  // namespace omserve
