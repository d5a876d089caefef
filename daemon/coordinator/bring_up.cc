#include "daemon/coordinator/bring_up.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "core/base/status.h"
#include "daemon/base/parallel.h"

namespace omserve {
namespace {

// Index of the member that holds each rank.
std::vector<int> ProcessOfRanks(const Replica& replica, size_t num_ranks) {
  std::vector<int> process_of(num_ranks, -1);
  for (size_t member = 0; member < replica.members.size(); ++member) {
    for (int rank : replica.members[member].ranks) process_of[rank] = static_cast<int>(member);
  }
  return process_of;
}

class Attempt {
 public:
  Attempt(const BringUpPlan& plan, const ProgressFunction& progress, CallContext context, Metrics& metrics)
      : plan_(plan),
        progress_(progress),
        context_(std::move(context)),
        metrics_(metrics),
        replicas_(ReplicasOf(plan)) {
    if (context_.cancellation == nullptr) context_.cancellation = std::make_shared<Cancellation>();
    for (const Replica& replica : replicas_) {
      for (const ReplicaMember& member : replica.members) members_.push_back(&member);
    }
    for (const PlacedSlice& placed : plan.placement.slices) {
      device_of_[{placed.replica, placed.slice}] = placed.device;
    }
  }

  absl::StatusOr<BroughtUp> Go() {
    RETURN_IF_ERROR(PrepareAndPush());
    RETURN_IF_ERROR(Compile());
    RETURN_IF_ERROR(Connect());
    RETURN_IF_ERROR(WarmUp());
    BroughtUp up{.epoch = plan_.epoch, .note = plan_.placement.note};
    {
      absl::MutexLock lock(&mutex_);
      up.bytes_pushed = bytes_pushed_;
    }
    for (const PlacedSlice& placed : plan_.placement.slices) {
      const CompiledSlice& compiled = compiled_[{placed.replica, placed.slice}];
      up.slices.push_back({.slice = plan_.content->info.slices[placed.slice].name,
                           .device = placed.id.ToString(),
                           .worker = plan_.workers[placed.worker].name,
                           .worker_device = placed.device,
                           .weight_bytes = compiled.weight_bytes,
                           .arena_bytes = compiled.arena_bytes,
                           .memory_bytes = std::max(compiled.weight_bytes,
                                                    plan_.content->submodels[placed.slice].size) +
                                           compiled.arena_bytes,
                           .replica = placed.replica});
    }
    up.replicas = std::move(replicas_);
    return up;
  }

 private:
  void Report(absl::string_view phase, double fraction, std::string message = "") {
    if (progress_) progress_({std::string(phase), fraction, std::move(message)});
  }

  // Runs `step` for each of `count` workers or members at once; the first error ends the others' waits.
  absl::Status OnAll(size_t count, const std::function<absl::Status(size_t)>& step) {
    const absl::Status all = ParallelForEach(static_cast<int>(count), [&](int i) {
      absl::Status status = context_.limit().Check("the other workers");
      if (status.ok()) status = step(i);
      if (!status.ok()) context_.cancellation->Cancel(status);
      return status;
    });
    // Not what the others were told when their waits ended: the cause itself.
    return all.ok() ? all : context_.cancellation->status();
  }

  static std::string Named(const ReplicaMember& member) { return absl::StrCat("worker '", member.worker.name, "'"); }

  SliceAssignment Assignment(const ReplicaMember& member, int rank) const {
    const OmSubmodel& submodel = plan_.content->submodels[rank];
    return {rank, device_of_.at({member.id.replica, rank}), submodel.digest, submodel.size};
  }

  absl::Status PrepareMember(const ReplicaMember& member) {
    PrepareCall call{member.id, {}};
    std::map<std::string, const OmSubmodel*> by_digest;
    for (int rank : member.ranks) {
      call.slices.push_back(Assignment(member, rank));
      by_digest[call.slices.back().digest] = &plan_.content->submodels[rank];
    }
    ASSIGN_OR_RETURN(std::vector<std::string> missing, member.worker.link->Prepare(call, context_));
    for (const std::string& digest : missing) {
      auto it = by_digest.find(digest);
      if (it == by_digest.end()) return absl::InternalError(absl::StrCat("asked for unknown submodel ", digest));
      const OmSubmodel& submodel = *it->second;
      RETURN_IF_ERROR_WITH(PushSubmodel(member, submodel), absl::StrCat("submodel '", submodel.name, "'"));
    }
    return absl::OkStatus();
  }

  absl::Status PushSubmodel(const ReplicaMember& member, const OmSubmodel& submodel) {
    {
      absl::MutexLock lock(&mutex_);
      to_send_ += submodel.size;
    }
    const std::string message = absl::StrCat(submodel.name, " to '", member.worker.name, "'");
    const auto sent = [&](uint64_t bytes) {
      absl::MutexLock lock(&mutex_);
      sent_ += bytes;
      Report("push", static_cast<double>(sent_) / static_cast<double>(std::max<uint64_t>(to_send_, 1)), message);
    };
    ASSIGN_OR_RETURN(uint64_t bytes,
                     member.worker.link->Push(submodel.digest,
                                              Buffer::OfFile(submodel.file, submodel.offset, submodel.size), sent,
                                              context_));
    metrics_.CountPushed(bytes);
    absl::MutexLock lock(&mutex_);
    bytes_pushed_ += bytes;
    return absl::OkStatus();
  }

  absl::Status PrepareAndPush() {
    // One worker after the other's members, so that replicas of one slice on a worker are pushed once.
    std::map<std::string, std::vector<const ReplicaMember*>> by_worker;
    for (const ReplicaMember* member : members_) by_worker[member->worker.name].push_back(member);
    std::vector<std::vector<const ReplicaMember*>> groups;
    for (auto& [name, group] : by_worker) groups.push_back(std::move(group));
    return OnAll(groups.size(), [&](size_t i) -> absl::Status {
      for (const ReplicaMember* member : groups[i]) RETURN_IF_ERROR_WITH(PrepareMember(*member), Named(*member));
      return absl::OkStatus();
    });
  }

  absl::Status Compile() {
    Report("compile", 0);
    size_t done = 0;
    return OnAll(members_.size(), [&](size_t i) -> absl::Status {
      const ReplicaMember& member = *members_[i];
      const Replica& replica = replicas_[member.id.replica];
      CompileCall call{member.id, {}, static_cast<int>(&member - replica.members.data())};
      call.world.process_of = ProcessOfRanks(replica, plan_.content->info.slices.size());
      for (const HcomGroup& group : plan_.content->info.groups) call.world.groups.push_back({group.name, group.ranks});
      ASSIGN_OR_RETURN_WITH(CompileReply reply, member.worker.link->Compile(call, context_), Named(member));
      absl::MutexLock lock(&mutex_);
      for (const CompiledSlice& slice : reply.slices) compiled_[{member.id.replica, slice.rank}] = slice;
      for (auto& [rank, address] : reply.addresses) addresses_[{member.id.replica, rank}] = std::move(address);
      Report("compile", static_cast<double>(++done) / static_cast<double>(members_.size()), member.worker.name);
      return absl::OkStatus();
    });
  }

  absl::Status Connect() {
    Report("connect", 0);
    return OnAll(members_.size(), [&](size_t i) -> absl::Status {
      const ReplicaMember& member = *members_[i];
      ConnectCall call{member.id, {}};
      for (const auto& [key, address] : addresses_) {
        const auto& [replica, rank] = key;
        const bool local = std::find(member.ranks.begin(), member.ranks.end(), rank) != member.ranks.end();
        if (replica == member.id.replica && !local) call.addresses[rank] = address;
      }
      return Annotate(member.worker.link->Connect(call, context_), Named(member));
    });
  }

  // One run with zeros on each replica, so that the first request finds caches and pages as later ones do, and a
  // model that cannot run does not become ready.
  absl::Status WarmUp() {
    Report("warmup", 0);
    const ModelInfo& info = plan_.content->info;
    std::vector<Tensor> zeros;
    for (const NamedDesc& input : info.inputs) {
      RETURN_IF_ERROR_WITH(CheckedByteSize(input.desc).status(), absl::StrCat("input '", input.name, "'"));
      std::byte* data = nullptr;
      zeros.push_back(Tensor::Allocate(input.desc, &data));
      std::memset(data, 0, zeros.back().byte_size());
    }
    const RunLayout layout(&info, {});
    return OnAll(members_.size(), [&](size_t i) -> absl::Status {
      const ReplicaMember& member = *members_[i];
      ExecuteCall call = layout.CallFor(member.ranks, zeros);
      call.id = member.id;
      call.request_id = "warmup";
      absl::Notification done;
      absl::Status status;
      member.worker.link->Execute(std::move(call), context_, [&](absl::StatusOr<ExecuteReply> reply) {
        status = reply.status();
        done.Notify();
      });
      done.WaitForNotification();
      return Annotate(status, absl::StrCat(Named(member), ": warm-up run"));
    });
  }

  const BringUpPlan& plan_;
  const ProgressFunction& progress_;
  CallContext context_;
  Metrics& metrics_;
  std::vector<Replica> replicas_;
  std::vector<const ReplicaMember*> members_;
  std::map<std::pair<int, int>, int> device_of_;  // (replica, rank) → ordinal

  absl::Mutex mutex_;  // of all that the steps of several workers write; progress is reported under it
  uint64_t to_send_ = 0;
  uint64_t sent_ = 0;
  uint64_t bytes_pushed_ = 0;
  std::map<std::pair<int, int>, CompiledSlice> compiled_;
  std::map<std::pair<int, int>, std::string> addresses_;
};

}  // namespace

std::vector<Replica> ReplicasOf(const BringUpPlan& plan) {
  std::vector<Replica> replicas(plan.placement.num_replicas);
  for (const PlacedSlice& placed : plan.placement.slices) {
    std::vector<ReplicaMember>& members = replicas[placed.replica].members;
    const WorkerRef& worker = plan.workers[placed.worker];
    auto it = std::find_if(members.begin(), members.end(),
                           [&](const ReplicaMember& member) { return member.worker.name == worker.name; });
    if (it == members.end()) {
      members.push_back({worker, EpochId{worker.incarnation, plan.deployment, plan.epoch, placed.replica}, {}});
      it = std::prev(members.end());
    }
    it->ranks.push_back(placed.slice);
  }
  return replicas;
}

absl::StatusOr<BroughtUp> BringUp(const BringUpPlan& plan, const ProgressFunction& progress,
                                  const CallContext& context, Metrics& metrics) {
  return Attempt(plan, progress, context, metrics).Go();
}

void ReleaseMembers(const std::vector<ReplicaMember>& members, const absl::Status& cause, absl::Duration patience) {
  const CallContext context{absl::Now() + patience, nullptr};
  ParallelForEach(static_cast<int>(members.size()), [&](int i) {
    return members[i].worker.link->Release({members[i].id, cause}, context);
  }).IgnoreError();
}

}  // namespace omserve
