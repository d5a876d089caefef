#include "core/comm/mailroom.h"

#include <algorithm>
#include <cstring>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"

namespace omserve {

void Mailroom::Deliver(Box& box, const Key& key, Letter letter) {
  std::lock_guard lock(box.mutex);
  box.letters[key].push_back(std::move(letter));
  box.delivered.Advance();
}

std::unique_ptr<Scratch> Mailroom::TakeSpare(Box& own) {
  std::lock_guard lock(own.mutex);
  if (own.spare.empty()) {
    if (own.long_copies == kLongCopies) return nullptr;
    ++own.long_copies;
    return std::make_unique<Scratch>();
  }
  std::unique_ptr<Scratch> spare = std::move(own.spare.back());
  own.spare.pop_back();
  return spare;
}

absl::Status Mailroom::Send(const Address& address, const void* data, size_t bytes, const CallScope& scope,
                            int peer) {
  Box& destination = boxes_[address.destination];
  const Key key{address.group, address.source, address.tag};
  if (bytes <= kCopiedBytes) {
    auto copy = std::make_unique<std::byte[]>(bytes);
    if (bytes > 0) std::memcpy(copy.get(), data, bytes);
    Letter letter{copy.get(), bytes, nullptr, nullptr};
    letter.copy = std::move(copy);
    Deliver(destination, key, std::move(letter));
    return absl::OkStatus();
  }

  Box& own = boxes_[address.source];
  if (std::unique_ptr<Scratch> copy = TakeSpare(own)) {
    std::memcpy(copy->Get(bytes), data, bytes);
    Letter letter{copy->data(), bytes, nullptr, nullptr};
    letter.long_copy = std::move(copy);
    Deliver(destination, key, std::move(letter));
    return absl::OkStatus();
  }
  const uint32_t target = ++own.lent;
  Deliver(destination, key, Letter{static_cast<const std::byte*>(data), bytes, nullptr, nullptr});
  absl::Status taken = own.collected.Await(target, scope, peer);
  if (taken.ok()) return taken;
  // Nobody may read the caller's memory after this call: take the letter back.
  {
    std::lock_guard lock(destination.mutex);
    std::deque<Letter>& queue = destination.letters[key];
    const auto letter =
        std::find_if(queue.begin(), queue.end(), [&](const Letter& l) { return l.data == data; });
    if (letter != queue.end()) {
      queue.erase(letter);
      --own.lent;
      return taken;
    }
  }
  // The receiver is copying it at this moment, which no wait can hold up.
  while (own.collected.value() != target) std::this_thread::yield();
  return taken;
}

absl::Status Mailroom::Receive(const Address& address, void* data, size_t bytes, const CallScope& scope,
                               int peer) {
  Box& box = boxes_[address.destination];
  const Key key{address.group, address.source, address.tag};
  for (;;) {
    const uint32_t seen = box.delivered.value();
    Letter letter{};
    bool found = false;
    {
      std::lock_guard lock(box.mutex);
      if (const auto queue = box.letters.find(key); queue != box.letters.end() && !queue->second.empty()) {
        letter = std::move(queue->second.front());
        queue->second.pop_front();
        if (queue->second.empty()) box.letters.erase(queue);
        found = true;
      }
    }
    if (!found) {
      absl::Status arrived = box.delivered.Await(seen + 1, scope, peer);
      if (!arrived.ok()) return arrived;
      continue;
    }
    const bool fits = letter.bytes == bytes;
    if (fits && bytes > 0) std::memcpy(data, letter.data, bytes);
    Box& source = boxes_[address.source];
    if (letter.lent()) source.collected.Advance();
    if (letter.long_copy != nullptr) {
      std::lock_guard lock(source.mutex);
      source.spare.push_back(std::move(letter.long_copy));
    }
    if (fits) return absl::OkStatus();
    return scope.Fail(absl::InternalError(
        absl::StrCat("rank ", peer, " sent ", letter.bytes, " bytes where ", bytes, " are expected")));
  }
}

}  // namespace omserve
