// RpcServer: a gRPC server of this project: limits, keep-alive, health, reflection, and the file that tells where it
// listens.
#ifndef OMSERVE_DAEMON_TRANSPORT_RPC_SERVER_H_
#define OMSERVE_DAEMON_TRANSPORT_RPC_SERVER_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "grpcpp/impl/service_type.h"
#include "grpcpp/server.h"

namespace omserve {

struct RpcServerOptions {
  std::string listen;        // "host:port"; port 0: any
  std::string address_file;  // gets the bound address, if not empty
  int64_t max_message_bytes = int64_t{1} << 30;
};

// Thread-safe.
class RpcServer {
 public:
  // `services` must outlive the server. UNAVAILABLE when it cannot listen.
  static absl::StatusOr<std::unique_ptr<RpcServer>> Start(const RpcServerOptions& options,
                                                          const std::vector<grpc::Service*>& services);
  // Shuts down at once if Shutdown was not called.
  ~RpcServer();

  // "host:port", the host as it was given.
  const std::string& address() const { return address_; }
  int port() const { return port_; }

  // What grpc.health.v1 answers.
  void SetServing(bool serving);
  // Accepts no more; ends what is still under way at the deadline; then waits for its handlers.
  void Shutdown(absl::Time deadline);

 private:
  RpcServer(std::unique_ptr<grpc::Server> server, std::string address, int port);
  const std::unique_ptr<grpc::Server> server_;
  const std::string address_;
  const int port_;
};

}  // namespace omserve

#endif  // OMSERVE_DAEMON_TRANSPORT_RPC_SERVER_H_
