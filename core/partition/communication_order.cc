#include "core/partition/communication_order.h"

#include <algorithm>
#include <functional>
#include <map>
#include <queue>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "core/base/status.h"

namespace omserve {
namespace {

// The graphs of all slices as one, in which operators that meet are one event.
class Events {
 public:
  Events(const std::vector<CommunicatingSlice>& slices, const std::vector<CollectiveMeeting>& meetings)
      : slices_(slices), meetings_(meetings) {}

  absl::StatusOr<std::vector<std::vector<int32_t>>> Order() {
    RETURN_IF_ERROR(MakeEvents());
    LinkEvents();
    return Sort();
  }

 private:
  absl::Status MakeEvents() {
    event_of_.resize(slices_.size());
    for (size_t rank = 0; rank < slices_.size(); ++rank) {
      event_of_[rank].assign(static_cast<size_t>(slices_[rank].graph->id_limit()), -1);
    }
    for (const CollectiveMeeting& meeting : meetings_) {
      for (const auto& [rank, node] : meeting.members) event_of_[rank][node] = static_cast<int>(members_.size());
      members_.push_back(meeting.members);
    }
    position_.assign(members_.size(), INT32_MAX);
    for (size_t rank = 0; rank < slices_.size(); ++rank) {
      ASSIGN_OR_RETURN_WITH(const std::vector<int32_t> order, slices_[rank].graph->TopologicalOrder(),
                            slices_[rank].name);
      for (size_t i = 0; i < order.size(); ++i) {
        int& event = event_of_[rank][order[i]];
        if (event < 0) {
          event = static_cast<int>(members_.size());
          members_.push_back({{static_cast<int>(rank), order[i]}});
          position_.push_back(INT32_MAX);
        }
        position_[event] = std::min(position_[event], static_cast<int>(i));
      }
    }
    return absl::OkStatus();
  }

  void LinkEvents() {
    next_.resize(members_.size());
    waiting_.assign(members_.size(), 0);
    for (size_t event = 0; event < members_.size(); ++event) {
      for (const auto& [rank, node] : members_[event]) {
        for (const ValueId input : slices_[rank].graph->node(node)->inputs()) {
          if (input.valid()) Link(event_of_[rank][input.node], static_cast<int>(event));
        }
      }
    }
    std::map<std::string, int> last;  // by channel
    for (size_t i = 0; i < meetings_.size(); ++i) {
      const auto [previous, first] = last.emplace(meetings_[i].channel, static_cast<int>(i));
      if (!first) Link(std::exchange(previous->second, static_cast<int>(i)), static_cast<int>(i));
    }
  }

  void Link(int before, int after) {
    next_[before].push_back(after);
    ++waiting_[after];
  }

  absl::StatusOr<std::vector<std::vector<int32_t>>> Sort() {
    using Entry = std::pair<int, int>;  // position, event
    std::priority_queue<Entry, std::vector<Entry>, std::greater<>> ready;
    for (size_t event = 0; event < members_.size(); ++event) {
      if (waiting_[event] == 0) ready.emplace(position_[event], static_cast<int>(event));
    }
    std::vector<std::vector<int32_t>> orders(slices_.size());
    size_t done = 0;
    while (!ready.empty()) {
      const int event = ready.top().second;
      ready.pop();
      ++done;
      for (const auto& [rank, node] : members_[event]) orders[rank].push_back(node);
      for (const int next : next_[event]) {
        if (--waiting_[next] == 0) ready.emplace(position_[next], next);
      }
    }
    if (done != members_.size()) return Circle();
    return orders;
  }

  // Each event that waits has one that it waits for: walking back ends in a circle. People want to hear of the
  // communication on it.
  absl::Status Circle() const {
    std::vector<int> before(members_.size(), -1);
    int at = -1;
    for (size_t event = 0; event < members_.size(); ++event) {
      if (waiting_[event] == 0) continue;
      at = static_cast<int>(event);
      for (const int next : next_[event]) {
        if (waiting_[next] > 0) before[next] = static_cast<int>(event);
      }
    }
    // Events behind the circle are left by walking back; those before it have been sorted.
    std::vector<int> path;
    while (std::find(path.begin(), path.end(), at) == path.end()) {
      path.push_back(at);
      at = before[at];
    }
    path.erase(path.begin(), std::find(path.begin(), path.end(), at));
    std::reverse(path.begin(), path.end());
    std::vector<std::string> parts;
    for (const int event : path) {
      if (static_cast<size_t>(event) >= meetings_.size()) continue;
      parts.push_back(absl::StrJoin(members_[event], " with ", [this](std::string* out, const auto& member) {
        const Node& node = *slices_[member.first].graph->node(member.second);
        absl::StrAppend(out, "'", node.name(), "' (", node.type(), ") of '", slices_[member.first].name, "'");
      }));
    }
    return absl::InvalidArgumentError(
        absl::StrCat("EI0005: slices would wait for each other for ever: ", absl::StrJoin(parts, ", before it "),
                     ", and so on; let all slices communicate in one order"));
  }

  const std::vector<CommunicatingSlice>& slices_;
  const std::vector<CollectiveMeeting>& meetings_;
  std::vector<std::vector<std::pair<int, int32_t>>> members_;  // by event; the meetings come first
  std::vector<int> position_;                                  // by event: the earliest in a graph's own order
  std::vector<std::vector<int>> event_of_;                     // by rank and node
  std::vector<std::vector<int>> next_;
  std::vector<int> waiting_;
};

}  // namespace

absl::StatusOr<std::vector<std::vector<int32_t>>> CommonOrder(const std::vector<CommunicatingSlice>& slices,
                                                              const std::vector<CollectiveMeeting>& meetings) {
  return Events(slices, meetings).Order();
}

}  // namespace omserve
