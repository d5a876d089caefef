#include "daemon/coordinator/build_runner.h"

#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "core/base/file.h"
#include "core/base/sha256.h"
#include "core/base/status.h"
#include "daemon/base/names.h"

namespace omserve {
namespace {

namespace fs = std::filesystem;

// How often a build that waits for its turn looks whether its client is still there.
constexpr absl::Duration kLookAround = absl::Milliseconds(100);

absl::Status MakeFolder(const std::string& path) {
  std::error_code error;
  fs::create_directories(path, error);
  return error ? absl::ErrnoToStatus(error.value(), absl::StrCat("create folder ", path)) : absl::OkStatus();
}

// What the OM is called: after the model, else after its file, as far as that makes a plain name.
std::string OmName(const BuildCall& call) {
  for (const std::string& name : {call.model_name, fs::path(call.model_file).stem().string()}) {
    if (CheckServiceName("model name", name).ok()) return absl::StrCat(name, ".om");
  }
  return "model.om";
}

}  // namespace

BuildRunner::BuildRunner(BuildRunnerOptions options, BuildFunction build, OpenModelFunction open_model,
                         const Log* log, std::shared_ptr<Metrics> metrics)
    : options_(std::move(options)),
      build_(std::move(build)),
      open_model_(std::move(open_model)),
      log_(log),
      metrics_(std::move(metrics)) {}

absl::StatusOr<std::unique_ptr<BuildSession>> BuildRunner::Begin() {
  std::unique_ptr<BuildSession> session(new BuildSession);
  ASSIGN_OR_RETURN(session->root_, TemporaryFolder::Create("omserve-build-", options_.folder));
  ASSIGN_OR_RETURN(session->store_,
                   ContentStore::Open(session->root_->path() + "/received", options_.upload_limit_bytes));
  session->upload_ = std::make_unique<FileUpload>(session->store_.get());
  session->output_folder_ = session->root_->path() + "/output";
  RETURN_IF_ERROR(MakeFolder(session->output_folder_));
  return session;
}

absl::Status BuildRunner::WaitForTurn(const ProgressFunction& progress, const WaitLimit& limit) {
  const auto free = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return running_ < options_.parallel_builds; };
  bool reported = false;
  while (true) {
    RETURN_IF_ERROR(limit.Check("other builds"));
    {
      absl::MutexLock lock(&mutex_);
      if (mutex_.AwaitWithTimeout(absl::Condition(&free), reported ? kLookAround : absl::ZeroDuration())) {
        ++running_;
        return absl::OkStatus();
      }
    }
    if (!std::exchange(reported, true)) progress({"waiting", 0, "for other builds"});
  }
}

absl::Status BuildRunner::Build(BuildSession& session, const BuildCall& call, const ProgressFunction& progress,
                                const WaitLimit& limit) {
  RETURN_IF_ERROR(WaitForTurn(progress, limit));
  absl::Cleanup leave = [this] {
    absl::MutexLock lock(&mutex_);
    --running_;
  };
  const absl::Time begin = absl::Now();
  absl::Status status = BuildNow(session, call, progress, limit);
  const absl::Duration duration = absl::Now() - begin;
  metrics_->ObserveBuild(duration);
  log_->Write(status.ok() ? LogLevel::kInfo : LogLevel::kWarning, status.ok() ? "model built" : "build failed",
              {{"model", status.ok() ? session.content_->info.name : call.model_name},
               {"file", call.model_file},
               {"seconds", absl::StrCat(absl::ToDoubleSeconds(duration))},
               {"status", status.ToString()}});
  return status;
}

absl::Status BuildRunner::BuildNow(BuildSession& session, const BuildCall& call, const ProgressFunction& progress,
                                   const WaitLimit& limit) {
  const std::string input_folder = session.root_->path() + "/input";
  RETURN_IF_ERROR(MakeFolder(input_folder));
  RETURN_IF_ERROR(session.upload_->LayOut(input_folder));
  std::string model_path = input_folder;
  if (call.relation_config.empty()) {
    ASSIGN_OR_RETURN(model_path, ResolveInside(input_folder, call.model_file));
    if (!fs::is_regular_file(model_path)) {
      return absl::InvalidArgumentError(
          absl::StrCat("model_file '", absl::CHexEscape(call.model_file), "' is not among the files that were sent"));
    }
  } else if (!call.model_file.empty()) {
    return absl::InvalidArgumentError("model_file and relation_config exclude each other: slices are the model");
  }
  const std::string om_path = absl::StrCat(session.output_folder_, "/", OmName(call));
  RETURN_IF_ERROR(build_(model_path, om_path, call, progress, limit));
  ASSIGN_OR_RETURN(session.content_, open_model_(om_path));
  for (const std::string& name : session.content_->files) {
    RETURN_IF_ERROR(limit.Check("the digests of the OM"));
    ASSIGN_OR_RETURN(std::shared_ptr<const MappedFile> file,
                     MappedFile::Open(absl::StrCat(session.output_folder_, "/", name)));
    session.files_.push_back({name, file->size(), Sha256::Of(file->data(), file->size())});
  }
  return absl::OkStatus();
}

}  // namespace omserve
