// GrpcWorkerLink: a worker on the other end of a gRPC channel.
#ifndef OMSERVE_DAEMON_TRANSPORT_GRPC_WORKER_LINK_H_
#define OMSERVE_DAEMON_TRANSPORT_GRPC_WORKER_LINK_H_

#include <memory>
#include <string>
#include <vector>

#include "daemon/protocol/worker_link.h"
#include "grpcpp/channel.h"
#include "grpcpp/generic/generic_stub.h"
#include "omserve/v1/worker.grpc.pb.h"

namespace omserve {

// Thread-safe; connects when first called.
class GrpcWorkerLink : public WorkerLink {
 public:
  explicit GrpcWorkerLink(const std::string& address);

  absl::StatusOr<std::vector<std::string>> Prepare(const PrepareCall& call, const CallContext& context) override;
  // Sends the content in chunks, from where it lies.
  absl::StatusOr<uint64_t> Push(const std::string& digest, const Buffer& content, const BytesSent& sent,
                                const CallContext& context) override;
  absl::StatusOr<CompileReply> Compile(const CompileCall& call, const CallContext& context) override;
  absl::Status Connect(const ConnectCall& call, const CallContext& context) override;
  void Execute(ExecuteCall call, CallContext context, ExecuteDone done) override;
  absl::Status Release(const ReleaseCall& call, const CallContext& context) override;

 private:
  const std::shared_ptr<grpc::Channel> channel_;
  const std::unique_ptr<v1::WorkerService::Stub> stub_;
  const std::shared_ptr<grpc::GenericStub> generic_;
};

}  // namespace omserve

#endif  // OMSERVE_DAEMON_TRANSPORT_GRPC_WORKER_LINK_H_
