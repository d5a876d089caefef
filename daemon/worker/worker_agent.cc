#include "daemon/worker/worker_agent.h"

#include <algorithm>
#include <set>

#include "absl/strings/str_cat.h"
#include "core/base/sha256.h"
#include "core/base/status.h"

namespace omserve {
namespace {

std::vector<Device*> Pointers(const std::vector<std::unique_ptr<Device>>& devices) {
  std::vector<Device*> pointers;
  for (const auto& device : devices) pointers.push_back(device.get());
  return pointers;
}

std::vector<uint64_t> MemoryLimits(const std::vector<std::unique_ptr<Device>>& devices) {
  std::vector<uint64_t> limits;
  for (const auto& device : devices) limits.push_back(device->info().memory_bytes);
  return limits;
}

absl::StatusOr<Buffer> MapStored(const StoredFile& file) {
  ASSIGN_OR_RETURN(std::shared_ptr<const MappedFile> mapped, MappedFile::Open(file.path));
  const size_t size = mapped->size();
  return Buffer::OfFile(std::move(mapped), 0, size);
}

}  // namespace

WorkerAgent::WorkerAgent(WorkerOptions options, std::vector<std::unique_ptr<Device>> devices, WorkerParts parts,
                         std::unique_ptr<ContentStore> store, const Log* log)
    : options_(std::move(options)),
      devices_(std::move(devices)),
      device_pointers_(Pointers(devices_)),
      parts_(std::move(parts)),
      log_(log),
      store_(std::move(store)),
      memory_(MemoryLimits(devices_)) {}

WorkerAgent::~WorkerAgent() { ReleaseAll(absl::UnavailableError("the worker is shutting down")); }

WorkerHello WorkerAgent::Hello(std::string address) const {
  WorkerHello hello{options_.name, "", options_.version, std::move(address), {}};
  {
    absl::MutexLock lock(&mutex_);
    hello.incarnation = Incarnation();
  }
  const std::vector<uint64_t> used = memory_.used();
  for (size_t i = 0; i < devices_.size(); ++i) {
    const DeviceInfo& info = devices_[i]->info();
    hello.devices.push_back({static_cast<int>(i), info.kind, info.memory_bytes, used[i], info.threads});
  }
  return hello;
}

std::string WorkerAgent::Incarnation() const { return absl::StrCat(options_.process, ".", lease_); }

absl::Status WorkerAgent::CheckIncarnation(const EpochId& id) const {
  const std::string current = Incarnation();
  if (id.incarnation == current) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat("the call is for incarnation ", id.incarnation, " of worker '",
                                                    options_.name, "'; this is incarnation ", current));
}

absl::StatusOr<std::shared_ptr<WorkerEpoch>> WorkerAgent::FindEpoch(const EpochId& id) const {
  absl::MutexLock lock(&mutex_);
  RETURN_IF_ERROR(CheckIncarnation(id));
  const Key key{id.deployment, id.replica};
  auto it = epochs_.find(key);
  if (it != epochs_.end() && it->second->id().epoch == id.epoch) return it->second;
  auto fence = fences_.find(key);
  return absl::FailedPreconditionError(
      absl::StrCat(ToString(id), " is not on worker '", options_.name, "'",
                   fence == fences_.end() ? "" : absl::StrCat("; the newest epoch there is ", fence->second.prepared)));
}

bool WorkerAgent::Awaited(absl::string_view digest) const {
  absl::MutexLock lock(&mutex_);
  for (const auto& [key, epoch] : epochs_) {
    if (epoch->Awaits(digest)) return true;
  }
  return false;
}

void WorkerAgent::Offer(const std::string& digest, const Buffer& content) {
  absl::MutexLock lock(&mutex_);
  for (const auto& [key, epoch] : epochs_) epoch->Offer(digest, content);
}

absl::Status WorkerAgent::CheckSlices(const std::vector<SliceAssignment>& slices) const {
  std::set<int> ranks;
  for (const SliceAssignment& slice : slices) {
    if (slice.rank < 0 || !ranks.insert(slice.rank).second) {
      return absl::InvalidArgumentError(absl::StrCat("rank ", slice.rank, " is negative or assigned twice"));
    }
    if (!Sha256::IsDigest(slice.digest)) {
      return absl::InvalidArgumentError(absl::StrCat("slice ", slice.rank, ": '", slice.digest, "' is no digest"));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<std::string>> WorkerAgent::Prepare(const PrepareCall& call, const CallContext& context) {
  RETURN_IF_ERROR(CheckSlices(call.slices));
  const Key key{call.id.deployment, call.id.replica};
  std::shared_ptr<WorkerEpoch> older;
  uint64_t lease;
  {
    absl::MutexLock lock(&mutex_);
    RETURN_IF_ERROR(CheckIncarnation(call.id));
    lease = lease_;
    Fence& fence = fences_[key];
    const uint64_t newest = std::max(fence.prepared, fence.released);
    if (call.id.epoch <= newest) {
      return absl::FailedPreconditionError(
          absl::StrCat(ToString(call.id), " is not newer than epoch ", newest, ", which was seen already"));
    }
    fence.prepared = call.id.epoch;
    if (auto it = epochs_.find(key); it != epochs_.end()) older = it->second;
  }
  if (older != nullptr) Remove(older, absl::AbortedError(absl::StrCat("superseded by epoch ", call.id.epoch)));
  std::vector<std::unique_ptr<DeviceMemoryLedger::Reservation>> memory;
  for (const SliceAssignment& slice : call.slices) {
    ASSIGN_OR_RETURN_WITH(memory.emplace_back(), memory_.Reserve(slice.device, slice.size),
                          absl::StrCat("slice ", slice.rank));
  }
  auto epoch = std::make_shared<WorkerEpoch>(call.id, call.slices, std::move(memory), &parts_,
                                             absl::MakeConstSpan(device_pointers_));
  {
    absl::MutexLock lock(&mutex_);
    const Fence& fence = fences_[key];
    if (lease != lease_ || fence.prepared != call.id.epoch || fence.released >= call.id.epoch) {
      return absl::AbortedError(absl::StrCat(ToString(call.id), " was released while it was prepared"));
    }
    epochs_[key] = epoch;
  }
  std::vector<std::string> missing;
  std::set<std::string> seen;
  for (const SliceAssignment& slice : call.slices) {
    if (!seen.insert(slice.digest).second) continue;
    const std::shared_ptr<const StoredFile> stored = store_ == nullptr ? nullptr : store_->Find(slice.digest);
    absl::StatusOr<Buffer> content = stored == nullptr ? absl::NotFoundError("") : MapStored(*stored);
    if (content.ok()) {
      epoch->Offer(slice.digest, *content);
    } else {
      missing.push_back(slice.digest);
    }
  }
  log_->Info("slices prepared", {{"deployment", call.id.deployment},
                                 {"epoch", absl::StrCat(call.id.epoch)},
                                 {"replica", absl::StrCat(call.id.replica)},
                                 {"slices", absl::StrCat(call.slices.size())},
                                 {"missing", absl::StrCat(missing.size())}});
  return missing;
}

absl::StatusOr<uint64_t> WorkerAgent::Push(const std::string& digest, const Buffer& content,
                                           const BytesSent& sent, const CallContext& context) {
  const std::string actual = Sha256::Of(content.data(), content.size());
  if (actual != digest) {
    return absl::DataLossError(absl::StrCat("submodel has digest ", actual, ", the OM states ", digest));
  }
  Offer(digest, content);
  if (sent) sent(content.size());
  return 0;
}

absl::StatusOr<std::unique_ptr<ContentStore::Writer>> WorkerAgent::BeginPush(const std::string& digest,
                                                                             uint64_t size) {
  if (store_ == nullptr || !Awaited(digest)) {
    return absl::FailedPreconditionError(absl::StrCat("no prepared slice waits for submodel '", digest, "'"));
  }
  return store_->NewWriter(digest, size);
}

absl::Status WorkerAgent::FinishPush(ContentStore::Writer& writer) {
  ASSIGN_OR_RETURN(std::shared_ptr<const StoredFile> file, writer.Commit());
  ASSIGN_OR_RETURN(Buffer content, MapStored(*file));
  Offer(file->digest, content);
  return absl::OkStatus();
}

absl::StatusOr<CompileReply> WorkerAgent::Compile(const CompileCall& call, const CallContext& context) {
  ASSIGN_OR_RETURN(std::shared_ptr<WorkerEpoch> epoch, FindEpoch(call.id));
  const absl::Time begin = absl::Now();
  absl::StatusOr<CompileReply> reply = epoch->Compile(call, context);
  log_->Write(reply.ok() ? LogLevel::kInfo : LogLevel::kWarning, reply.ok() ? "slices compiled" : "compilation failed",
              {{"deployment", call.id.deployment},
               {"epoch", absl::StrCat(call.id.epoch)},
               {"replica", absl::StrCat(call.id.replica)},
               {"seconds", absl::StrCat(absl::ToDoubleSeconds(absl::Now() - begin))},
               {"status", reply.status().ToString()}});
  return reply;
}

absl::Status WorkerAgent::Connect(const ConnectCall& call, const CallContext& context) {
  ASSIGN_OR_RETURN(std::shared_ptr<WorkerEpoch> epoch, FindEpoch(call.id));
  return epoch->Connect(call, context);
}

void WorkerAgent::Execute(ExecuteCall call, CallContext context, ExecuteDone done) {
  absl::StatusOr<std::shared_ptr<WorkerEpoch>> epoch = FindEpoch(call.id);
  if (!epoch.ok()) return done(epoch.status());
  {
    absl::MutexLock lock(&mutex_);
    ++runs_;
  }
  auto answer = [this, id = call.id, request_id = call.request_id, begin = absl::Now(),
                 done = std::move(done)](absl::StatusOr<ExecuteReply> reply) {
    const LogLevel level = reply.ok() ? LogLevel::kDebug : LogLevel::kWarning;
    if (log_->enabled(level)) {
      log_->Write(level, reply.ok() ? "run done" : "run failed",
                  {{"request_id", request_id},
                   {"deployment", id.deployment},
                   {"epoch", absl::StrCat(id.epoch)},
                   {"seconds", absl::StrCat(absl::ToDoubleSeconds(absl::Now() - begin))},
                   {"status", reply.status().ToString()}});
    }
    done(std::move(reply));
    absl::MutexLock lock(&mutex_);
    --runs_;
  };
  (*epoch)->Execute(std::move(call), std::move(context), std::move(answer));
}

void WorkerAgent::Remove(const std::shared_ptr<WorkerEpoch>& epoch, absl::Status cause) {
  log_->Info("epoch released", {{"deployment", epoch->id().deployment},
                                {"epoch", absl::StrCat(epoch->id().epoch)},
                                {"replica", absl::StrCat(epoch->id().replica)},
                                {"cause", cause.ToString()}});
  epoch->Shutdown(std::move(cause));
  absl::MutexLock lock(&mutex_);
  auto it = epochs_.find(Key{epoch->id().deployment, epoch->id().replica});
  if (it != epochs_.end() && it->second == epoch) epochs_.erase(it);
}

absl::Status WorkerAgent::Release(const ReleaseCall& call, const CallContext& context) {
  std::shared_ptr<WorkerEpoch> epoch;
  {
    absl::MutexLock lock(&mutex_);
    RETURN_IF_ERROR(CheckIncarnation(call.id));
    const Key key{call.id.deployment, call.id.replica};
    // A Prepare of this epoch that is still on its way finds itself too late.
    uint64_t& released = fences_[key].released;
    released = std::max(released, call.id.epoch);
    if (auto it = epochs_.find(key); it != epochs_.end() && it->second->id().epoch <= call.id.epoch) {
      epoch = it->second;
    }
  }
  if (epoch != nullptr) Remove(epoch, call.cause);
  return absl::OkStatus();
}

void WorkerAgent::ReleaseAll(absl::Status cause) {
  std::vector<std::shared_ptr<WorkerEpoch>> epochs;
  {
    absl::MutexLock lock(&mutex_);
    for (const auto& [key, epoch] : epochs_) epochs.push_back(epoch);
    fences_.clear();
    ++lease_;
  }
  for (const std::shared_ptr<WorkerEpoch>& epoch : epochs) Remove(epoch, cause);
}

int WorkerAgent::runs_in_flight() const {
  absl::MutexLock lock(&mutex_);
  return runs_;
}

bool WorkerAgent::WaitIdle(absl::Time deadline) const {
  const auto idle = [this]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return runs_ == 0; };
  absl::MutexLock lock(&mutex_);
  return mutex_.AwaitWithDeadline(absl::Condition(&idle), deadline);
}

}  // namespace omserve
