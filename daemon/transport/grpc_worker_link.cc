#include "daemon/transport/grpc_worker_link.h"

#include <algorithm>
#include <utility>

#include "core/base/status.h"
#include "daemon/transport/channel.h"
#include "daemon/transport/convert.h"
#include "daemon/transport/tensor_wire.h"
#include "grpcpp/client_context.h"
#include "grpcpp/completion_queue.h"
#include "protos/support/grpc_status.h"

namespace omserve {
namespace {

constexpr size_t kChunkBytes = size_t{1} << 20;
constexpr char kPushMethod[] = "/omserve.v1.WorkerService/Push";
constexpr char kExecuteMethod[] = "/omserve.v1.WorkerService/Execute";

void SetDeadline(grpc::ClientContext& client, absl::Time deadline) {
  if (deadline != absl::InfiniteFuture()) client.set_deadline(absl::ToChronoTime(deadline));
}

// What a call that failed returns: the cause of its cancellation rather than CANCELLED.
absl::Status Outcome(const grpc::Status& status, const CallContext& context) {
  if (!status.ok() && context.cancellation != nullptr && context.cancellation->cancelled()) {
    return context.cancellation->status();
  }
  return FromGrpc(status);
}

// A ClientContext that a Cancellation ends, for a blocking call.
class BlockingClientContext {
 public:
  explicit BlockingClientContext(const CallContext& context) : context_(context) {
    SetDeadline(client_, context.deadline);
    if (context.cancellation != nullptr) {
      callback_ = context.cancellation->OnCancel([this] { client_.TryCancel(); });
    }
  }
  ~BlockingClientContext() {
    if (context_.cancellation != nullptr) context_.cancellation->Remove(callback_);
  }
  grpc::ClientContext* get() { return &client_; }

 private:
  const CallContext& context_;
  grpc::ClientContext client_;
  int64_t callback_ = 0;
};

// A call that streams raw messages to a method and waits for one raw reply.
class RawStream {
 public:
  RawStream(grpc::GenericStub& stub, const std::string& method, grpc::ClientContext* client)
      : stream_(stub.PrepareCall(client, method, &queue_)) {
    stream_->StartCall(this);
    Await();
  }
  ~RawStream() {
    queue_.Shutdown();
    void* tag;
    bool ok;
    while (queue_.Next(&tag, &ok)) {
    }
  }
  bool Write(const grpc::ByteBuffer& message) {
    stream_->Write(message, this);
    return Await();
  }
  grpc::Status Finish(grpc::ByteBuffer* reply) {
    stream_->WritesDone(this);
    Await();
    stream_->Read(reply, this);
    Await();
    grpc::Status status;
    stream_->Finish(&status, this);
    Await();
    return status;
  }

 private:
  bool Await() {
    void* tag;
    bool ok = false;
    return queue_.Next(&tag, &ok) && ok;
  }

  grpc::CompletionQueue queue_;
  const std::unique_ptr<grpc::GenericClientAsyncReaderWriter> stream_;
};

// A run on its way; freed when it is answered and nobody cancels it at that moment.
struct ExecuteState {
  grpc::ClientContext client;
  CallContext context;
  grpc::ByteBuffer request;
  grpc::ByteBuffer response;
  WorkerLink::ExecuteDone done;
  std::shared_ptr<grpc::GenericStub> stub;

  absl::StatusOr<ExecuteReply> Reply(const grpc::Status& status) {
    RETURN_IF_ERROR(Outcome(status, context));
    v1::ExecuteResponse message;
    RETURN_IF_ERROR(ParseMessage(response, message));
    return TakeExecuteReply(message);
  }
};

}  // namespace

GrpcWorkerLink::GrpcWorkerLink(const std::string& address)
    : channel_(MakeChannel(address)),
      stub_(v1::WorkerService::NewStub(channel_)),
      generic_(std::make_shared<grpc::GenericStub>(channel_)) {}

absl::StatusOr<std::vector<std::string>> GrpcWorkerLink::Prepare(const PrepareCall& call,
                                                                 const CallContext& context) {
  BlockingClientContext client(context);
  v1::PrepareResponse response;
  RETURN_IF_ERROR(Outcome(stub_->Prepare(client.get(), ToProto(call), &response), context));
  return std::vector<std::string>(response.missing().begin(), response.missing().end());
}

absl::StatusOr<uint64_t> GrpcWorkerLink::Push(const std::string& digest, const Buffer& content, const BytesSent& sent,
                                              const CallContext& context) {
  BlockingClientContext client(context);
  grpc::ByteBuffer reply;
  grpc::Status status;
  {
    RawStream stream(*generic_, kPushMethod, client.get());
    v1::PushRequest header;
    *header.mutable_header() = ToProto(UploadedFile{digest, content.size(), digest});
    MessageWriter writer;
    writer.AppendFields(header);
    bool open = stream.Write(writer.Finish());
    for (size_t offset = 0; open && offset < content.size(); offset += kChunkBytes) {
      const Buffer chunk = content.Slice(offset, std::min(kChunkBytes, content.size() - offset));
      open = stream.Write(EncodePushChunk(chunk));
      if (open && sent) sent(chunk.size());
    }
    status = stream.Finish(&reply);
  }
  RETURN_IF_ERROR(Outcome(status, context));
  v1::PushResponse response;
  RETURN_IF_ERROR(ParseMessage(reply, response));
  return response.bytes();
}

absl::StatusOr<CompileReply> GrpcWorkerLink::Compile(const CompileCall& call, const CallContext& context) {
  BlockingClientContext client(context);
  v1::CompileResponse response;
  RETURN_IF_ERROR(Outcome(stub_->Compile(client.get(), ToProto(call), &response), context));
  return FromProto(response);
}

absl::Status GrpcWorkerLink::Connect(const ConnectCall& call, const CallContext& context) {
  BlockingClientContext client(context);
  v1::ConnectResponse response;
  return Outcome(stub_->Connect(client.get(), ToProto(call), &response), context);
}

absl::Status GrpcWorkerLink::Release(const ReleaseCall& call, const CallContext& context) {
  BlockingClientContext client(context);
  v1::ReleaseResponse response;
  return Outcome(stub_->Release(client.get(), ToProto(call), &response), context);
}

void GrpcWorkerLink::Execute(ExecuteCall call, CallContext context, ExecuteDone done) {
  auto state = std::make_shared<ExecuteState>();
  state->context = std::move(context);
  state->request = EncodeExecuteRequest(call);
  state->done = std::move(done);
  state->stub = generic_;
  SetDeadline(state->client, state->context.deadline);
  generic_->UnaryCall(&state->client, kExecuteMethod, {}, &state->request, &state->response,
                      [state](grpc::Status status) { state->done(state->Reply(status)); });
  if (state->context.cancellation != nullptr) {
    // Not removed when the call is done: that would have to wait for a Cancel under way, perhaps the very one that this
    // call's answer leads to. The cancellation lives no longer than the run.
    state->context.cancellation->OnCancel([weak = std::weak_ptr<ExecuteState>(state)] {
      if (std::shared_ptr<ExecuteState> alive = weak.lock()) alive->client.TryCancel();
    });
  }
}

}  // namespace omserve
