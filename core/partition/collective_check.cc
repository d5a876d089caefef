#include "core/partition/collective_check.h"

#include <algorithm>
#include <map>
#include <tuple>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "core/base/status.h"
#include "core/ops/op.h"

namespace omserve {
namespace {

template <typename... Parts>
absl::Status Refuse(const char* code, const Parts&... parts) {
  return absl::InvalidArgumentError(absl::StrCat(code, ": ", parts...));
}

constexpr char kConfiguration[] = "EF1001";
constexpr char kAttribute[] = "E14001";
constexpr char kRanksDiffer[] = "EI0005";

// Counts and displacements have a value for each rank.
struct RankList {
  const char* type;
  int input;
  const char* name;
};
constexpr RankList kRankLists[] = {
    {"HcomAllToAllV", 1, "send_counts"},        {"HcomAllToAllV", 2, "send_displacements"},
    {"HcomAllToAllV", 3, "recv_counts"},        {"HcomAllToAllV", 4, "recv_displacements"},
    {"HcomAllGatherV", 2, "recv_counts"},       {"HcomAllGatherV", 3, "recv_displacements"},
};

class Matcher {
 public:
  Matcher(const std::vector<CommunicatingSlice>& slices, const std::vector<RelationGroup>& groups)
      : slices_(slices), groups_(groups) {}

  absl::StatusOr<std::vector<CollectiveMeeting>> Match() {
    for (size_t rank = 0; rank < slices_.size(); ++rank) {
      for (const int32_t id : slices_[rank].communication) {
        RETURN_IF_ERROR(Sort(static_cast<int>(rank), *slices_[rank].graph->node(id)));
      }
    }
    for (const RelationGroup& group : groups_) RETURN_IF_ERROR(MatchGroup(group));
    RETURN_IF_ERROR(MatchMessages());
    return std::move(meetings_);
  }

 private:
  // World rank of the sender and of the receiver, tag.
  using Message = std::tuple<std::string, int, int, int64_t>;

  NodeView View(int rank, int32_t node) const {
    return NodeView(*slices_[rank].graph, *slices_[rank].graph->node(node));
  }
  std::string Title(int rank, const Node& node) const {
    return absl::StrCat("'", slices_[rank].name, "': operator '", node.name(), "' (", node.type(), ")");
  }

  absl::StatusOr<const RelationGroup*> GroupOf(int rank, const Node& node) const {
    const std::string name = node.AttrOr<std::string>("group", "");
    const auto group = std::find_if(groups_.begin(), groups_.end(),
                                    [&](const RelationGroup& candidate) { return candidate.name == name; });
    if (group == groups_.end()) {
      return Refuse(kConfiguration, Title(rank, node), " is of group '", name, "', which comm_group does not declare",
                    groups_.empty() ? "" : "; declared are ",
                    absl::StrJoin(groups_, ", ", [](std::string* out, const RelationGroup& declared) {
                      absl::StrAppend(out, "'", declared.name, "'");
                    }));
    }
    if (std::find(group->ranks.begin(), group->ranks.end(), rank) == group->ranks.end()) {
      return Refuse(kConfiguration, Title(rank, node), " is of group '", name, "', in which its rank ", rank,
                    " is not; the group's ranks are ", absl::StrJoin(group->ranks, ", "));
    }
    return &*group;
  }

  // Checks an operator by itself and files it under whom it meets.
  absl::Status Sort(int rank, const Node& node) {
    ASSIGN_OR_RETURN(const RelationGroup* group, GroupOf(rank, node));
    RETURN_IF_ERROR(CheckAttributes(rank, node, *group));
    const bool send = node.is("HcomSend");
    if (!send && !node.is("HcomReceive")) {
      collectives_[group->name][rank].push_back(node.id());
      return absl::OkStatus();
    }
    const NodeView view = View(rank, node.id());
    const int peer = group->ranks[view.Attr<int64_t>(send ? "dest_rank" : "src_rank")];
    if (peer == rank) {
      return Refuse(kAttribute, Title(rank, node), ": attribute '", send ? "dest_rank" : "src_rank",
                    "' is its own rank in group '", group->name, "'");
    }
    const int64_t tag = view.Attr<int64_t>("sr_tag");
    if (send) {
      sends_[Message{group->name, rank, peer, tag}].push_back(node.id());
    } else {
      receives_[Message{group->name, peer, rank, tag}].push_back(node.id());
    }
    return absl::OkStatus();
  }

  absl::Status CheckAttributes(int rank, const Node& node, const RelationGroup& group) const {
    const NodeView view = View(rank, node.id());
    const int64_t size = static_cast<int64_t>(group.ranks.size());
    const std::string in_group = absl::StrCat("group '", group.name, "' of ", size, " ranks");
    if (node.is("HcomAllGather") || node.is("HcomReduceScatter")) {
      const int64_t rank_size = view.Attr<int64_t>("rank_size");
      if (rank_size != size) {
        return Refuse(kAttribute, Title(rank, node), ": attribute 'rank_size' is ", rank_size, ", but it is of ",
                      in_group);
      }
    }
    for (const char* name : {"root_rank", "dest_rank", "src_rank"}) {
      const int64_t* value = node.FindAttr<int64_t>(name);
      if (value == nullptr || (*value >= 0 && *value < size)) continue;
      return Refuse(kAttribute, Title(rank, node), ": attribute '", name, "' is ", *value, "; in ", in_group,
                    " it must be 0 to ", size - 1);
    }
    if (node.is("HcomAllToAll") && view.input_shape(0)[0] % size != 0) {
      return Refuse(kAttribute, Title(rank, node), ": x is ", ToString(view.input(0)),
                    "; dimension 0 must be divisible by the ", size, " ranks of group '", group.name, "'");
    }
    for (const RankList& list : kRankLists) {
      if (!node.is(list.type) || !view.has_input(list.input) || view.input_shape(list.input)[0] == size) continue;
      return Refuse(kAttribute, Title(rank, node), ": ", list.name, " is ", ToString(view.input(list.input)),
                    "; in ", in_group, " it must have ", size, " elements");
    }
    if (node.is("HcomAllToAllVC")) {
      const int64_t own = std::find(group.ranks.begin(), group.ranks.end(), rank) - group.ranks.begin();
      if (view.Attr<int64_t>("rank") != own) {
        return Refuse(kAttribute, Title(rank, node), ": attribute 'rank' is ", view.Attr<int64_t>("rank"),
                      ", but in group '", group.name, "' its rank is ", own);
      }
      if (view.input_shape(1) != Shape{size, size}) {
        return Refuse(kAttribute, Title(rank, node), ": send_count_matrix is ", ToString(view.input(1)), "; in ",
                      in_group, " it must have the shape ", ToString(Shape{size, size}));
      }
    }
    return absl::OkStatus();
  }

  // What must be the same on all ranks, as people read it.
  std::string Signature(int rank, int32_t id) const {
    const Node& node = *slices_[rank].graph->node(id);
    const NodeView view = View(rank, id);
    std::vector<std::string> parts;
    // Variable counts are each rank's own; their type is not.
    const bool variable = absl::EndsWith(node.type(), "V") || absl::EndsWith(node.type(), "VC");
    for (int i = 0; i < (variable ? 1 : node.num_inputs()); ++i) {
      parts.push_back(variable ? absl::StrCat("elements of ", std::string(Name(view.input(i).type))) : ToString(view.input(i)));
    }
    if (node.FindAttr<std::string>("reduction")) parts.push_back(view.Attr<std::string>("reduction"));
    if (node.FindAttr<int64_t>("root_rank")) {
      parts.push_back(absl::StrCat("root_rank ", view.Attr<int64_t>("root_rank")));
    }
    if (node.is("HcomAllToAllVC")) {
      if (absl::StatusOr<std::vector<int64_t>> matrix = view.ConstantInts(1); matrix.ok()) {
        parts.push_back(absl::StrCat("send_count_matrix ", absl::StrJoin(*matrix, ",")));
      }
    }
    return absl::StrCat(node.type(), " of ", absl::StrJoin(parts, ", "));
  }

  absl::Status MatchGroup(const RelationGroup& group) {
    const std::map<int, std::vector<int32_t>>& by_rank = collectives_[group.name];
    if (by_rank.empty()) return absl::OkStatus();
    static const std::vector<int32_t> kNone;
    const auto of = [&](int rank) -> const std::vector<int32_t>& {
      auto found = by_rank.find(rank);
      return found == by_rank.end() ? kNone : found->second;
    };
    const int first = group.ranks[0];
    for (const int rank : group.ranks) {
      const size_t common = std::min(of(first).size(), of(rank).size());
      for (size_t i = 0; i < common; ++i) {
        const std::string expected = Signature(first, of(first)[i]), found = Signature(rank, of(rank)[i]);
        if (expected == found) continue;
        return Refuse(kRanksDiffer, "group '", group.name, "': operator ", i + 1, " is '",
                      slices_[first].graph->node(of(first)[i])->name(), "', ", expected, ", in '",
                      slices_[first].name, "', but '", slices_[rank].graph->node(of(rank)[i])->name(), "', ", found,
                      ", in '", slices_[rank].name,
                      "'; all ranks of a group have the same collectives in the same order");
      }
      if (of(first).size() != of(rank).size()) {
        const int longer = of(first).size() > of(rank).size() ? first : rank;
        const int shorter = longer == first ? rank : first;
        return Refuse(kRanksDiffer, "group '", group.name, "': '", slices_[longer].name, "' has ",
                      of(longer).size(), " collectives, '", slices_[shorter].name, "' ", of(shorter).size(),
                      "; the first without a peer is '", slices_[longer].graph->node(of(longer)[common])->name(),
                      "', ", Signature(longer, of(longer)[common]));
      }
    }
    for (size_t i = 0; i < of(first).size(); ++i) {
      CollectiveMeeting meeting{absl::StrCat("group ", group.name), {}};
      for (const int rank : group.ranks) meeting.members.emplace_back(rank, of(rank)[i]);
      RETURN_IF_ERROR(CheckCounts(group, meeting));
      meetings_.push_back(std::move(meeting));
    }
    return absl::OkStatus();
  }

  // What one rank sends to another must be what that one receives from it, as far as the counts are constant.
  absl::Status CheckCounts(const RelationGroup& group, const CollectiveMeeting& meeting) const {
    const Node& first = *slices_[meeting.members[0].first].graph->node(meeting.members[0].second);
    // For each operator: the input with what the rank sends, and with what it receives.
    int sent = -1, received = -1;
    if (first.is("HcomAllToAllV")) sent = 1, received = 3;
    if (first.is("HcomAllGatherV")) sent = 1, received = 2;
    if (sent < 0) return absl::OkStatus();
    const int size = static_cast<int>(group.ranks.size());
    for (int from = 0; from < size; ++from) {
      const auto& [sender, send_node] = meeting.members[from];
      const auto sends = View(sender, send_node).ConstantInts(sent);
      if (!sends.ok() || sends->empty()) continue;
      for (int to = 0; to < size; ++to) {
        const auto& [receiver, receive_node] = meeting.members[to];
        const auto receives = View(receiver, receive_node).ConstantInts(received);
        if (!receives.ok() || receives->empty()) continue;
        const int64_t out = sends->size() == 1 ? sends->front() : sends->at(to);  // a count for all ranks stands alone
        const int64_t in = receives->at(from);
        if (out == in) continue;
        return Refuse(kRanksDiffer, "group '", group.name, "': ", Title(sender, *slices_[sender].graph->node(send_node)),
                      " gives rank ", to, " ", out, " elements, but in '", slices_[receiver].name, "' rank ", to,
                      " takes ", in, " from rank ", from);
      }
    }
    return absl::OkStatus();
  }

  absl::Status MatchMessages() {
    for (const auto& [message, nodes] : sends_) {
      const auto& [group, source, target, tag] = message;
      const auto peers = receives_.find(message);
      const std::string channel = absl::StrCat("message ", group, " ", source, " ", target, " ", tag);
      for (size_t i = 0; i < nodes.size(); ++i) {
        const Node& send = *slices_[source].graph->node(nodes[i]);
        if (peers == receives_.end() || i >= peers->second.size()) {
          return Refuse(kRanksDiffer, Title(source, send), " sends to rank ", target, " ('", slices_[target].name,
                        "') with sr_tag ", tag, " in group '", group, "', which has no HcomReceive for it");
        }
        const Node& receive = *slices_[target].graph->node(peers->second[i]);
        const TensorDesc sent = View(source, send.id()).input(0);
        if (sent != receive.output()) {
          return Refuse(kRanksDiffer, Title(source, send), " sends ", ToString(sent), ", but ",
                        Title(target, receive), " with the same sr_tag ", tag, " expects ",
                        ToString(receive.output()));
        }
        meetings_.push_back({channel, {{source, send.id()}, {target, receive.id()}}});
      }
    }
    for (const auto& [message, nodes] : receives_) {
      const auto& [group, source, target, tag] = message;
      const auto peers = sends_.find(message);
      const size_t sent = peers == sends_.end() ? 0 : peers->second.size();
      if (sent >= nodes.size()) continue;
      return Refuse(kRanksDiffer, Title(target, *slices_[target].graph->node(nodes[sent])), " receives from rank ",
                    source, " ('", slices_[source].name, "') with sr_tag ", tag, " in group '", group,
                    "', which has no HcomSend for it");
    }
    return absl::OkStatus();
  }

  const std::vector<CommunicatingSlice>& slices_;
  const std::vector<RelationGroup>& groups_;
  std::map<std::string, std::map<int, std::vector<int32_t>>> collectives_;  // by group and rank
  std::map<Message, std::vector<int32_t>> sends_, receives_;                // by message, in program order
  std::vector<CollectiveMeeting> meetings_;
};

}  // namespace

absl::StatusOr<std::vector<CollectiveMeeting>> MatchCollectives(const std::vector<CommunicatingSlice>& slices,
                                                                const std::vector<RelationGroup>& groups) {
  return Matcher(slices, groups).Match();
}

}  // namespace omserve
