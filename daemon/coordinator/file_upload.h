// FileUpload: files on their way from a client into a content store, then laid out in a folder under the names the
// client gave them.
#ifndef OMSERVE_DAEMON_COORDINATOR_FILE_UPLOAD_H_
#define OMSERVE_DAEMON_COORDINATOR_FILE_UPLOAD_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "daemon/base/content_store.h"

namespace omserve {

struct UploadedFile {
  std::string name;  // relative, with '/'
  uint64_t size = 0;
  std::string sha256;
};

// Not thread-safe. `store` must outlive it. The files stay in the store at least as long as the upload.
class FileUpload {
 public:
  explicit FileUpload(ContentStore* store) : store_(store) {}

  // Names files before they come: those that the store has need not be sent.
  absl::Status Announce(std::vector<UploadedFile> files);
  // Digests of announced files that are still to be sent, each once.
  std::vector<std::string> Missing() const;

  // The next file; one that was not announced is added. INVALID_ARGUMENT: the name or digest; DATA_LOSS: the file
  // before it did not end, or has another digest.
  absl::Status Begin(const UploadedFile& file);
  // Bytes of the file begun last. INVALID_ARGUMENT: none was begun, or more than announced.
  absl::Status Append(absl::string_view bytes);
  // No more comes. DATA_LOSS as Begin; INVALID_ARGUMENT: a file is missing, or there are none.
  absl::Status Finish();

  uint64_t bytes_received() const { return bytes_received_; }
  const std::vector<UploadedFile>& files() const { return files_; }

  // Puts the files into `folder` under their names, as hard links: `folder` must be on the file system of the store.
  // PERMISSION_DENIED: a name leaves the folder; INVALID_ARGUMENT: two files have one name.
  absl::Status LayOut(const std::string& folder) const;

 private:
  absl::Status EndCurrent();
  void Add(UploadedFile file);

  ContentStore* const store_;
  std::vector<UploadedFile> files_;
  std::vector<std::shared_ptr<const StoredFile>> stored_;  // by file; null: not there yet
  std::unique_ptr<ContentStore::Writer> current_;
  uint64_t bytes_received_ = 0;
};

}  // namespace omserve

#endif  // OMSERVE_DAEMON_COORDINATOR_FILE_UPLOAD_H_
