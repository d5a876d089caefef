#include <algorithm>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/cpp/call.h"
#include "client/cpp/convert.h"
#include "client/cpp/transfer.h"
#include "core/base/status.h"
#include "core/om/om_file.h"

namespace omserve::client {
namespace {

using Stream = grpc::ClientReaderWriter<v1::LoadRequest, v1::LoadResponse>;

absl::StatusOr<std::vector<OutgoingFile>> OpenOm(const std::filesystem::path& om_path,
                                                 const ProgressCallback& progress) {
  const std::string folder = om_path.has_parent_path() ? om_path.parent_path().string() : ".";
  // Refuses what is no OM before a byte travels.
  ASSIGN_OR_RETURN(const std::unique_ptr<OmFile> om, OmFile::Open(om_path.string()));
  return OpenOutgoingFiles(folder, om->files(), progress);
}

bool SendOptions(const LoadOptions& options, const std::vector<OutgoingFile>& files, Stream& stream) {
  v1::LoadRequest request;
  v1::LoadOptions& proto = *request.mutable_options();
  proto.set_name(options.name);
  for (const OutgoingFile& file : files) *proto.add_files() = file.header;
  return stream.Write(request);
}

bool SendNeeded(const v1::NeedFiles& need, const std::vector<OutgoingFile>& files, Stream& stream,
                const ProgressCallback& progress) {
  std::vector<const OutgoingFile*> wanted;
  uint64_t total = 0;
  for (const OutgoingFile& file : files) {
    if (std::find(need.sha256().begin(), need.sha256().end(), file.header.sha256()) == need.sha256().end())
      continue;
    wanted.push_back(&file);
    total += file.header.size();
  }
  ProgressMeter meter("upload", total, progress);
  for (const OutgoingFile* file : wanted) {
    if (!SendFile(*file, stream, meter)) return false;
  }
  return stream.WritesDone();
}

}  // namespace

absl::StatusOr<LoadResult> CallLoad(v1::ModelService::Stub& stub, const std::string& om_path,
                                    const LoadOptions& options, const ProgressCallback& progress) {
  CallScope scope(options);
  ASSIGN_OR_RETURN(const std::vector<OutgoingFile> files, OpenOm(om_path, progress));

  const std::unique_ptr<Stream> stream = stub.Load(&scope.context());
  std::optional<LoadResult> result;
  if (SendOptions(options, files, *stream)) {
    v1::LoadResponse response;
    while (stream->Read(&response)) {
      if (response.has_need() && !SendNeeded(response.need(), files, *stream, progress)) break;
      if (response.has_progress() && progress) progress(FromProto(response.progress()));
      if (response.has_result()) result = FromProto(response.result());
    }
  }
  RETURN_IF_ERROR(FinishCall(*stream));
  if (!result) return absl::InternalError("the service ended the load without a result");
  return *std::move(result);
}

}  // namespace omserve::client
