#include "daemon/transport/worker_rpc_service.h"

#include <memory>
#include <utility>

#include "core/base/status.h"
#include "daemon/transport/convert.h"
#include "daemon/transport/server_call.h"
#include "daemon/transport/tensor_wire.h"
#include "protos/support/grpc_status.h"

namespace omserve {
namespace {

// One run. gRPC owns it from the moment the method returns it until OnDone.
class ExecuteReactor : public grpc::ServerUnaryReactor {
 public:
  ExecuteReactor(WorkerAgent* agent, grpc::CallbackServerContext* context, grpc::ByteBuffer* response)
      : agent_(agent), context_(context), response_(response) {}

  void Start(ExecuteCall call) {
    agent_->Execute(std::move(call), CallContext{DeadlineOf(*context_), cancellation_},
                    [this](absl::StatusOr<ExecuteReply> reply) {
                      if (reply.ok()) *response_ = EncodeExecuteResponse(*reply);
                      Finish(ToGrpc(reply.status()));
                    });
  }

  void OnCancel() override { cancellation_->Cancel(CancelCause(*context_)); }
  void OnDone() override { delete this; }

 private:
  WorkerAgent* const agent_;
  grpc::CallbackServerContext* const context_;
  grpc::ByteBuffer* const response_;
  const std::shared_ptr<Cancellation> cancellation_ = std::make_shared<Cancellation>();
};

absl::StatusOr<ExecuteCall> Decode(const grpc::ByteBuffer& bytes) {
  v1::ExecuteRequest request;
  RETURN_IF_ERROR(ParseMessage(bytes, request));
  return TakeExecuteCall(request);
}

absl::StatusOr<uint64_t> Receive(WorkerAgent& agent, grpc::ServerReader<v1::PushRequest>& reader) {
  v1::PushRequest request;
  if (!reader.Read(&request) || !request.has_header()) {
    return absl::InvalidArgumentError("a push begins with the header of the submodel");
  }
  ASSIGN_OR_RETURN(std::unique_ptr<ContentStore::Writer> writer,
                   agent.BeginPush(request.header().sha256(), request.header().size()));
  uint64_t bytes = 0;
  while (reader.Read(&request)) {
    if (!request.has_chunk()) return absl::InvalidArgumentError("after the header of a submodel come chunks only");
    RETURN_IF_ERROR(writer->Append(request.chunk()));
    bytes += request.chunk().size();
  }
  RETURN_IF_ERROR(agent.FinishPush(*writer));
  return bytes;
}

void IgnoreProgress(const LongCallProgress&) {}

}  // namespace

grpc::Status WorkerRpcService::Prepare(grpc::ServerContext* context, const v1::PrepareRequest* request,
                                       v1::PrepareResponse* response) {
  absl::StatusOr<std::vector<std::string>> missing =
      agent_->Prepare(FromProto(*request), CallContext{DeadlineOf(*context), nullptr});
  if (missing.ok()) response->mutable_missing()->Assign(missing->begin(), missing->end());
  return ToGrpc(missing.status());
}

grpc::Status WorkerRpcService::Push(grpc::ServerContext* context, grpc::ServerReader<v1::PushRequest>* reader,
                                    v1::PushResponse* response) {
  absl::StatusOr<uint64_t> bytes = Receive(*agent_, *reader);
  if (bytes.ok()) response->set_bytes(*bytes);
  return ToGrpc(bytes.status());
}

grpc::Status WorkerRpcService::Compile(grpc::ServerContext* context, const v1::CompileRequest* request,
                                       v1::CompileResponse* response) {
  BlockingCallWatch watch(context, IgnoreProgress);
  absl::StatusOr<CompileReply> reply =
      agent_->Compile(FromProto(*request), CallContext{DeadlineOf(*context), watch.cancellation()});
  if (reply.ok()) *response = ToProto(*reply);
  return ToGrpc(reply.status());
}

grpc::Status WorkerRpcService::Connect(grpc::ServerContext* context, const v1::ConnectRequest* request,
                                       v1::ConnectResponse* response) {
  BlockingCallWatch watch(context, IgnoreProgress);
  return ToGrpc(agent_->Connect(FromProto(*request), CallContext{DeadlineOf(*context), watch.cancellation()}));
}

grpc::Status WorkerRpcService::Release(grpc::ServerContext* context, const v1::ReleaseRequest* request,
                                       v1::ReleaseResponse* response) {
  return ToGrpc(agent_->Release(FromProto(*request), CallContext{DeadlineOf(*context), nullptr}));
}

grpc::ServerUnaryReactor* WorkerRpcService::Execute(grpc::CallbackServerContext* context,
                                                    const grpc::ByteBuffer* request, grpc::ByteBuffer* response) {
  absl::StatusOr<ExecuteCall> call = Decode(*request);
  if (!call.ok()) {
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    reactor->Finish(ToGrpc(call.status()));
    return reactor;
  }
  auto* reactor = new ExecuteReactor(agent_, context, response);
  reactor->Start(*std::move(call));
  return reactor;
}

}  // namespace omserve
