// WorkerRpcService: the gRPC face of a WorkerAgent.
#ifndef OMSERVE_DAEMON_TRANSPORT_WORKER_RPC_SERVICE_H_
#define OMSERVE_DAEMON_TRANSPORT_WORKER_RPC_SERVICE_H_

#include "daemon/worker/worker_agent.h"
#include "grpcpp/server_context.h"
#include "grpcpp/support/byte_buffer.h"
#include "grpcpp/support/server_callback.h"
#include "grpcpp/support/sync_stream.h"
#include "omserve/v1/worker.grpc.pb.h"

namespace omserve {

// Thread-safe. The steps of a load block a thread of gRPC's pool each; runs block none.
class WorkerRpcService : public v1::WorkerService::WithRawCallbackMethod_Execute<v1::WorkerService::Service> {
 public:
  // `agent` must outlive the service.
  explicit WorkerRpcService(WorkerAgent* agent) : agent_(agent) {}

  grpc::Status Prepare(grpc::ServerContext* context, const v1::PrepareRequest* request,
                       v1::PrepareResponse* response) override;
  grpc::Status Push(grpc::ServerContext* context, grpc::ServerReader<v1::PushRequest>* reader,
                    v1::PushResponse* response) override;
  grpc::Status Compile(grpc::ServerContext* context, const v1::CompileRequest* request,
                       v1::CompileResponse* response) override;
  grpc::Status Connect(grpc::ServerContext* context, const v1::ConnectRequest* request,
                       v1::ConnectResponse* response) override;
  grpc::Status Release(grpc::ServerContext* context, const v1::ReleaseRequest* request,
                       v1::ReleaseResponse* response) override;
  grpc::ServerUnaryReactor* Execute(grpc::CallbackServerContext* context, const grpc::ByteBuffer* request,
                                    grpc::ByteBuffer* response) override;

 private:
  WorkerAgent* const agent_;
};

}  // namespace omserve

#endif  // OMSERVE_DAEMON_TRANSPORT_WORKER_RPC_SERVICE_H_
