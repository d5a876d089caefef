#include "daemon/transport/model_service.h"

#include <string>
#include <utility>
#include <vector>

#include "core/base/status.h"
#include "daemon/transport/convert.h"
#include "daemon/transport/server_call.h"
#include "protos/support/grpc_status.h"

namespace omserve {
namespace {

using LoadStream = grpc::ServerReaderWriter<v1::LoadResponse, v1::LoadRequest>;

absl::StatusOr<std::string> ReceiveModel(LoadStream* stream, FileUpload& upload) {
  v1::LoadRequest request;
  if (!stream->Read(&request) || !request.has_options()) {
    return absl::InvalidArgumentError("a load begins with its options");
  }
  const std::string name = request.options().name();
  std::vector<UploadedFile> files;
  for (const v1::FileHeader& header : request.options().files()) files.push_back(FromProto(header));
  RETURN_IF_ERROR(upload.Announce(std::move(files)));
  v1::LoadResponse need;
  need.mutable_need();
  for (const std::string& digest : upload.Missing()) need.mutable_need()->add_sha256(digest);
  stream->Write(need);
  while (stream->Read(&request)) {
    switch (request.step_case()) {
      case v1::LoadRequest::kFile:
        RETURN_IF_ERROR(upload.Begin(FromProto(request.file())));
        break;
      case v1::LoadRequest::kChunk:
        RETURN_IF_ERROR(upload.Append(request.chunk()));
        break;
      default:
        return absl::InvalidArgumentError("after the options of a load come files and chunks only");
    }
  }
  RETURN_IF_ERROR(upload.Finish());
  return name;
}

}  // namespace

grpc::Status ModelService::Load(grpc::ServerContext* context, LoadStream* stream) {
  FileUpload upload = coordinator_->NewUpload();
  absl::StatusOr<std::string> name = ReceiveModel(stream, upload);
  if (!name.ok()) return ToGrpc(context->IsCancelled() ? CancelCause(*context) : name.status());

  BlockingCallWatch watch(context, [stream](const LongCallProgress& progress) {
    v1::LoadResponse response;
    *response.mutable_progress() = ToProto(progress);
    stream->Write(response);
  });
  absl::StatusOr<LoadOutcome> outcome =
      coordinator_->Load(*name, upload, [&watch](const LongCallProgress& progress) { watch.Report(progress); },
                         CallContext{DeadlineOf(*context), watch.cancellation()});
  watch.Stop();
  if (!outcome.ok()) return ToGrpc(outcome.status());
  v1::LoadResponse response;
  v1::LoadResult* result = response.mutable_result();
  *result->mutable_model() = ToProto(outcome->model);
  result->set_bytes_uploaded(upload.bytes_received());
  result->set_bytes_pushed(outcome->bytes_pushed);
  stream->Write(response);
  return grpc::Status::OK;
}

grpc::Status ModelService::Unload(grpc::ServerContext* context, const v1::UnloadRequest* request,
                                  v1::UnloadResponse* response) {
  return ToGrpc(coordinator_->Unload(request->name(), DeadlineOf(*context)));
}

grpc::Status ModelService::ListModels(grpc::ServerContext* context, const v1::ListModelsRequest* request,
                                      v1::ListModelsResponse* response) {
  for (const DeploymentStatus& model : coordinator_->ListModels()) *response->add_models() = ToProto(model);
  return grpc::Status::OK;
}

grpc::Status ClusterService::DescribeCluster(grpc::ServerContext* context, const v1::DescribeClusterRequest* request,
                                             v1::DescribeClusterResponse* response) {
  *response = ToProto(coordinator_->Workers(), coordinator_->version());
  return grpc::Status::OK;
}

}  // namespace omserve
