// BuildService: the gRPC face of BuildRunner.
#ifndef OMSERVE_DAEMON_TRANSPORT_BUILD_SERVICE_H_
#define OMSERVE_DAEMON_TRANSPORT_BUILD_SERVICE_H_

#include "daemon/coordinator/build_runner.h"
#include "grpcpp/server_context.h"
#include "grpcpp/support/sync_stream.h"
#include "omserve/v1/build.grpc.pb.h"

namespace omserve {

// Thread-safe. Blocks a thread of gRPC's pool per build.
class BuildService : public v1::BuildService::Service {
 public:
  // `builds` must outlive the service.
  explicit BuildService(BuildRunner* builds) : builds_(builds) {}

  grpc::Status Build(grpc::ServerContext* context,
                     grpc::ServerReaderWriter<v1::BuildResponse, v1::BuildRequest>* stream) override;

 private:
  BuildRunner* const builds_;
};

}  // namespace omserve

#endif  // OMSERVE_DAEMON_TRANSPORT_BUILD_SERVICE_H_
