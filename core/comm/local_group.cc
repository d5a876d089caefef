#include "core/comm/local_group.h"

#include <cstring>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"

namespace omserve {

bool LocalCall::Agrees(const LocalCall& other) const {
  return std::strcmp(operation, other.operation) == 0 && count == other.count && type == other.type &&
         detail == other.detail;
}

std::string LocalCall::ToString() const {
  const std::string_view type_name = Name(type);
  return absl::StrCat(operation, " of ", count, " ", absl::string_view(type_name.data(), type_name.size()),
                      " (reduction or root ", detail, ")");
}

LocalGroup::LocalGroup(std::vector<int> ranks) : ranks_(std::move(ranks)), members_(ranks_.size()) {
  for (Shared& member : members_) {
    for (auto& slot : member.slots) slot = std::make_unique<std::byte[]>(kSlotBytes);
  }
}

std::byte* LocalGroup::Member::Start(const LocalCall& call) {
  ++calls_;
  agreed_ = false;
  Shared& self = group_->members_[index_];
  self.calls[turn()] = call;
  return self.slots[turn()].get();
}

absl::Status LocalGroup::Member::Meet(const CallScope& scope) {
  ++phase_;
  group_->members_[index_].arrived.Advance();
  for (int other = 0; other < size(); ++other) {
    if (other == index_) continue;
    absl::Status met = group_->members_[other].arrived.Await(phase_, scope, group_->ranks_[other]);
    if (!met.ok()) return met;
  }
  if (std::exchange(agreed_, true)) return absl::OkStatus();
  for (int other = 0; other < size(); ++other) {
    if (call(other).Agrees(call(index_))) continue;
    return scope.Fail(
        absl::InternalError(absl::StrCat("called as ", call(index_).ToString(), ", but rank ",
                                         group_->ranks_[other], " called ", call(other).ToString())));
  }
  return absl::OkStatus();
}

void LocalGroup::Member::Break() {
  group_->broken_.store(true);
  for (int other = 0; other < size(); ++other) {
    const std::atomic<bool>& touching = group_->members_[other].touching;
    while (touching.load() && other != index_) std::this_thread::yield();
  }
}

}  // namespace omserve
