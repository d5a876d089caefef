// Mailroom: point-to-point messages between the ranks of one process.
#ifndef OMSERVE_CORE_COMM_MAILROOM_H_
#define OMSERVE_CORE_COMM_MAILROOM_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <tuple>
#include <vector>

#include "absl/status/status.h"
#include "core/comm/scratch.h"
#include "core/comm/wait.h"

namespace omserve {

// Messages with equal group, source and tag arrive in the order in which they were sent. Thread-safe, each
// rank being used by one thread at a time.
class Mailroom {
 public:
  // Up to this size a message is copied into memory of its own. A longer one is copied into memory that its sender keeps
  // for such messages, as long as there is some; then the sender waits until the receiver has copied from its memory.
  static constexpr size_t kCopiedBytes = 64 << 10;
  static constexpr int kLongCopies = 4;

  // Ranks here are indices below `ranks` chosen by the owner.
  explicit Mailroom(int ranks) : boxes_(ranks) {}

  struct Address {
    int group;
    int source;
    int destination;
    int64_t tag;
  };

  // `peer` names the other side in messages.
  absl::Status Send(const Address& address, const void* data, size_t bytes, const CallScope& scope, int peer);
  absl::Status Receive(const Address& address, void* data, size_t bytes, const CallScope& scope, int peer);

 private:
  using Key = std::tuple<int, int, int64_t>;  // group, source, tag
  struct Letter {
    const std::byte* data;
    size_t bytes;
    std::unique_ptr<std::byte[]> copy;
    std::unique_ptr<Scratch> long_copy;  // goes back to the sender
    bool lent() const { return copy == nullptr && long_copy == nullptr; }  // `data` is the sender's memory
  };
  struct alignas(64) Box {
    std::mutex mutex;
    std::map<Key, std::deque<Letter>> letters;  // guarded by mutex
    Signal delivered;                           // letters ever put into this box
    Signal collected;   // letters of this rank that were copied straight from its memory
    uint32_t lent = 0;  // letters this rank has sent that way; used by its thread alone
    // Of this rank's long letters, guarded by mutex:
    std::vector<std::unique_ptr<Scratch>> spare;
    int long_copies = 0;  // made
  };

  static std::unique_ptr<Scratch> TakeSpare(Box& own);
  void Deliver(Box& box, const Key& key, Letter letter);

  std::vector<Box> boxes_;
};

}  // namespace omserve

#endif  // OMSERVE_CORE_COMM_MAILROOM_H_
