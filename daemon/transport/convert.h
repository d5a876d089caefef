// Between the messages of protos/omserve/v1 and the types of coordinator and worker. Messages from outside are checked
// where the types are used; here only what would not survive the conversion.
#ifndef OMSERVE_DAEMON_TRANSPORT_CONVERT_H_
#define OMSERVE_DAEMON_TRANSPORT_CONVERT_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "core/om/model.h"
#include "daemon/coordinator/bring_up.h"
#include "daemon/coordinator/build_runner.h"
#include "daemon/coordinator/coordinator.h"
#include "daemon/coordinator/file_upload.h"
#include "daemon/coordinator/registry.h"
#include "daemon/protocol/worker_link.h"
#include "grpcpp/support/byte_buffer.h"
#include "omserve/v1/build.pb.h"
#include "omserve/v1/cluster.pb.h"
#include "omserve/v1/common.pb.h"
#include "omserve/v1/model.pb.h"
#include "omserve/v1/run.pb.h"
#include "omserve/v1/worker.pb.h"

namespace omserve {

v1::TensorDesc ToProto(const NamedDesc& desc);
v1::Progress ToProto(const LongCallProgress& progress);
v1::FileHeader ToProto(const UploadedFile& file);
v1::ModelStatus ToProto(const DeploymentStatus& status);
v1::WorkerHello ToProto(const WorkerHello& hello);
v1::EpochId ToProto(const EpochId& id);
v1::PrepareRequest ToProto(const PrepareCall& call);
v1::CompileRequest ToProto(const CompileCall& call);
v1::CompileResponse ToProto(const CompileReply& reply);
v1::ConnectRequest ToProto(const ConnectCall& call);
v1::ReleaseRequest ToProto(const ReleaseCall& call);
v1::DescribeClusterResponse ToProto(const std::vector<WorkerView>& workers, const std::string& version);

UploadedFile FromProto(const v1::FileHeader& header);
BuildCall FromProto(const v1::BuildOptions& options);
WorkerHello FromProto(const v1::WorkerHello& hello);
EpochId FromProto(const v1::EpochId& id);
PrepareCall FromProto(const v1::PrepareRequest& request);
CompileCall FromProto(const v1::CompileRequest& request);
CompileReply FromProto(const v1::CompileResponse& response);
ConnectCall FromProto(const v1::ConnectRequest& request);
ReleaseCall FromProto(const v1::ReleaseRequest& request);

// Tensors are taken out of the messages: see TakeTensor.
absl::StatusOr<RunCall> TakeRunCall(v1::RunRequest& request);
absl::StatusOr<ExecuteCall> TakeExecuteCall(v1::ExecuteRequest& request);
absl::StatusOr<ExecuteReply> TakeExecuteReply(v1::ExecuteResponse& response);

// Encoded, with the bytes of tensors by reference.
grpc::ByteBuffer EncodeRunResponse(const std::string& request_id, const std::vector<NamedTensor>& outputs);
grpc::ByteBuffer EncodeExecuteRequest(const ExecuteCall& call);
grpc::ByteBuffer EncodeExecuteResponse(const ExecuteReply& reply);
// A PushRequest with a chunk.
grpc::ByteBuffer EncodePushChunk(const Buffer& chunk);

}  // namespace omserve

#endif  // OMSERVE_DAEMON_TRANSPORT_CONVERT_H_
