// RegistryService: where workers hold their leases.
#ifndef OMSERVE_DAEMON_TRANSPORT_REGISTRY_SERVICE_H_
#define OMSERVE_DAEMON_TRANSPORT_REGISTRY_SERVICE_H_

#include <functional>
#include <memory>

#include "daemon/coordinator/coordinator.h"
#include "daemon/protocol/worker_link.h"
#include "grpcpp/support/server_callback.h"
#include "omserve/v1/worker.grpc.pb.h"

namespace omserve {

// Thread-safe.
class RegistryService : public v1::WorkerRegistry::CallbackService {
 public:
  using LinkFactory = std::function<std::shared_ptr<WorkerLink>(const WorkerHello&)>;

  // `coordinator` must outlive the service. `make_link` must not block.
  RegistryService(Coordinator* coordinator, LinkFactory make_link)
      : coordinator_(coordinator), make_link_(std::move(make_link)) {}

  grpc::ServerBidiReactor<v1::LeaseRequest, v1::LeaseResponse>* Lease(
      grpc::CallbackServerContext* context) override;

 private:
  Coordinator* const coordinator_;
  const LinkFactory make_link_;
};

}  // namespace omserve

#endif  // OMSERVE_DAEMON_TRANSPORT_REGISTRY_SERVICE_H_
