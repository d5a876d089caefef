// Files: memory maps, whole reads, atomic writes, and the rule that a path may not leave its folder.
#ifndef OMSERVE_CORE_BASE_FILE_H_
#define OMSERVE_CORE_BASE_FILE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace omserve {

// A file mapped read-only. Immutable and thread-safe; the bytes live as long as the object.
class MappedFile {
 public:
  // NOT_FOUND when there is no such file, PERMISSION_DENIED, INVALID_ARGUMENT for something that is no regular file.
  static absl::StatusOr<std::shared_ptr<const MappedFile>> Open(const std::string& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  const std::byte* data() const { return data_; }
  size_t size() const { return size_; }
  const std::string& path() const { return path_; }
  std::string_view view() const { return {reinterpret_cast<const char*>(data_), size_}; }

 private:
  MappedFile(std::string path, const std::byte* data, size_t size)
      : path_(std::move(path)), data_(data), size_(size) {}
  const std::string path_;
  const std::byte* const data_;
  const size_t size_;
};

// Reads a whole file. NOT_FOUND, PERMISSION_DENIED, or RESOURCE_EXHAUSTED when it is larger than `limit` bytes.
absl::StatusOr<std::string> ReadFile(const std::string& path, size_t limit = size_t{1} << 31);

// Replaces `path` by `content` in one step (temporary file beside it, then rename).
absl::Status WriteFileAtomically(const std::string& path, absl::string_view content);

// Returns folder/relative when that stays inside `folder` after resolving "..", symbolic links and absolute
// paths; else PERMISSION_DENIED naming both. The file itself need not exist.
absl::StatusOr<std::string> ResolveInside(const std::string& folder, const std::string& relative);

// Writes a file in order, without holding it in memory. Not thread-safe. The file appears under its name only at
// Commit; destroying an uncommitted writer removes what was written.
class FileWriter {
 public:
  static absl::StatusOr<std::unique_ptr<FileWriter>> Create(const std::string& path);
  ~FileWriter();
  FileWriter(const FileWriter&) = delete;
  FileWriter& operator=(const FileWriter&) = delete;

  absl::Status Append(const void* data, size_t size);
  absl::Status Append(absl::string_view bytes) { return Append(bytes.data(), bytes.size()); }
  // Overwrites bytes already written; offset + size must not pass the end.
  absl::Status OverwriteAt(uint64_t offset, const void* data, size_t size);
  uint64_t position() const { return position_; }
  // Flushes and renames to the final name.
  absl::Status Commit();

 private:
  FileWriter(std::string path, std::string temporary, int fd);
  const std::string path_;
  const std::string temporary_;
  int fd_;
  uint64_t position_ = 0;  // bytes appended so far, flushed or not
  std::string buffer_;
  absl::Status Flush();
};

}  // namespace omserve

#endif  // OMSERVE_CORE_BASE_FILE_H_
