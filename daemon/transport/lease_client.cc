#include "daemon/transport/lease_client.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "core/base/status.h"
#include "daemon/transport/channel.h"
#include "daemon/transport/convert.h"
#include "grpcpp/client_context.h"
#include "grpcpp/completion_queue.h"
#include "omserve/v1/worker.grpc.pb.h"
#include "protos/support/grpc_status.h"

namespace omserve {
namespace {

// Retrying does not help when the coordinator has looked at the worker and does not want it.
bool IsRefusal(absl::StatusCode code) {
  return code == absl::StatusCode::kFailedPrecondition || code == absl::StatusCode::kInvalidArgument ||
         code == absl::StatusCode::kUnimplemented;
}

}  // namespace

// One lease stream. Every wait on it is bounded, so that a coordinator that says nothing is noticed as well.
class LeaseClient::Session {
 public:
  Session(LeaseClient* client, v1::WorkerRegistry::Stub& stub) : client_(client) {
    stream_ = stub.PrepareAsyncLease(&context_, &queue_);
  }
  ~Session() {
    context_.TryCancel();
    queue_.Shutdown();
    void* tag;
    bool ok;
    while (queue_.Next(&tag, &ok)) {
    }
  }

  // Registers. Sets `interval_` and `lease_`.
  absl::Status Begin() {
    stream_->StartCall(this);
    RETURN_IF_ERROR(Await("a connection"));
    v1::LeaseRequest request;
    *request.mutable_hello() = ToProto(client_->agent_->Hello(client_->options_.address));
    return Exchange(request);
  }

  // Heartbeats until it is time to leave (OK) or the stream breaks.
  absl::Status Hold() {
    while (!client_->LeavingAfter(interval_)) RETURN_IF_ERROR(Heartbeat(/*leaving=*/false));
    return absl::OkStatus();
  }

  // Tells the coordinator, waits for runs in flight, ends the stream.
  void Leave(absl::Time deadline) {
    if (!Heartbeat(/*leaving=*/true).ok()) return;
    // Runs that the coordinator sent before it heard have arrived by then.
    absl::SleepFor(std::min(interval_, deadline - absl::Now()));
    while (!client_->agent_->WaitIdle(std::min(deadline, absl::Now() + interval_)) && absl::Now() < deadline) {
      if (!Heartbeat(/*leaving=*/true).ok()) return;
    }
    stream_->WritesDone(this);
    if (Await("the end of the stream").ok()) FinalStatus().IgnoreError();
  }

 private:
  absl::Status Heartbeat(bool leaving) {
    v1::LeaseRequest request;
    const std::vector<uint64_t> memory = client_->agent_->memory_in_use();
    request.mutable_heartbeat()->mutable_memory_in_use()->Assign(memory.begin(), memory.end());
    request.mutable_heartbeat()->set_leaving(leaving);
    return Exchange(request);
  }

  absl::Status Exchange(const v1::LeaseRequest& request) {
    stream_->Write(request, this);
    RETURN_IF_ERROR(Await("an answer"));
    v1::LeaseResponse response;
    stream_->Read(&response, this);
    RETURN_IF_ERROR(Await("an answer"));
    lease_ = absl::Seconds(response.lease_seconds());
    interval_ = absl::Seconds(response.heartbeat_seconds());
    return absl::OkStatus();
  }

  // Waits for the operation that was started; its failure is the final status of the stream.
  absl::Status Await(absl::string_view what) {
    const absl::Duration patience = lease_ > absl::ZeroDuration() ? lease_ : client_->options_.answer_timeout;
    void* tag;
    bool ok = false;
    switch (queue_.AsyncNext(&tag, &ok, absl::ToChronoTime(absl::Now() + patience))) {
      case grpc::CompletionQueue::GOT_EVENT:
        return ok ? absl::OkStatus() : FinalStatus();
      case grpc::CompletionQueue::TIMEOUT:
        return absl::DeadlineExceededError(
            absl::StrCat("the coordinator gave no sign for ", absl::FormatDuration(patience), ", waiting for ", what));
      case grpc::CompletionQueue::SHUTDOWN:
        break;
    }
    return absl::InternalError("the completion queue of the lease was shut down");
  }

  absl::Status FinalStatus() {
    grpc::Status status;
    stream_->Finish(&status, this);
    void* tag;
    bool ok = false;
    const bool ended = queue_.AsyncNext(&tag, &ok, absl::ToChronoTime(absl::Now() + client_->options_.answer_timeout)) ==
                       grpc::CompletionQueue::GOT_EVENT;
    if (!ended) {
      context_.TryCancel();
      queue_.Next(&tag, &ok);  // `status` is written until then
    }
    return status.ok() ? absl::UnavailableError("the coordinator ended the lease") : FromGrpc(status);
  }

  LeaseClient* const client_;
  grpc::CompletionQueue queue_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientAsyncReaderWriter<v1::LeaseRequest, v1::LeaseResponse>> stream_;
  absl::Duration lease_;
  absl::Duration interval_;
};

LeaseClient::LeaseClient(LeaseClientOptions options, WorkerAgent* agent, const Log* log)
    : options_(std::move(options)), agent_(agent), log_(log), channel_(MakeChannel(options_.coordinator)) {}

bool LeaseClient::LeavingAfter(absl::Duration duration) {
  absl::MutexLock lock(&mutex_);
  return mutex_.AwaitWithTimeout(absl::Condition(&leaving_), duration);
}

void LeaseClient::Leave(absl::Time deadline) {
  absl::MutexLock lock(&mutex_);
  leaving_ = true;
  leave_deadline_ = deadline;
}

absl::Status LeaseClient::Run() {
  const std::unique_ptr<v1::WorkerRegistry::Stub> stub = v1::WorkerRegistry::NewStub(channel_);
  absl::Duration retry = options_.first_retry;
  absl::Time name_taken_since = absl::InfiniteFuture();
  while (true) {
    absl::Status status;
    bool registered = false;
    {
      Session session(this, *stub);
      status = session.Begin();
      registered = status.ok();
      if (registered) {
        log_->Info("registered with the coordinator", {{"coordinator", options_.coordinator}});
        status = session.Hold();
      }
      if (status.ok()) {
        absl::Time deadline;
        {
          absl::MutexLock lock(&mutex_);
          deadline = leave_deadline_;
        }
        session.Leave(deadline);
      }
    }
    agent_->ReleaseAll(absl::UnavailableError(
        absl::StrCat("the lease of this worker ended: ", status.ok() ? "it is shutting down" : status.ToString())));
    if (status.ok()) return status;
    if (IsRefusal(status.code())) return Annotate(status, "the coordinator refuses this worker");
    if (status.code() == absl::StatusCode::kAlreadyExists) {
      name_taken_since = std::min(name_taken_since, absl::Now());
      if (absl::Now() - name_taken_since > options_.name_patience) {
        return Annotate(status, "the coordinator refuses this worker");
      }
    } else {
      name_taken_since = absl::InfiniteFuture();
    }
    if (registered) retry = options_.first_retry;
    log_->Warning(registered ? "lease lost; registering anew" : "cannot register; trying again",
                  {{"coordinator", options_.coordinator},
                   {"status", status.ToString()},
                   {"retry_seconds", absl::StrCat(absl::ToDoubleSeconds(retry))}});
    if (LeavingAfter(retry)) return absl::OkStatus();
    retry = std::min(retry * 2, options_.last_retry);
  }
}

}  // namespace omserve
