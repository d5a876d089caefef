#include "daemon/transport/registry_service.h"

#include <atomic>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "daemon/transport/convert.h"
#include "protos/support/grpc_status.h"

namespace omserve {
namespace {

// One stream. gRPC calls the On… methods one after the other, but for OnCancel; the registry may end the session at
// any time.
class LeaseReactor : public grpc::ServerBidiReactor<v1::LeaseRequest, v1::LeaseResponse> {
 public:
  LeaseReactor(Coordinator* coordinator, const RegistryService::LinkFactory* make_link)
      : coordinator_(coordinator), make_link_(make_link), finisher_(std::make_shared<Finisher>(this)) {
    StartRead(&request_);
  }

  void OnReadDone(bool ok) override {
    if (!ok) {
      coordinator_->EndWorker(session_, leaving_ ? "it left" : "its lease stream ended");
      finisher_->Finish(absl::OkStatus());
      return;
    }
    absl::Status status = session_ == 0 ? Register() : Renew();
    if (!status.ok()) return finisher_->Finish(status);
    const RegistryOptions& options = coordinator_->registry_options();
    response_.set_lease_seconds(absl::ToDoubleSeconds(options.lease));
    response_.set_heartbeat_seconds(absl::ToDoubleSeconds(options.heartbeat));
    StartWrite(&response_);
  }

  void OnWriteDone(bool ok) override {
    if (!ok) return finisher_->Finish(absl::CancelledError("the stream broke"));
    StartRead(&request_);
  }

  void OnCancel() override {
    coordinator_->EndWorker(session_, "its lease stream broke");
    finisher_->Finish(absl::CancelledError("the stream broke"));
  }

  void OnDone() override {
    coordinator_->EndWorker(session_, "its lease stream ended");
    delete this;
  }

 private:
  // The stream may be finished once, by whoever is first; the reactor lives at least until then.
  class Finisher {
   public:
    explicit Finisher(LeaseReactor* reactor) : reactor_(reactor) {}
    void Finish(const absl::Status& status) {
      LeaseReactor* reactor;
      {
        absl::MutexLock lock(&mutex_);
        reactor = std::exchange(reactor_, nullptr);
      }
      if (reactor != nullptr) reactor->Finish(ToGrpc(status));
    }

   private:
    absl::Mutex mutex_;
    LeaseReactor* reactor_ ABSL_GUARDED_BY(mutex_);
  };

  absl::Status Register() {
    if (!request_.has_hello()) return absl::InvalidArgumentError("a lease begins with the worker's hello");
    WorkerHello hello = FromProto(request_.hello());
    std::shared_ptr<WorkerLink> link = (*make_link_)(hello);
    absl::StatusOr<uint64_t> session =
        coordinator_->RegisterWorker(std::move(hello), std::move(link), /*leased=*/true,
                                     [finisher = finisher_](absl::Status cause) { finisher->Finish(cause); });
    if (!session.ok()) return session.status();
    session_ = *session;
    return absl::OkStatus();
  }

  absl::Status Renew() {
    if (!request_.has_heartbeat()) return absl::InvalidArgumentError("after the hello come heartbeats only");
    const v1::Heartbeat& heartbeat = request_.heartbeat();
    absl::Status status = coordinator_->RenewWorker(
        session_, std::vector<uint64_t>(heartbeat.memory_in_use().begin(), heartbeat.memory_in_use().end()));
    if (status.ok() && heartbeat.leaving() && !std::exchange(leaving_, true)) coordinator_->RetireWorker(session_);
    return status;
  }

  Coordinator* const coordinator_;
  const RegistryService::LinkFactory* const make_link_;
  const std::shared_ptr<Finisher> finisher_;
  v1::LeaseRequest request_;
  v1::LeaseResponse response_;
  std::atomic<uint64_t> session_{0};
  bool leaving_ = false;
};

}  // namespace

grpc::ServerBidiReactor<v1::LeaseRequest, v1::LeaseResponse>* RegistryService::Lease(
    grpc::CallbackServerContext* context) {
  return new LeaseReactor(coordinator_, &make_link_);
}

}  // namespace omserve
