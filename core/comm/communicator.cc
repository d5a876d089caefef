#include "core/comm/communicator.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <set>
#include <thread>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "core/base/checked.h"
#include "core/base/status.h"
#include "core/comm/group_channel.h"
#include "core/comm/local_group.h"
#include "core/comm/mailroom.h"
#include "core/comm/network.h"
#include "core/comm/outbox.h"
#include "core/comm/reduce.h"
#include "core/comm/scratch.h"
#include "core/comm/wait.h"

namespace omserve {
namespace {

absl::Status Validate(const CommWorld& world, int process) {
  const int ranks = static_cast<int>(world.process_of.size());
  if (world.process_of.size() > MessageTag::kMaxRanks) {
    return absl::InvalidArgumentError(
        absl::StrCat("a world of ", ranks, " ranks; at most ", MessageTag::kMaxRanks, " can be addressed"));
  }
  for (int rank = 0; rank < ranks; ++rank) {
    if (world.process_of[rank] < 0) {
      return absl::InvalidArgumentError(absl::StrCat("rank ", rank, " is placed in process ",
                                                     world.process_of[rank], ", which is negative"));
    }
  }
  if (std::count(world.process_of.begin(), world.process_of.end(), process) == 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("process ", process, " hosts none of the ", ranks, " ranks"));
  }
  if (world.groups.size() > MessageTag::kNoGroup) {
    return absl::InvalidArgumentError(absl::StrCat("a world of ", world.groups.size(), " groups; at most ",
                                                   MessageTag::kNoGroup, " can be addressed"));
  }
  absl::flat_hash_set<std::string> names;
  for (const CommGroup& group : world.groups) {
    if (group.name.empty()) return absl::InvalidArgumentError("a group has an empty name");
    if (!names.insert(group.name).second) {
      return absl::InvalidArgumentError(absl::StrCat("two groups are called \"", group.name, "\""));
    }
    if (group.ranks.empty()) {
      return absl::InvalidArgumentError(absl::StrCat("group \"", group.name, "\" has no members"));
    }
    absl::flat_hash_set<int> members;
    for (const int rank : group.ranks) {
      if (rank < 0 || rank >= ranks) {
        return absl::InvalidArgumentError(
            absl::StrCat("group \"", group.name, "\" has member ", rank, "; ranks are 0 to ", ranks - 1));
      }
      if (!members.insert(rank).second) {
        return absl::InvalidArgumentError(
            absl::StrCat("group \"", group.name, "\" has member ", rank, " twice"));
      }
    }
  }
  return absl::OkStatus();
}

// Tells whether two processes were given the same world.
uint64_t Signature(const CommWorld& world) {
  std::string text = absl::StrJoin(world.process_of, ",");
  for (const CommGroup& group : world.groups) {
    absl::StrAppend(&text, "|", group.name.size(), ":", group.name, ":", absl::StrJoin(group.ranks, ","));
  }
  uint64_t hash = 0xcbf29ce484222325;  // FNV-1a, which unlike absl::Hash is the same in all processes
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return hash;
}

// How `group` lies over the processes, all but what depends on the member.
GroupLayout LayoutOf(const CommWorld& world, int index, int process, const std::map<int, int>& mailboxes) {
  const CommGroup& group = world.groups[index];
  GroupLayout layout;
  layout.name = group.name;
  layout.index = index;
  layout.world_ranks = group.ranks;
  std::map<int, int> node_of_process;
  for (int rank = 0; rank < static_cast<int>(group.ranks.size()); ++rank) {
    const int world_rank = group.ranks[rank];
    const auto [node, added] =
        node_of_process.emplace(world.process_of[world_rank], static_cast<int>(layout.nodes.size()));
    if (added) layout.nodes.push_back(GroupNode{world_rank, {}});
    layout.node_of.push_back(node->second);
    std::vector<RankRun>& blocks = layout.nodes[node->second].blocks;
    if (!blocks.empty() && blocks.back().first + blocks.back().count == rank) {
      ++blocks.back().count;
    } else {
      blocks.push_back(RankRun{rank, 1});
    }
    const bool local = world.process_of[world_rank] == process;
    if (local) layout.locals.push_back(rank);
    layout.mailbox_of.push_back(local ? mailboxes.at(world_rank) : -1);
  }
  return layout;
}

// One local rank: its channels by group, and the checks that all of them need.
class RankBackend : public CollectiveBackend {
 public:
  RankBackend(const RankResources& resources, const std::atomic<bool>* connected)
      : resources_(resources), connected_(connected) {
    resources_.workspace = &workspace_;
    resources_.exchange_space = &exchange_space_;
  }

  void AddGroup(GroupLayout layout, LocalGroup::Member member) {
    std::string name = layout.name;
    channels_.try_emplace(std::move(name),
                          std::make_unique<GroupChannel>(std::move(layout), member, resources_));
  }

  absl::StatusOr<int> GroupSize(const std::string& group) const override {
    ASSIGN_OR_RETURN(const GroupChannel* channel, Find(group));
    return channel->size();
  }

  absl::StatusOr<int> GroupRank(const std::string& group) const override {
    ASSIGN_OR_RETURN(const GroupChannel* channel, Find(group));
    return channel->rank();
  }

  absl::Status AllReduce(const std::string& group, const void* input, void* output, size_t count,
                         DataType type, Reduction reduction, const WaitLimit& limit) override {
    ASSIGN_OR_RETURN(GroupChannel * channel, FindFor(group, count, type));
    RETURN_IF_ERROR(CheckReducible(type));
    return count == 0 ? absl::OkStatus() : channel->AllReduce(input, output, count, type, reduction, limit);
  }

  absl::Status AllGather(const std::string& group, const void* input, void* output, size_t count,
                         DataType type, const WaitLimit& limit) override {
    ASSIGN_OR_RETURN(GroupChannel * channel, FindFor(group, count, type));
    return count == 0 ? absl::OkStatus() : channel->AllGather(input, output, count, type, limit);
  }

  absl::Status ReduceScatter(const std::string& group, const void* input, void* output, size_t count,
                             DataType type, Reduction reduction, const WaitLimit& limit) override {
    ASSIGN_OR_RETURN(GroupChannel * channel, FindFor(group, count, type));
    RETURN_IF_ERROR(CheckReducible(type));
    return count == 0 ? absl::OkStatus()
                      : channel->ReduceScatter(input, output, count, type, reduction, limit);
  }

  absl::Status AllToAll(const std::string& group, const void* input, void* output, size_t count,
                        DataType type, const WaitLimit& limit) override {
    ASSIGN_OR_RETURN(GroupChannel * channel, FindFor(group, count, type));
    return count == 0 ? absl::OkStatus() : channel->AllToAll(input, output, count, type, limit);
  }

  absl::Status Broadcast(const std::string& group, const void* input, void* output, size_t count,
                         DataType type, int root, const WaitLimit& limit) override {
    ASSIGN_OR_RETURN(GroupChannel * channel, FindFor(group, count, type));
    if (root < 0 || root >= channel->size()) {
      return absl::InvalidArgumentError(absl::StrCat("broadcast from root ", root, " of group \"", group,
                                                     "\", which has ranks 0 to ", channel->size() - 1));
    }
    return count == 0 ? absl::OkStatus() : channel->Broadcast(input, output, count, type, root, limit);
  }

  absl::Status Send(const std::string& group, const void* data, size_t count, DataType type, int peer,
                    int64_t tag, const WaitLimit& limit) override {
    ASSIGN_OR_RETURN(GroupChannel * channel, FindFor(group, count, type));
    RETURN_IF_ERROR(CheckPeer(*channel, group, peer, tag));
    return channel->Send(data, count * SizeOf(type), peer, tag, limit);
  }

  absl::Status Receive(const std::string& group, void* data, size_t count, DataType type, int peer,
                       int64_t tag, const WaitLimit& limit) override {
    ASSIGN_OR_RETURN(GroupChannel * channel, FindFor(group, count, type));
    RETURN_IF_ERROR(CheckPeer(*channel, group, peer, tag));
    return channel->Receive(data, count * SizeOf(type), peer, tag, limit);
  }

 private:
  absl::StatusOr<GroupChannel*> Find(const std::string& group) const {
    const auto found = channels_.find(group);
    if (found != channels_.end()) return found->second.get();
    std::vector<std::string> names;
    for (const auto& [name, channel] : channels_) names.push_back(name);
    std::sort(names.begin(), names.end());
    return absl::NotFoundError(absl::StrCat("rank ", resources_.world_rank, " is in no group \"", group,
                                            "\"; its groups are: ", absl::StrJoin(names, ", ")));
  }

  absl::StatusOr<GroupChannel*> FindFor(const std::string& group, size_t count, DataType type) const {
    ASSIGN_OR_RETURN(GroupChannel * channel, Find(group));
    if (!connected_->load(std::memory_order_acquire)) {
      return absl::FailedPreconditionError("the communicator was not connected");
    }
    if (SizeOf(type) == 0) {
      return absl::UnimplementedError(
          absl::StrCat("elements of type ", TypeName(type), " cannot be exchanged"));
    }
    const auto bytes = CheckedMul<size_t>(count, SizeOf(type));
    if (!bytes || !CheckedMul<size_t>(*bytes, channel->size())) {
      return absl::InvalidArgumentError(absl::StrCat(count, " elements of ", TypeName(type), " for each of ",
                                                     channel->size(),
                                                     " ranks are more than memory can hold"));
    }
    return channel;
  }

  static absl::Status CheckReducible(DataType type) {
    if (IsReducible(type)) return absl::OkStatus();
    return absl::UnimplementedError(absl::StrCat("elements of type ", TypeName(type), " cannot be reduced"));
  }

  static absl::Status CheckPeer(const GroupChannel& channel, const std::string& group, int peer,
                                int64_t tag) {
    if (peer < 0 || peer >= channel.size() || peer == channel.rank()) {
      return absl::InvalidArgumentError(
          absl::StrCat("rank ", channel.rank(), " of group \"", group, "\" exchanges a message with rank ",
                       peer, "; it can with the others of 0 to ", channel.size() - 1));
    }
    if (tag < 0 || tag > MessageTag::kMaxTag) {
      return absl::InvalidArgumentError(
          absl::StrCat("a message with tag ", tag, "; tags are 0 to ", MessageTag::kMaxTag));
    }
    return absl::OkStatus();
  }

  static std::string TypeName(DataType type) { return std::string(Name(type)); }

  RankResources resources_;
  const std::atomic<bool>* const connected_;
  Scratch workspace_;
  Scratch exchange_space_;
  absl::flat_hash_map<std::string, std::unique_ptr<GroupChannel>> channels_;
};

class Hub : public CommunicatorHub {
 public:
  Hub(const CommWorld& world, int process, const Cancellation* epoch)
      : world_(world), process_(process), signature_(Signature(world)), guard_(epoch) {}

  ~Hub() override {
    // Nobody waits for the last messages of an epoch that failed.
    const absl::Status status = guard_.status();
    if (status.ok()) return;
    for (auto& [rank, worker] : workers_) worker->Abandon(status);
  }

  absl::Status Start() {
    std::map<int, int> mailboxes;  // world rank → index in the mailroom
    for (int rank = 0; rank < static_cast<int>(world_.process_of.size()); ++rank) {
      if (world_.process_of[rank] == process_) mailboxes.emplace(rank, static_cast<int>(mailboxes.size()));
    }
    mailroom_ = std::make_unique<Mailroom>(static_cast<int>(mailboxes.size()));
    for (const CommGroup& group : world_.groups) {
      for (const int rank : group.ranks) {
        if (!mailboxes.contains(rank)) continue;
        for (const int peer : group.ranks) {
          if (!mailboxes.contains(peer)) remote_peers_[rank].insert(peer);
        }
      }
    }
    if (!remote_peers_.empty()) {
      ASSIGN_OR_RETURN(network_, NetworkContext::Create());
      for (const auto& [rank, peers] : remote_peers_) {
        ASSIGN_OR_RETURN(workers_[rank], NetworkWorker::Create(*network_, rank, &network_bytes_));
        outboxes_[rank] = std::make_unique<Outbox>(workers_[rank].get(), &guard_);
      }
    }
    connected_ = remote_peers_.empty();

    for (const auto& [rank, mailbox] : mailboxes) {
      RankResources resources;
      resources.world_rank = rank;
      resources.guard = &guard_;
      resources.spin = SpinBudget(static_cast<int>(mailboxes.size()));
      const auto worker = workers_.find(rank);
      resources.worker = worker == workers_.end() ? nullptr : worker->second.get();
      const auto outbox = outboxes_.find(rank);
      resources.outbox = outbox == outboxes_.end() ? nullptr : outbox->second.get();
      resources.mailroom = mailroom_.get();
      resources.local_bytes = &local_bytes_;
      backends_.emplace(rank, std::make_unique<RankBackend>(resources, &connected_));
    }
    for (int index = 0; index < static_cast<int>(world_.groups.size()); ++index) {
      GroupLayout layout = LayoutOf(world_, index, process_, mailboxes);
      if (layout.locals.empty()) continue;
      std::vector<int> members;
      for (const int rank : layout.locals) members.push_back(layout.world_ranks[rank]);
      LocalGroup& group = *local_groups_.emplace_back(std::make_unique<LocalGroup>(members));
      for (size_t m = 0; m < members.size(); ++m) {
        layout.rank = layout.locals[m];
        backends_.at(members[m])->AddGroup(layout, LocalGroup::Member(&group, static_cast<int>(m)));
      }
    }
    return absl::OkStatus();
  }

  std::map<int, std::string> local_addresses() const override {
    std::map<int, std::string> addresses;
    for (const auto& [rank, worker] : workers_) addresses.emplace(rank, worker->address());
    return addresses;
  }

  absl::Status Connect(const std::map<int, std::string>& addresses, const WaitLimit& limit) override {
    if (connected_) return absl::OkStatus();
    absl::Status greeted = Greet(addresses, limit);
    if (!greeted.ok()) {
      greeted = guard_.Fail(Annotate(greeted, "connecting the ranks"));
      for (auto& [rank, worker] : workers_) worker->Abandon(greeted);
      return greeted;
    }
    connected_.store(true, std::memory_order_release);
    return absl::OkStatus();
  }

  CollectiveBackend* backend(int rank) override {
    const auto found = backends_.find(rank);
    return found == backends_.end() ? nullptr : found->second.get();
  }

  uint64_t network_bytes() const override { return network_bytes_.load(std::memory_order_relaxed); }
  uint64_t local_bytes() const override { return local_bytes_.load(std::memory_order_relaxed); }

 private:
  // Opens all connections and passes one message each way over each of them.
  absl::Status Greet(const std::map<int, std::string>& addresses, const WaitLimit& limit) {
    const MessageTag tag{true, MessageTag::kNoGroup, 0};
    std::vector<NetworkWorker*> open;
    for (auto& [rank, worker] : workers_) {
      for (const int peer : remote_peers_.at(rank)) {
        const auto address = addresses.find(peer);
        if (address == addresses.end()) {
          return absl::InvalidArgumentError(absl::StrCat("no address was given for rank ", peer));
        }
        RETURN_IF_ERROR(worker->AddPeer(peer, address->second));
        worker->StartReceive(peer, tag, &greetings_[{rank, peer}], sizeof(uint64_t));
        worker->StartSend(peer, tag, &signature_, sizeof(signature_));
      }
      open.push_back(worker.get());
    }
    Spinner spinner(SpinBudget(1));
    while (!open.empty()) {
      const size_t before = open.size();
      for (auto it = open.begin(); it != open.end();) {
        ASSIGN_OR_RETURN(const bool complete, (*it)->Poll());
        it = complete ? open.erase(it) : it + 1;
      }
      if (open.empty() || open.size() < before || spinner.Next()) continue;
      RETURN_IF_ERROR(guard_.Check(limit, [&] {
        return absl::StrCat("rank ", open[0]->awaited_peer(), " to answer rank ", open[0]->rank());
      }));
      NetworkWorker::Sleep(open, std::chrono::milliseconds(5));
    }
    for (const auto& [pair, peer_signature] : greetings_) {
      if (peer_signature != signature_) {
        return absl::InvalidArgumentError(absl::StrCat("rank ", pair.second,
                                                       " was given another world than rank ", pair.first,
                                                       ": not the same ranks or groups"));
      }
    }
    return absl::OkStatus();
  }

  const CommWorld world_;
  const int process_;
  const uint64_t signature_;
  EpochGuard guard_;
  std::map<int, std::set<int>> remote_peers_;  // local rank → ranks of other processes it shares a group with
  std::map<std::pair<int, int>, uint64_t> greetings_;  // (local rank, peer) → the world the peer was given
  std::atomic<uint64_t> network_bytes_{0};
  std::atomic<uint64_t> local_bytes_{0};
  std::atomic<bool> connected_{false};
  std::unique_ptr<NetworkContext> network_;
  std::map<int, std::unique_ptr<NetworkWorker>> workers_;
  std::map<int, std::unique_ptr<Outbox>> outboxes_;
  std::unique_ptr<Mailroom> mailroom_;
  std::vector<std::unique_ptr<LocalGroup>> local_groups_;
  std::map<int, std::unique_ptr<RankBackend>> backends_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<CommunicatorHub>> CommunicatorHub::Create(const CommWorld& world, int process,
                                                                         const Cancellation* epoch) {
  RETURN_IF_ERROR(Validate(world, process));
  auto hub = std::make_unique<Hub>(world, process, epoch);
  RETURN_IF_ERROR(hub->Start());
  return hub;
}

}  // namespace omserve
