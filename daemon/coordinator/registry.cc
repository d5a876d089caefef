#include "daemon/coordinator/registry.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/base/status.h"
#include "daemon/base/names.h"

namespace omserve {
namespace {

// Lost workers that are still shown; beyond these the ones silent for longest are forgotten.
constexpr size_t kMaxShownLosses = 32;
constexpr size_t kMaxDevices = 1024;

// The part of an incarnation that does not change while the process lives.
absl::string_view ProcessOf(absl::string_view incarnation) { return incarnation.substr(0, incarnation.rfind('.')); }

}  // namespace

std::vector<uint64_t> FindExpired(absl::Span<const LeaseView> leases, absl::Time now, absl::Duration lease) {
  std::vector<uint64_t> expired;
  for (const LeaseView& view : leases) {
    if (now - view.last_heard > lease) expired.push_back(view.session);
  }
  return expired;
}

bool Registry::NaturalOrder::operator()(const std::string& a, const std::string& b) const {
  if (NaturalLess(a, b)) return true;
  // "w1" and "w01" are equal in natural order, but two workers.
  return !NaturalLess(b, a) && a < b;
}

Registry::Registry(RegistryOptions options, const Clock* clock, OnLost on_lost)
    : options_(std::move(options)), clock_(clock), on_lost_(std::move(on_lost)), last_expiry_(clock->Now()) {}

Registry::Entries::iterator Registry::FindSession(uint64_t session) {
  return std::find_if(entries_.begin(), entries_.end(), [session](const auto& entry) {
    return session != 0 && entry.second.session == session;
  });
}

Registry::Loss Registry::Lose(Entry& entry, absl::string_view why) {
  entry.session = 0;
  entry.lost_cause = absl::UnavailableError(absl::StrCat(
      "worker '", entry.hello.name, "' (incarnation ", entry.hello.incarnation, ") was lost: ", why));
  return Loss{WorkerRef{entry.hello.name, entry.hello.incarnation, std::move(entry.link)}, entry.lost_cause,
              std::exchange(entry.on_end, nullptr)};
}

void Registry::ForgetOldLosses() {
  while (true) {
    size_t lost = 0;
    auto oldest = entries_.end();
    for (auto it = entries_.begin(); it != entries_.end(); ++it) {
      if (it->second.session != 0) continue;
      ++lost;
      if (oldest == entries_.end() || it->second.last_heard < oldest->second.last_heard) oldest = it;
    }
    if (lost <= kMaxShownLosses) return;
    entries_.erase(oldest);
  }
}

absl::StatusOr<uint64_t> Registry::Register(WorkerHello hello, std::shared_ptr<WorkerLink> link, bool leased,
                                            std::function<void(absl::Status)> on_end) {
  RETURN_IF_ERROR(CheckServiceName("worker name", hello.name));
  RETURN_IF_ERROR(CheckServiceName("worker incarnation", hello.incarnation));
  if (hello.version != options_.version) {
    return absl::FailedPreconditionError(absl::StrCat("worker '", hello.name, "' has version ", hello.version,
                                                      ", the coordinator ", options_.version,
                                                      "; both must be the same"));
  }
  if (hello.devices.empty() || hello.devices.size() > kMaxDevices) {
    return absl::InvalidArgumentError(absl::StrCat("worker '", hello.name, "' has ", hello.devices.size(),
                                                   " devices; expected 1 to ", kMaxDevices));
  }
  std::vector<Loss> losses;
  uint64_t session;
  {
    absl::MutexLock lock(&mutex_);
    Entry& entry = entries_[hello.name];
    if (entry.session != 0) {
      if (ProcessOf(entry.hello.incarnation) != ProcessOf(hello.incarnation)) {
        return absl::AlreadyExistsError(absl::StrCat("a live worker has the name '", hello.name, "' (incarnation ",
                                                     entry.hello.incarnation, " at ", entry.hello.address, ")"));
      }
      losses.push_back(Lose(entry, "it registered anew"));
    }
    session = next_session_++;
    entry = Entry{.hello = std::move(hello),
                  .link = std::move(link),
                  .session = session,
                  .leased = leased,
                  .last_heard = clock_->Now(),
                  .on_end = std::move(on_end)};
    ForgetOldLosses();
  }
  for (const Loss& loss : losses) {
    on_lost_(loss.worker, loss.cause);
    if (loss.on_end) loss.on_end(loss.cause);
  }
  return session;
}

absl::Status Registry::Renew(uint64_t session, const std::vector<uint64_t>& memory_in_use) {
  absl::MutexLock lock(&mutex_);
  auto it = FindSession(session);
  if (it == entries_.end()) return absl::NotFoundError("the session has ended; register again");
  Entry& entry = it->second;
  entry.last_heard = clock_->Now();
  for (size_t i = 0; i < std::min(memory_in_use.size(), entry.hello.devices.size()); ++i) {
    entry.hello.devices[i].memory_in_use = memory_in_use[i];
  }
  return absl::OkStatus();
}

absl::StatusOr<WorkerRef> Registry::MarkLeaving(uint64_t session) {
  absl::MutexLock lock(&mutex_);
  auto it = FindSession(session);
  if (it == entries_.end()) return absl::NotFoundError("the session has ended");
  it->second.leaving = true;
  return WorkerRef{it->second.hello.name, it->second.hello.incarnation, it->second.link};
}

void Registry::End(uint64_t session, absl::string_view why) {
  std::vector<Loss> losses;
  {
    absl::MutexLock lock(&mutex_);
    auto it = FindSession(session);
    if (it == entries_.end()) return;
    losses.push_back(Lose(it->second, why));
  }
  on_lost_(losses[0].worker, losses[0].cause);
}

void Registry::ExpireLeases() {
  std::vector<Loss> losses;
  {
    absl::MutexLock lock(&mutex_);
    const absl::Time now = clock_->Now();
    const absl::Duration gap = now - last_expiry_;
    last_expiry_ = now;
    std::vector<LeaseView> leases;
    for (auto& [name, entry] : entries_) {
      if (entry.session == 0 || !entry.leased) continue;
      if (gap > options_.lease / 2) entry.last_heard = std::min(now, entry.last_heard + gap);
      leases.push_back({entry.session, entry.last_heard});
    }
    for (uint64_t session : FindExpired(leases, now, options_.lease)) {
      Entry& entry = FindSession(session)->second;
      losses.push_back(
          Lose(entry, absl::StrCat("lease expired (nothing heard for ",
                                   absl::FormatDuration(absl::Trunc(now - entry.last_heard, absl::Milliseconds(100))),
                                   ")")));
    }
  }
  for (const Loss& loss : losses) {
    on_lost_(loss.worker, loss.cause);
    if (loss.on_end) loss.on_end(loss.cause);
  }
}

std::vector<WorkerView> Registry::Workers() const {
  absl::MutexLock lock(&mutex_);
  std::vector<WorkerView> views;
  for (const auto& [name, entry] : entries_) {
    const bool alive = entry.session != 0;
    views.push_back(WorkerView{.hello = entry.hello,
                               .alive = alive,
                               .leaving = entry.leaving,
                               .lease_age = entry.leased || !alive ? clock_->Now() - entry.last_heard
                                                                   : absl::ZeroDuration(),
                               .lost_cause = entry.lost_cause,
                               .link = entry.link});
  }
  return views;
}

absl::Status Registry::CheckAlive(const WorkerRef& worker) const {
  absl::MutexLock lock(&mutex_);
  auto it = entries_.find(worker.name);
  if (it != entries_.end() && it->second.hello.incarnation == worker.incarnation) {
    return it->second.session != 0 ? absl::OkStatus() : it->second.lost_cause;
  }
  return absl::UnavailableError(
      absl::StrCat("worker '", worker.name, "' (incarnation ", worker.incarnation, ") was lost"));
}

}  // namespace omserve
