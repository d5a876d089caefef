// A folder for the files of one command, removed with its owner.
#ifndef OMSERVE_CLIENT_CLI_SCRATCH_FOLDER_H_
#define OMSERVE_CLIENT_CLI_SCRATCH_FOLDER_H_

#include <memory>
#include <string>
#include <utility>

#include "absl/status/statusor.h"

namespace omserve::cli {

class ScratchFolder {
 public:
  // Under $TMPDIR, else /tmp; readable by this user alone.
  static absl::StatusOr<std::unique_ptr<ScratchFolder>> Create();
  ~ScratchFolder();
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;

  const std::string& path() const { return path_; }
  std::string File(const std::string& name) const { return path_ + "/" + name; }

 private:
  explicit ScratchFolder(std::string path) : path_(std::move(path)) {}
  const std::string path_;
};

}  // namespace omserve::cli

#endif  // OMSERVE_CLIENT_CLI_SCRATCH_FOLDER_H_
