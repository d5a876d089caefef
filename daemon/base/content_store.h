// ContentStore: files named by the sha-256 of their content, on disk. The coordinator keeps uploaded OMs in one, each
// worker the submodels it was sent, so that the same bytes are never moved twice.
//
//   if (std::shared_ptr<const StoredFile> file = store->Find(digest)) return Use(file->path);
//   ASSIGN_OR_RETURN(auto writer, store->NewWriter(digest, size));
//   while (…) RETURN_IF_ERROR(writer->Append(chunk));
//   ASSIGN_OR_RETURN(std::shared_ptr<const StoredFile> file, writer->Commit());
#ifndef OMSERVE_DAEMON_BASE_CONTENT_STORE_H_
#define OMSERVE_DAEMON_BASE_CONTENT_STORE_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "core/base/file.h"
#include "core/base/sha256.h"
#include "core/base/temporary_folder.h"

namespace omserve {

// A file of the store. It is not evicted while somebody holds a reference.
struct StoredFile {
  std::string digest;
  std::string path;
  uint64_t size = 0;
};

// Thread-safe. One process at a time owns a folder.
class ContentStore {
 public:
  class Writer;

  // Opens or makes `folder`, takes over what it holds and drops half-written files. FAILED_PRECONDITION when another
  // process uses it. `limit_bytes` bounds all files together: the least recently used that nobody holds go first.
  static absl::StatusOr<std::unique_ptr<ContentStore>> Open(const std::string& folder, uint64_t limit_bytes);
  ~ContentStore();
  ContentStore(const ContentStore&) = delete;
  ContentStore& operator=(const ContentStore&) = delete;

  // Null when there is no such file. A file that an earlier process left is read once to compare it with its digest;
  // a damaged one is removed and counts as absent.
  std::shared_ptr<const StoredFile> Find(absl::string_view digest);

  // INVALID_ARGUMENT for something that is no digest; RESOURCE_EXHAUSTED (need and have) when it cannot be made to
  // fit. The store must outlive the writer.
  absl::StatusOr<std::unique_ptr<Writer>> NewWriter(absl::string_view digest, uint64_t size);

  // An empty folder on the same file system, for hard links to stored files.
  absl::StatusOr<std::unique_ptr<TemporaryFolder>> NewFolder();

  uint64_t bytes() const;

 private:
  struct Entry {
    uint64_t size = 0;
    uint64_t last_use = 0;  // a count, not a time
    bool verified = false;  // its content was compared with its digest by this process
    std::weak_ptr<const StoredFile> held;
  };

  ContentStore(std::string folder, uint64_t limit_bytes, int lock_fd);
  std::string PathOf(absl::string_view digest) const;
  std::shared_ptr<const StoredFile> Hold(const std::string& digest, Entry& entry)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status MakeRoom(uint64_t size) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const std::string folder_;
  const uint64_t limit_bytes_;
  const int lock_fd_;

  mutable absl::Mutex mutex_;
  std::map<std::string, Entry> entries_ ABSL_GUARDED_BY(mutex_);
  uint64_t bytes_ ABSL_GUARDED_BY(mutex_) = 0;     // of entries
  uint64_t reserved_ ABSL_GUARDED_BY(mutex_) = 0;  // by writers not yet committed
  uint64_t uses_ ABSL_GUARDED_BY(mutex_) = 0;
};

// One file on its way in. Not thread-safe. Destroying it without Commit leaves nothing behind.
class ContentStore::Writer {
 public:
  ~Writer();
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  // INVALID_ARGUMENT when more bytes come than were announced.
  absl::Status Append(absl::string_view bytes);
  // DATA_LOSS naming both digests (or both sizes) when the content is not what was announced.
  absl::StatusOr<std::shared_ptr<const StoredFile>> Commit();

 private:
  friend class ContentStore;
  Writer(ContentStore* store, std::string digest, uint64_t size, std::unique_ptr<FileWriter> file)
      : store_(store), digest_(std::move(digest)), size_(size), file_(std::move(file)) {}

  ContentStore* const store_;
  const std::string digest_;
  const uint64_t size_;
  std::unique_ptr<FileWriter> file_;
  Sha256 sha256_;
};

}  // namespace omserve

#endif  // OMSERVE_DAEMON_BASE_CONTENT_STORE_H_
