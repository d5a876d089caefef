#include "daemon/transport/run_service.h"

#include <utility>

#include "core/base/status.h"
#include "daemon/base/names.h"
#include "daemon/transport/convert.h"
#include "daemon/transport/server_call.h"
#include "daemon/transport/tensor_wire.h"
#include "protos/support/grpc_status.h"

namespace omserve {
namespace {

// One call. gRPC owns it from the moment the method returns it until OnDone, which comes after Finish and OnCancel;
// Finish is called once, by the answer of the run.
class RunReactor : public grpc::ServerUnaryReactor {
 public:
  RunReactor(Coordinator* coordinator, grpc::CallbackServerContext* context, grpc::ByteBuffer* response)
      : coordinator_(coordinator), context_(context), response_(response) {}

  void Start(RunCall call) {
    const std::string request_id = call.request_id;
    handle_ = coordinator_->StartRun(
        std::move(call), [this, request_id](absl::StatusOr<std::vector<NamedTensor>> result) {
          if (result.ok()) *response_ = EncodeRunResponse(request_id, *result);
          Finish(ToGrpc(result.status()));
        });
  }

  void OnCancel() override { coordinator_->CancelRun(handle_, CancelCause(*context_)); }
  void OnDone() override { delete this; }

 private:
  Coordinator* const coordinator_;
  grpc::CallbackServerContext* const context_;
  grpc::ByteBuffer* const response_;
  RunHandle handle_;  // set before gRPC knows of this object
};

absl::StatusOr<RunCall> Decode(const grpc::ByteBuffer& bytes) {
  v1::RunRequest request;
  RETURN_IF_ERROR(ParseMessage(bytes, request));
  return TakeRunCall(request);
}

}  // namespace

grpc::ServerUnaryReactor* RunService::Run(grpc::CallbackServerContext* context, const grpc::ByteBuffer* request,
                                          grpc::ByteBuffer* response) {
  absl::StatusOr<RunCall> call = Decode(*request);
  if (!call.ok()) {
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    reactor->Finish(ToGrpc(call.status()));
    return reactor;
  }
  metrics_->CountCopied(CopyReason::kReceive, request->Length());
  if (call->request_id.empty()) call->request_id = RandomId();
  call->deadline = DeadlineOf(*context);
  auto* reactor = new RunReactor(coordinator_, context, response);
  reactor->Start(*std::move(call));
  return reactor;
}

}  // namespace omserve
