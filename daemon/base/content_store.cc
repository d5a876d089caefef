#include "daemon/base/content_store.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "core/base/status.h"

namespace omserve {

namespace fs = std::filesystem;

namespace {

constexpr absl::string_view kFolderPrefix = "folder-";

}  // namespace

ContentStore::ContentStore(std::string folder, uint64_t limit_bytes, int lock_fd)
    : folder_(std::move(folder)), limit_bytes_(limit_bytes), lock_fd_(lock_fd) {}

ContentStore::~ContentStore() { ::close(lock_fd_); }

absl::StatusOr<std::unique_ptr<ContentStore>> ContentStore::Open(const std::string& folder, uint64_t limit_bytes) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) return absl::ErrnoToStatus(error.value(), absl::StrCat("create folder ", folder));
  const std::string lock_path = absl::StrCat(folder, "/lock");
  const int lock_fd = ::open(lock_path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (lock_fd < 0) return absl::ErrnoToStatus(errno, absl::StrCat("open ", lock_path));
  std::unique_ptr<ContentStore> store(new ContentStore(folder, limit_bytes, lock_fd));
  if (::flock(lock_fd, LOCK_EX | LOCK_NB) != 0) {
    return absl::FailedPreconditionError(
        absl::StrCat("folder '", folder, "' is in use by another process; give each process its own"));
  }
  absl::MutexLock lock(&store->mutex_);
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename().string();
    if (absl::StartsWith(name, kFolderPrefix)) fs::remove_all(it->path(), error);
    if (!it->is_regular_file(error)) continue;
    if (Sha256::IsDigest(name)) {
      Entry& entry = store->entries_[name];
      entry.size = it->file_size(error);
      store->bytes_ += entry.size;
    } else if (absl::StrContains(name, ".part-")) {
      fs::remove(it->path(), error);
    }
  }
  if (error) return absl::ErrnoToStatus(error.value(), absl::StrCat("read folder ", folder));
  return store;
}

std::string ContentStore::PathOf(absl::string_view digest) const { return absl::StrCat(folder_, "/", digest); }

std::shared_ptr<const StoredFile> ContentStore::Hold(const std::string& digest, Entry& entry) {
  entry.last_use = ++uses_;
  std::shared_ptr<const StoredFile> held = entry.held.lock();
  if (held == nullptr) {
    held = std::make_shared<const StoredFile>(StoredFile{digest, PathOf(digest), entry.size});
    entry.held = held;
  }
  return held;
}

std::shared_ptr<const StoredFile> ContentStore::Find(absl::string_view digest) {
  std::shared_ptr<const StoredFile> held;
  {
    absl::MutexLock lock(&mutex_);
    auto it = entries_.find(std::string(digest));
    if (it == entries_.end()) return nullptr;
    held = Hold(it->first, it->second);
    if (it->second.verified) return held;
  }
  // Outside the lock: it reads the whole file.
  absl::StatusOr<std::shared_ptr<const MappedFile>> file = MappedFile::Open(held->path);
  const bool intact = file.ok() && Sha256::Of((*file)->data(), (*file)->size()) == held->digest;
  absl::MutexLock lock(&mutex_);
  auto it = entries_.find(held->digest);
  if (it == entries_.end()) return nullptr;
  if (!intact && !it->second.verified) {
    ::unlink(held->path.c_str());
    bytes_ -= it->second.size;
    entries_.erase(it);
    return nullptr;
  }
  it->second.verified = true;
  return held;
}

absl::Status ContentStore::MakeRoom(uint64_t size) {
  while (bytes_ + reserved_ + size > limit_bytes_) {
    auto oldest = entries_.end();
    for (auto it = entries_.begin(); it != entries_.end(); ++it) {
      if (!it->second.held.expired()) continue;
      if (oldest == entries_.end() || it->second.last_use < oldest->second.last_use) oldest = it;
    }
    if (oldest == entries_.end()) {
      return absl::ResourceExhaustedError(absl::StrCat("store '", folder_, "' is full: need ", size, " bytes, have ",
                                                       limit_bytes_ - std::min(limit_bytes_, bytes_ + reserved_),
                                                       " of ", limit_bytes_, " (the rest is in use)"));
    }
    ::unlink(PathOf(oldest->first).c_str());
    bytes_ -= oldest->second.size;
    entries_.erase(oldest);
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<ContentStore::Writer>> ContentStore::NewWriter(absl::string_view digest,
                                                                              uint64_t size) {
  if (!Sha256::IsDigest(digest)) {
    return absl::InvalidArgumentError(
        absl::StrCat("'", digest.substr(0, 80), "' is no sha-256 digest; expected 64 lower-case hexadecimal digits"));
  }
  absl::MutexLock lock(&mutex_);
  if (size > limit_bytes_) {
    return absl::ResourceExhaustedError(absl::StrCat("a file of ", size, " bytes does not fit store '", folder_,
                                                     "', which holds at most ", limit_bytes_));
  }
  RETURN_IF_ERROR(MakeRoom(size));
  ASSIGN_OR_RETURN(std::unique_ptr<FileWriter> file, FileWriter::Create(PathOf(digest)));
  reserved_ += size;
  return std::unique_ptr<Writer>(new Writer(this, std::string(digest), size, std::move(file)));
}

absl::StatusOr<std::unique_ptr<TemporaryFolder>> ContentStore::NewFolder() {
  return TemporaryFolder::Create(kFolderPrefix, folder_);
}

uint64_t ContentStore::bytes() const {
  absl::MutexLock lock(&mutex_);
  return bytes_;
}

ContentStore::Writer::~Writer() {
  absl::MutexLock lock(&store_->mutex_);
  store_->reserved_ -= size_;
}

absl::Status ContentStore::Writer::Append(absl::string_view bytes) {
  if (bytes.size() > size_ - file_->position()) {
    return absl::InvalidArgumentError(absl::StrCat("file ", digest_, " was announced with ", size_,
                                                   " bytes; more were sent"));
  }
  sha256_.Update(bytes);
  return file_->Append(bytes);
}

absl::StatusOr<std::shared_ptr<const StoredFile>> ContentStore::Writer::Commit() {
  if (file_->position() != size_) {
    return absl::DataLossError(
        absl::StrCat("file ", digest_, " ended after ", file_->position(), " of ", size_, " bytes"));
  }
  const std::string actual = sha256_.Finish();
  if (actual != digest_) {
    return absl::DataLossError(absl::StrCat("content has digest ", actual, ", announced was ", digest_));
  }
  absl::MutexLock lock(&store_->mutex_);
  RETURN_IF_ERROR(file_->Commit());
  Entry& entry = store_->entries_[digest_];
  store_->bytes_ += size_ - entry.size;  // another writer may have brought the same file meanwhile
  entry.size = size_;
  entry.verified = true;
  return store_->Hold(digest_, entry);
}

}  // namespace omserve
