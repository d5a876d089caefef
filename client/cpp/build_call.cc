#include <algorithm>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/cpp/call.h"
#include "client/cpp/convert.h"
#include "client/cpp/onnx_files.h"
#include "client/cpp/transfer.h"
#include "core/base/status.h"
#include "core/om/external_weights.h"

namespace omserve::client {
namespace {

using Stream = grpc::ClientReaderWriter<v1::BuildRequest, v1::BuildResponse>;

// The model and the files it names, relative to its folder.
absl::StatusOr<std::vector<OutgoingFile>> OpenModel(const std::filesystem::path& model_path,
                                                    const ProgressCallback& progress) {
  const std::string folder = model_path.has_parent_path() ? model_path.parent_path().string() : ".";
  std::vector<std::string> names = {model_path.filename().string()};
  {
    ASSIGN_OR_RETURN(const std::shared_ptr<const MappedFile> model, MappedFile::Open(model_path.string()));
    // Whether the model is sound is for the service to judge; a damaged one has no companions to look for.
    absl::StatusOr<std::vector<std::string>> locations = model_path.extension() == ".onnx"
                                                             ? ExternalDataLocations(model->view())
                                                             : ExternalWeightFiles(model->view());
    if (locations.ok()) names.insert(names.end(), locations->begin(), locations->end());
  }
  return OpenOutgoingFiles(folder, names, progress);
}

// All files of a folder of slices, with those in folders below it (weights kept outside); hidden ones stay behind.
absl::StatusOr<std::vector<OutgoingFile>> OpenSlices(const std::filesystem::path& folder,
                                                     const ProgressCallback& progress) {
  constexpr size_t kMaxFiles = 100000;
  std::vector<std::string> names;
  std::error_code error;
  std::filesystem::recursive_directory_iterator it(folder, error), end;
  while (!error && it != end) {
    std::error_code unknown;
    const bool hidden = it->path().filename().string().front() == '.';
    if (hidden && it->is_directory(unknown)) it.disable_recursion_pending();
    if (!hidden && it->is_regular_file(unknown)) names.push_back(it->path().lexically_relative(folder).generic_string());
    if (names.size() > kMaxFiles) {
      return absl::InvalidArgumentError(absl::StrCat("folder ", folder.string(), " has more than ", kMaxFiles,
                                                     " files; expected the folder of a model's slices"));
    }
    it.increment(error);
  }
  if (error) return absl::NotFoundError(absl::StrCat("folder of slices ", folder.string(), ": ", error.message()));
  if (names.empty()) return absl::InvalidArgumentError(absl::StrCat("folder ", folder.string(), " has no files"));
  std::sort(names.begin(), names.end());
  return OpenOutgoingFiles(folder.string(), names, progress);
}

// A build may take long; it should not end with nowhere to put the result.
absl::Status CheckFolderExists(const std::filesystem::path& om_path) {
  const std::filesystem::path folder = om_path.has_parent_path() ? om_path.parent_path() : ".";
  std::error_code error;
  if (std::filesystem::is_directory(folder, error)) return absl::OkStatus();
  return absl::NotFoundError(
      absl::StrCat("cannot write ", om_path.string(), ": there is no folder ", folder.string()));
}

bool SendModel(const BuildOptions& options, const std::vector<OutgoingFile>& files, Stream& stream,
               const ProgressCallback& progress) {
  v1::BuildRequest request;
  v1::BuildOptions& proto = *request.mutable_options();
  proto.set_model_name(options.model_name);
  if (options.relation_config.empty()) proto.set_model_file(files.front().header.name());
  proto.set_cluster_config(options.cluster_config);
  proto.set_parallel_config(options.parallel_config);
  proto.set_input_shapes(options.input_shapes);
  proto.set_relation_config(options.relation_config);
  proto.set_cost_config(options.cost_config);
  if (!stream.Write(request)) return false;

  uint64_t total = 0;
  for (const OutgoingFile& file : files) total += file.header.size();
  ProgressMeter meter("upload", total, progress);
  for (const OutgoingFile& file : files) {
    if (!SendFile(file, stream, meter)) return false;
  }
  return stream.WritesDone();
}

// What arrives of an OM.
struct Receiver {
  const ProgressCallback& progress;
  IncomingFiles files;
  std::optional<BuildResult> result;
  std::optional<ProgressMeter> meter;

  absl::Status Take(const v1::BuildResponse& response) {
    switch (response.step_case()) {
      case v1::BuildResponse::kProgress:
        if (progress) progress(FromProto(response.progress()));
        return absl::OkStatus();
      case v1::BuildResponse::kResult:
        result = FromProto(response.result());
        return absl::OkStatus();
      case v1::BuildResponse::kFile:
        meter.emplace("download", response.file().size(), progress);
        return files.Begin(response.file());
      case v1::BuildResponse::kChunk:
        RETURN_IF_ERROR(files.Append(response.chunk()));
        meter->Add(response.chunk().size(), "");
        return absl::OkStatus();
      case v1::BuildResponse::STEP_NOT_SET:
        return absl::OkStatus();  // a step of a newer service
    }
    return absl::OkStatus();
  }
};

}  // namespace

absl::StatusOr<BuildResult> CallBuild(v1::BuildService::Stub& stub, const std::string& model_path,
                                      const std::string& om_path, const BuildOptions& options,
                                      const ProgressCallback& progress) {
  RETURN_IF_ERROR(CheckFolderExists(om_path));
  CallScope scope(options);
  ASSIGN_OR_RETURN(const std::vector<OutgoingFile> outgoing, options.relation_config.empty()
                                                                 ? OpenModel(model_path, progress)
                                                                 : OpenSlices(model_path, progress));

  const std::unique_ptr<Stream> stream = stub.Build(&scope.context());
  if (!SendModel(options, outgoing, *stream, progress)) {
    RETURN_IF_ERROR(FinishCall(*stream));
    return absl::InternalError("the service ended the build before it had the model");
  }

  Receiver receiver{progress, IncomingFiles(om_path), std::nullopt, std::nullopt};
  v1::BuildResponse response;
  while (stream->Read(&response)) {
    if (absl::Status status = receiver.Take(response); !status.ok()) {
      scope.context().TryCancel();
      FinishCall(*stream).IgnoreError();
      return status;
    }
  }
  RETURN_IF_ERROR(FromGrpc(stream->Finish()));
  if (!receiver.result) return absl::InternalError("the service ended the build without a result");
  RETURN_IF_ERROR(receiver.files.Commit());
  receiver.result->files = receiver.files.paths();
  receiver.result->bytes = receiver.files.bytes();
  return *std::move(receiver.result);
}

}  // namespace omserve::client
