// LocalGroup: the members of one group that live in this process, meeting over shared memory.
#ifndef OMSERVE_CORE_COMM_LOCAL_GROUP_H_
#define OMSERVE_CORE_COMM_LOCAL_GROUP_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <type_traits>
#include <vector>

#include "absl/status/status.h"
#include "core/comm/wait.h"
#include "core/device/device.h"
#include "core/tensor/data_type.h"

namespace omserve {

// What one member passes to a collective. All but the addresses must be equal on all members.
struct LocalCall {
  const char* operation = "";
  size_t count = 0;
  DataType type = DataType::kUndefined;
  int detail = 0;  // the reduction or the root
  const void* input = nullptr;
  void* output = nullptr;

  bool Agrees(const LocalCall& other) const;
  std::string ToString() const;
};

// A call of a collective is: Start (and fill the slot, if used), then Meet once or more. After the first Meet
// the calls of all members can be read, and their slots.
//
// Calls and slots exist twice and are used in turn, so a member may start its next call, and fill its slot,
// while others still read this one's: nobody can get two calls ahead, because between lies a Meet that waits
// for everybody. This makes one Meet enough for a collective whose data fits into slots. A collective that
// works on the members' own memory ends with a Meet of its own, and does so inside Touch: a member that
// leaves a call early, by an error, calls Break, which ends all touching of what it passed, before its caller
// may free that.
class LocalGroup {
 public:
  // Payloads up to this size go through the slots: a copy more, a Meet less.
  static constexpr size_t kSlotBytes = 16 << 10;

  // `ranks`: the members' world ranks, in the order of the group.
  explicit LocalGroup(std::vector<int> ranks);

  // The end of one member; used by one thread at a time.
  class Member {
   public:
    Member() = default;
    Member(LocalGroup* group, int index) : group_(group), index_(index) {}

    int index() const { return index_; }
    int size() const { return static_cast<int>(group_->members_.size()); }

    // Begins the next call and returns this member's slot for it.
    std::byte* Start(const LocalCall& call);
    // Waits for all members to get here. The first Meet of a call fails when the members' calls do not agree.
    absl::Status Meet(const CallScope& scope);

    // Runs `work`, which may use the memory that the members passed to this call. It must end by itself, or
    // when the epoch fails. Returns the epoch's failure, without running it, after a Break.
    template <typename Work>
    absl::Status Touch(const CallScope& scope, Work&& work) {
      std::atomic<bool>& touching = group_->members_[index_].touching;
      // Sequentially consistent with Break: either this load sees its store, or it sees this store and waits.
      touching.store(true);
      if (group_->broken_.load()) {
        touching.store(false);
        return scope.guard->status();
      }
      absl::Status done = absl::OkStatus();
      if constexpr (std::is_void_v<std::invoke_result_t<Work>>) {
        work();
      } else {
        done = work();
      }
      touching.store(false, std::memory_order_release);
      return done;
    }
    // For a member that leaves a call by an error, after the epoch has failed.
    void Break();

    const LocalCall& call(int member) const { return group_->members_[member].calls[turn()]; }
    const std::byte* slot(int member) const { return group_->members_[member].slots[turn()].get(); }

   private:
    uint32_t turn() const { return calls_ & 1; }

    LocalGroup* group_ = nullptr;
    int index_ = 0;
    uint32_t calls_ = 0;
    uint32_t phase_ = 0;
    bool agreed_ = true;
  };

 private:
  struct alignas(64) Shared {
    Signal arrived;  // phases this member has come to
    std::atomic<bool> touching{false};
    std::array<LocalCall, 2> calls;
    std::array<std::unique_ptr<std::byte[]>, 2> slots;
  };

  const std::vector<int> ranks_;
  std::vector<Shared> members_;
  std::atomic<bool> broken_{false};
};

}  // namespace omserve

#endif  // OMSERVE_CORE_COMM_LOCAL_GROUP_H_
