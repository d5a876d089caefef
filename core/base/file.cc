#include "core/base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/base/status.h"

namespace omserve {
namespace {

constexpr size_t kWriteBuffer = size_t{1} << 20;

absl::Status FileError(int error, absl::string_view action, absl::string_view path) {
  return absl::ErrnoToStatus(error, absl::StrCat(action, " ", path));
}

absl::Status WriteAll(int fd, const char* data, size_t size, absl::string_view path) {
  while (size > 0) {
    ssize_t written = ::write(fd, data, size);
    if (written < 0) {
      if (errno == EINTR) continue;
      return FileError(errno, "write", path);
    }
    data += written;
    size -= static_cast<size_t>(written);
  }
  return absl::OkStatus();
}

struct OwnedFd {
  int fd;
  ~OwnedFd() {
    if (fd >= 0) ::close(fd);
  }
};

absl::StatusOr<size_t> RegularFileSize(int fd, const std::string& path) {
  struct stat info;
  if (::fstat(fd, &info) != 0) return FileError(errno, "stat", path);
  if (!S_ISREG(info.st_mode)) return absl::InvalidArgumentError(absl::StrCat(path, " is not a regular file"));
  return static_cast<size_t>(info.st_size);
}

}  // namespace

absl::StatusOr<std::shared_ptr<const MappedFile>> MappedFile::Open(const std::string& path) {
  OwnedFd file{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  if (file.fd < 0) return FileError(errno, "open", path);
  ASSIGN_OR_RETURN(size_t size, RegularFileSize(file.fd, path));
  const std::byte* data = nullptr;
  if (size > 0) {
    void* mapped = ::mmap(nullptr, size, PROT_READ, MAP_SHARED, file.fd, 0);
    if (mapped == MAP_FAILED) return FileError(errno, "mmap", path);
    data = static_cast<const std::byte*>(mapped);
  }
  return std::shared_ptr<const MappedFile>(new MappedFile(path, data, size));
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), size_);
}

absl::StatusOr<std::string> ReadFile(const std::string& path, size_t limit) {
  OwnedFd file{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  if (file.fd < 0) return FileError(errno, "open", path);
  ASSIGN_OR_RETURN(size_t size, RegularFileSize(file.fd, path));
  if (size > limit) {
    return absl::ResourceExhaustedError(
        absl::StrCat(path, " has ", size, " bytes; at most ", limit, " are accepted"));
  }
  std::string content(size, '\0');
  size_t done = 0;
  while (done < size) {
    ssize_t got = ::read(file.fd, content.data() + done, size - done);
    if (got < 0) {
      if (errno == EINTR) continue;
      return FileError(errno, "read", path);
    }
    if (got == 0) break;
    done += static_cast<size_t>(got);
  }
  content.resize(done);
  return content;
}

absl::Status WriteFileAtomically(const std::string& path, absl::string_view content) {
  ASSIGN_OR_RETURN(std::unique_ptr<FileWriter> writer, FileWriter::Create(path));
  RETURN_IF_ERROR(writer->Append(content));
  return writer->Commit();
}

absl::StatusOr<std::string> ResolveInside(const std::string& folder, const std::string& relative) {
  namespace fs = std::filesystem;
  std::error_code error;
  const fs::path root = fs::weakly_canonical(folder.empty() ? fs::path(".") : fs::path(folder), error);
  if (error) return absl::InvalidArgumentError(absl::StrCat("cannot resolve folder '", folder, "'"));
  const fs::path target = fs::weakly_canonical(root / relative, error);
  if (error) return absl::InvalidArgumentError(absl::StrCat("cannot resolve path '", relative, "'"));
  const fs::path inside = target.lexically_relative(root);
  if (relative.empty() || inside.empty() || *inside.begin() == "..") {
    return absl::PermissionDeniedError(
        absl::StrCat("path '", relative, "' leaves the folder '", root.string(), "'"));
  }
  return target.string();
}

FileWriter::FileWriter(std::string path, std::string temporary, int fd)
    : path_(std::move(path)), temporary_(std::move(temporary)), fd_(fd) {}

absl::StatusOr<std::unique_ptr<FileWriter>> FileWriter::Create(const std::string& path) {
  std::string temporary = absl::StrCat(path, ".part-XXXXXX");
  int fd = ::mkostemp(temporary.data(), O_CLOEXEC);
  if (fd < 0) return FileError(errno, "create", path);
  ::fchmod(fd, 0644);
  return std::unique_ptr<FileWriter>(new FileWriter(path, std::move(temporary), fd));
}

FileWriter::~FileWriter() {
  if (fd_ >= 0) {
    ::close(fd_);
    ::unlink(temporary_.c_str());
  }
}

absl::Status FileWriter::Flush() {
  absl::Status status = WriteAll(fd_, buffer_.data(), buffer_.size(), temporary_);
  buffer_.clear();
  return status;
}

absl::Status FileWriter::Append(const void* data, size_t size) {
  position_ += size;
  if (buffer_.size() + size < kWriteBuffer) {
    buffer_.append(static_cast<const char*>(data), size);
    return absl::OkStatus();
  }
  RETURN_IF_ERROR(Flush());
  return WriteAll(fd_, static_cast<const char*>(data), size, temporary_);
}

absl::Status FileWriter::OverwriteAt(uint64_t offset, const void* data, size_t size) {
  if (offset + size > position_) {
    return absl::InternalError(absl::StrCat("overwrite of ", size, " bytes at ", offset, " passes the end"));
  }
  RETURN_IF_ERROR(Flush());
  const char* bytes = static_cast<const char*>(data);
  while (size > 0) {
    ssize_t written = ::pwrite(fd_, bytes, size, static_cast<off_t>(offset));
    if (written < 0) {
      if (errno == EINTR) continue;
      return FileError(errno, "write", temporary_);
    }
    bytes += written;
    offset += static_cast<uint64_t>(written);
    size -= static_cast<size_t>(written);
  }
  return absl::OkStatus();
}

absl::Status FileWriter::Commit() {
  RETURN_IF_ERROR(Flush());
  if (::close(std::exchange(fd_, -1)) != 0) return FileError(errno, "close", temporary_);
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) {
    const int error = errno;
    ::unlink(temporary_.c_str());
    return FileError(error, "rename to", path_);
  }
  return absl::OkStatus();
}

}  // namespace omserve
