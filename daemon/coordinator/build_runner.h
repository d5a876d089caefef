// BuildRunner: builds models from uploaded files, a few at a time.
#ifndef OMSERVE_DAEMON_COORDINATOR_BUILD_RUNNER_H_
#define OMSERVE_DAEMON_COORDINATOR_BUILD_RUNNER_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "core/base/deadline.h"
#include "core/base/temporary_folder.h"
#include "daemon/base/content_store.h"
#include "daemon/coordinator/bring_up.h"
#include "daemon/coordinator/file_upload.h"
#include "daemon/coordinator/model_content.h"
#include "daemon/telemetry/log.h"
#include "daemon/telemetry/metrics.h"

namespace omserve {

// The options of a build as they come, texts unparsed.
struct BuildCall {
  std::string model_name;
  std::string model_file;
  std::string cluster_config;
  std::string parallel_config;
  std::string input_shapes;
  std::string relation_config;  // set: the files are slices, `model_file` is empty
  std::string cost_config;
};

// Builds the model at `model_path` (the folder of the slices, where there is a relation file) into an OM at `om_path`: core/build in the daemon, a fake in tests.
using BuildFunction = std::function<absl::Status(const std::string& model_path, const std::string& om_path,
                                                 const BuildCall& call, const ProgressFunction& progress,
                                                 const WaitLimit& limit)>;

// One build: a folder of its own, that goes away with it. Not thread-safe.
class BuildSession {
 public:
  FileUpload& upload() { return *upload_; }

  // After a successful build: what was built, and its files, the OM first; `folder` is where they are.
  const ModelContent& content() const { return *content_; }
  const std::vector<UploadedFile>& files() const { return files_; }
  const std::string& folder() const { return output_folder_; }

 private:
  friend class BuildRunner;
  BuildSession() = default;

  std::unique_ptr<TemporaryFolder> root_;
  std::unique_ptr<ContentStore> store_;
  std::unique_ptr<FileUpload> upload_;
  std::string output_folder_;
  std::shared_ptr<const ModelContent> content_;
  std::vector<UploadedFile> files_;
};

struct BuildRunnerOptions {
  std::string folder;  // for temporary folders; empty: the system's
  int parallel_builds = 1;
  uint64_t upload_limit_bytes = uint64_t{256} << 30;  // of one build
};

// Thread-safe.
class BuildRunner {
 public:
  // `log` must outlive it.
  BuildRunner(BuildRunnerOptions options, BuildFunction build, OpenModelFunction open_model, const Log* log,
              std::shared_ptr<Metrics> metrics);

  absl::StatusOr<std::unique_ptr<BuildSession>> Begin();
  // Builds from the uploaded files; blocks, first until its turn comes (phase "waiting"). `limit` ends either.
  absl::Status Build(BuildSession& session, const BuildCall& call, const ProgressFunction& progress,
                     const WaitLimit& limit);

 private:
  absl::Status WaitForTurn(const ProgressFunction& progress, const WaitLimit& limit);
  absl::Status BuildNow(BuildSession& session, const BuildCall& call, const ProgressFunction& progress,
                        const WaitLimit& limit);

  const BuildRunnerOptions options_;
  const BuildFunction build_;
  const OpenModelFunction open_model_;
  const Log* const log_;
  const std::shared_ptr<Metrics> metrics_;  // self-synchronised

  absl::Mutex mutex_;
  int running_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace omserve

#endif  // OMSERVE_DAEMON_COORDINATOR_BUILD_RUNNER_H_
