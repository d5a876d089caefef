// RunService: the gRPC face of Coordinator::StartRun.
#ifndef OMSERVE_DAEMON_TRANSPORT_RUN_SERVICE_H_
#define OMSERVE_DAEMON_TRANSPORT_RUN_SERVICE_H_

#include <memory>

#include "daemon/coordinator/coordinator.h"
#include "daemon/telemetry/metrics.h"
#include "grpcpp/support/byte_buffer.h"
#include "grpcpp/support/server_callback.h"
#include "omserve/v1/run.grpc.pb.h"

namespace omserve {

// Thread-safe. Never blocks a thread of gRPC on a run.
class RunService : public v1::RunService::WithRawCallbackMethod_Run<v1::RunService::Service> {
 public:
  // `coordinator` must outlive the service.
  RunService(Coordinator* coordinator, std::shared_ptr<Metrics> metrics)
      : coordinator_(coordinator), metrics_(std::move(metrics)) {}

  grpc::ServerUnaryReactor* Run(grpc::CallbackServerContext* context, const grpc::ByteBuffer* request,
                                grpc::ByteBuffer* response) override;

 private:
  Coordinator* const coordinator_;
  const std::shared_ptr<Metrics> metrics_;
};

}  // namespace omserve

#endif  // OMSERVE_DAEMON_TRANSPORT_RUN_SERVICE_H_
