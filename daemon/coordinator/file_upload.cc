#include "daemon/coordinator/file_upload.h"

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "core/base/file.h"
#include "core/base/sha256.h"
#include "core/base/status.h"

namespace omserve {
namespace {

constexpr size_t kMaxFiles = 4096;
constexpr size_t kMaxFileName = 1024;

absl::Status CheckFile(const UploadedFile& file) {
  const absl::string_view name = file.name;
  if (name.empty() || name.size() > kMaxFileName || name.find('\0') != absl::string_view::npos) {
    return absl::InvalidArgumentError(absl::StrCat("file name '", absl::CHexEscape(name.substr(0, 80)),
                                                   "' is not valid; expected a relative path of at most ",
                                                   kMaxFileName, " bytes"));
  }
  if (!Sha256::IsDigest(file.sha256)) {
    return absl::InvalidArgumentError(absl::StrCat("file '", absl::CHexEscape(name), "': '",
                                                   absl::CHexEscape(file.sha256.substr(0, 80)),
                                                   "' is no sha-256 digest (64 lower-case hexadecimal digits)"));
  }
  return absl::OkStatus();
}

}  // namespace

void FileUpload::Add(UploadedFile file) {
  stored_.push_back(store_->Find(file.sha256));
  files_.push_back(std::move(file));
}

absl::Status FileUpload::Announce(std::vector<UploadedFile> files) {
  if (files.size() + files_.size() > kMaxFiles) {
    return absl::InvalidArgumentError(absl::StrCat(files.size(), " files; at most ", kMaxFiles, " are accepted"));
  }
  for (UploadedFile& file : files) {
    RETURN_IF_ERROR(CheckFile(file));
    Add(std::move(file));
  }
  return absl::OkStatus();
}

std::vector<std::string> FileUpload::Missing() const {
  std::vector<std::string> missing;
  for (size_t i = 0; i < files_.size(); ++i) {
    const bool listed = std::find(missing.begin(), missing.end(), files_[i].sha256) != missing.end();
    if (stored_[i] == nullptr && !listed) missing.push_back(files_[i].sha256);
  }
  return missing;
}

absl::Status FileUpload::EndCurrent() {
  if (current_ == nullptr) return absl::OkStatus();
  ASSIGN_OR_RETURN(std::shared_ptr<const StoredFile> stored, current_->Commit());
  current_ = nullptr;
  for (size_t i = 0; i < files_.size(); ++i) {
    if (files_[i].sha256 == stored->digest) stored_[i] = stored;
  }
  return absl::OkStatus();
}

absl::Status FileUpload::Begin(const UploadedFile& file) {
  RETURN_IF_ERROR(CheckFile(file));
  RETURN_IF_ERROR(EndCurrent());
  const bool known = std::any_of(files_.begin(), files_.end(),
                                 [&](const UploadedFile& other) { return other.name == file.name; });
  if (!known) {
    if (files_.size() >= kMaxFiles) {
      return absl::InvalidArgumentError(absl::StrCat("too many files; at most ", kMaxFiles, " are accepted"));
    }
    Add(file);
  }
  ASSIGN_OR_RETURN(current_, store_->NewWriter(file.sha256, file.size));
  return absl::OkStatus();
}

absl::Status FileUpload::Append(absl::string_view bytes) {
  if (current_ == nullptr) return absl::InvalidArgumentError("a chunk came before the header of its file");
  bytes_received_ += bytes.size();
  return current_->Append(bytes);
}

absl::Status FileUpload::Finish() {
  RETURN_IF_ERROR(EndCurrent());
  if (files_.empty()) return absl::InvalidArgumentError("no files were sent");
  for (size_t i = 0; i < files_.size(); ++i) {
    if (stored_[i] == nullptr) {
      return absl::InvalidArgumentError(
          absl::StrCat("file '", absl::CHexEscape(files_[i].name), "' (", files_[i].sha256, ") was not sent"));
    }
  }
  return absl::OkStatus();
}

absl::Status FileUpload::LayOut(const std::string& folder) const {
  for (size_t i = 0; i < files_.size(); ++i) {
    ASSIGN_OR_RETURN(std::string path, ResolveInside(folder, files_[i].name));
    std::error_code error;
    std::filesystem::create_directories(std::filesystem::path(path).parent_path(), error);
    if (!error) std::filesystem::create_hard_link(stored_[i]->path, path, error);
    if (error == std::errc::file_exists || error == std::errc::not_a_directory) {
      return absl::InvalidArgumentError(
          absl::StrCat("file '", absl::CHexEscape(files_[i].name), "' has the name of another file"));
    }
    if (error) return absl::ErrnoToStatus(error.value(), absl::StrCat("lay out ", path));
  }
  return absl::OkStatus();
}

}  // namespace omserve
