// ModelService and ClusterService: gRPC faces of Coordinator.
#ifndef OMSERVE_DAEMON_TRANSPORT_MODEL_SERVICE_H_
#define OMSERVE_DAEMON_TRANSPORT_MODEL_SERVICE_H_

#include "daemon/coordinator/coordinator.h"
#include "grpcpp/server_context.h"
#include "grpcpp/support/sync_stream.h"
#include "omserve/v1/cluster.grpc.pb.h"
#include "omserve/v1/model.grpc.pb.h"

namespace omserve {

// Thread-safe. Its methods block a thread of gRPC's pool: there are few of these calls, and they are long.
class ModelService : public v1::ModelService::Service {
 public:
  // `coordinator` must outlive the service.
  explicit ModelService(Coordinator* coordinator) : coordinator_(coordinator) {}

  grpc::Status Load(grpc::ServerContext* context,
                    grpc::ServerReaderWriter<v1::LoadResponse, v1::LoadRequest>* stream) override;
  grpc::Status Unload(grpc::ServerContext* context, const v1::UnloadRequest* request,
                      v1::UnloadResponse* response) override;
  grpc::Status ListModels(grpc::ServerContext* context, const v1::ListModelsRequest* request,
                          v1::ListModelsResponse* response) override;

 private:
  Coordinator* const coordinator_;
};

class ClusterService : public v1::ClusterService::Service {
 public:
  explicit ClusterService(const Coordinator* coordinator) : coordinator_(coordinator) {}
  grpc::Status DescribeCluster(grpc::ServerContext* context, const v1::DescribeClusterRequest* request,
                               v1::DescribeClusterResponse* response) override;

 private:
  const Coordinator* const coordinator_;
};

}  // namespace omserve

#endif  // OMSERVE_DAEMON_TRANSPORT_MODEL_SERVICE_H_
