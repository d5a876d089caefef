#include "daemon/transport/build_service.h"

#include <algorithm>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "core/base/file.h"
#include "core/base/status.h"
#include "daemon/transport/convert.h"
#include "daemon/transport/server_call.h"
#include "protos/support/grpc_status.h"

namespace omserve {
namespace {

using BuildStream = grpc::ServerReaderWriter<v1::BuildResponse, v1::BuildRequest>;

constexpr size_t kChunkBytes = size_t{1} << 20;

absl::StatusOr<BuildCall> ReceiveFiles(BuildStream* stream, FileUpload& upload) {
  v1::BuildRequest request;
  if (!stream->Read(&request) || !request.has_options()) {
    return absl::InvalidArgumentError("a build begins with its options");
  }
  const BuildCall call = FromProto(request.options());
  while (stream->Read(&request)) {
    switch (request.step_case()) {
      case v1::BuildRequest::kFile:
        RETURN_IF_ERROR(upload.Begin(FromProto(request.file())));
        break;
      case v1::BuildRequest::kChunk:
        RETURN_IF_ERROR(upload.Append(request.chunk()));
        break;
      default:
        return absl::InvalidArgumentError("after the options of a build come files and chunks only");
    }
  }
  RETURN_IF_ERROR(upload.Finish());
  return call;
}

absl::Status Send(BuildStream* stream, const v1::BuildResponse& response) {
  return stream->Write(response) ? absl::OkStatus() : absl::CancelledError("the client left");
}

absl::Status SendResult(BuildStream* stream, const BuildSession& session) {
  const ModelInfo& info = session.content().info;
  v1::BuildResponse response;
  v1::BuildResult* result = response.mutable_result();
  result->set_model_name(info.name);
  result->set_digest(session.content().digest);
  if (auto plan = info.build.find("plan"); plan != info.build.end()) result->set_plan(plan->second);
  for (const NamedDesc& input : info.request_inputs()) *result->add_inputs() = ToProto(input);
  for (const NamedDesc& output : info.request_outputs()) *result->add_outputs() = ToProto(output);
  RETURN_IF_ERROR(Send(stream, response));
  for (const UploadedFile& file : session.files()) {
    *response.mutable_file() = ToProto(file);
    RETURN_IF_ERROR(Send(stream, response));
    ASSIGN_OR_RETURN(std::shared_ptr<const MappedFile> mapped,
                     MappedFile::Open(absl::StrCat(session.folder(), "/", file.name)));
    for (size_t offset = 0; offset < mapped->size(); offset += kChunkBytes) {
      const std::string_view chunk = mapped->view().substr(offset, kChunkBytes);
      response.set_chunk(chunk.data(), chunk.size());
      RETURN_IF_ERROR(Send(stream, response));
    }
  }
  return absl::OkStatus();
}

}  // namespace

grpc::Status BuildService::Build(grpc::ServerContext* context, BuildStream* stream) {
  absl::StatusOr<std::unique_ptr<BuildSession>> session = builds_->Begin();
  if (!session.ok()) return ToGrpc(session.status());
  absl::StatusOr<BuildCall> call = ReceiveFiles(stream, (*session)->upload());
  if (!call.ok()) return ToGrpc(context->IsCancelled() ? CancelCause(*context) : call.status());

  BlockingCallWatch watch(context, [stream](const LongCallProgress& progress) {
    v1::BuildResponse response;
    *response.mutable_progress() = ToProto(progress);
    stream->Write(response);
  });
  const WaitLimit limit{.deadline = DeadlineOf(*context), .run = watch.cancellation().get()};
  absl::Status status = builds_->Build(
      **session, *call, [&watch](const LongCallProgress& progress) { watch.Report(progress); }, limit);
  watch.Stop();
  if (status.ok()) status = SendResult(stream, **session);
  return ToGrpc(status);
}

}  // namespace omserve
