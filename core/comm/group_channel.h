// GroupChannel: one rank's end of one group. Chooses and runs the algorithm of each collective.
#ifndef OMSERVE_CORE_COMM_GROUP_CHANNEL_H_
#define OMSERVE_CORE_COMM_GROUP_CHANNEL_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "core/comm/local_group.h"
#include "core/comm/mailroom.h"
#include "core/comm/network.h"
#include "core/comm/network_collectives.h"
#include "core/comm/outbox.h"
#include "core/comm/scratch.h"
#include "core/comm/wait.h"
#include "core/device/device.h"
#include "core/tensor/data_type.h"

namespace omserve {

// Where a group's members are, seen from one of them. Group ranks, if not said otherwise.
struct GroupLayout {
  std::string name;
  int index = 0;                 // of the group in the world
  std::vector<int> world_ranks;  // by group rank
  int rank = 0;                  // this member
  std::vector<GroupNode> nodes;  // processes that host members, by their first member
  std::vector<int> node_of;      // by group rank
  std::vector<int> locals;       // members of this process, ascending
  std::vector<int> mailbox_of;   // by group rank, for members of this process
};

// The parts a rank's channels share. They outlive the channels.
struct RankResources {
  int world_rank = 0;
  EpochGuard* guard = nullptr;
  std::chrono::nanoseconds spin{0};
  NetworkWorker* worker = nullptr;  // null when the rank has no peers in other processes
  Outbox* outbox = nullptr;         // likewise
  Mailroom* mailroom = nullptr;
  std::atomic<uint64_t>* local_bytes = nullptr;
  Scratch* workspace = nullptr;       // what other members may read during a call
  Scratch* exchange_space = nullptr;  // what messages arrive in
};

// The methods are those of CollectiveBackend, on arguments that were checked; `count` > 0 but for Send and
// Receive.
//
// In one process: every member reads its peers' memory directly; reductions are split among the members.
// Across processes with one member each: messages (network_collectives.h). Across processes with several
// members: first inside each process, then between the leaders (each process' first member), then inside
// again. All-to-all and point-to-point messages go straight from member to member.
class GroupChannel {
 public:
  using Reduction = CollectiveBackend::Reduction;

  GroupChannel(GroupLayout layout, LocalGroup::Member member, const RankResources& resources)
      : layout_(std::move(layout)), member_(member), resources_(resources) {}

  int size() const { return static_cast<int>(layout_.world_ranks.size()); }
  int rank() const { return layout_.rank; }

  absl::Status AllReduce(const void* input, void* output, size_t count, DataType type, Reduction reduction,
                         const WaitLimit& limit);
  absl::Status AllGather(const void* input, void* output, size_t count, DataType type,
                         const WaitLimit& limit);
  absl::Status ReduceScatter(const void* input, void* output, size_t count, DataType type,
                             Reduction reduction, const WaitLimit& limit);
  absl::Status AllToAll(const void* input, void* output, size_t count, DataType type, const WaitLimit& limit);
  absl::Status Broadcast(const void* input, void* output, size_t count, DataType type, int root,
                         const WaitLimit& limit);
  absl::Status Send(const void* data, size_t bytes, int peer, int64_t tag, const WaitLimit& limit);
  absl::Status Receive(void* data, size_t bytes, int peer, int64_t tag, const WaitLimit& limit);

 private:
  // The collectives proper, by the rules of Call.
  absl::Status AllReduce(const CallScope& scope, const void* input, void* output, size_t count, DataType type,
                         Reduction reduction);
  absl::Status AllReduceInSlots(const CallScope& scope, const LocalCall& call, Reduction reduction);
  absl::Status AllReduceInPlace(const CallScope& scope, const LocalCall& call, Reduction reduction);
  absl::Status AllGather(const CallScope& scope, const void* input, void* output, size_t count,
                         DataType type);
  absl::Status ReduceScatter(const CallScope& scope, const void* input, void* output, size_t count,
                             DataType type, Reduction reduction);
  absl::Status AllToAll(const CallScope& scope, const void* input, void* output, size_t count, DataType type);
  absl::Status Broadcast(const CallScope& scope, const void* input, void* output, size_t count, DataType type,
                         int root);

  // Runs one collective. When it fails, makes sure that no other member touches this one's memory any more.
  template <typename Algorithm>
  absl::Status Call(const char* operation, const WaitLimit& limit, Algorithm&& algorithm);

  int num_locals() const { return member_.size(); }
  int num_nodes() const { return static_cast<int>(layout_.nodes.size()); }
  int own_node() const { return layout_.node_of[layout_.rank]; }
  bool is_leader() const { return member_.index() == 0; }
  CallScope Scope(const char* operation, const WaitLimit& limit) const;
  NodeExchange Exchange(const CallScope& scope);
  void CountLocal(size_t bytes) { resources_.local_bytes->fetch_add(bytes, std::memory_order_relaxed); }

  // Members' part `index` of `count` elements, as [begin, end).
  std::pair<size_t, size_t> PartOf(size_t count, DataType type) const;
  // Reduces this member's part of everybody's input into each of `outputs`.
  void ReducePart(size_t count, DataType type, Reduction reduction, absl::Span<void* const> outputs);

  const GroupLayout layout_;
  LocalGroup::Member member_;
  const RankResources resources_;
  uint32_t calls_ = 0;
  // Whether messages of a tag to a member go by the outbox, which the first one decides: then they arrive in order.
  std::map<std::pair<int, int64_t>, bool> by_outbox_;
};

}  // namespace omserve

#endif  // OMSERVE_CORE_COMM_GROUP_CHANNEL_H_
