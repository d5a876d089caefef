#include "client/cpp/transfer.h"

#include <filesystem>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "core/base/status.h"

namespace omserve::client {

void ProgressMeter::Add(uint64_t bytes, const std::string& message) {
  done_ += bytes;
  if (!callback_) return;
  const double fraction = total_ == 0 ? 1.0 : static_cast<double>(done_) / static_cast<double>(total_);
  const int percent = static_cast<int>(fraction * 100);
  if (percent == reported_percent_) return;
  reported_percent_ = percent;
  callback_({phase_, fraction, message});
}

absl::StatusOr<std::vector<OutgoingFile>> OpenOutgoingFiles(const std::string& folder,
                                                            const std::vector<std::string>& names,
                                                            const ProgressCallback& progress) {
  std::vector<OutgoingFile> files;
  uint64_t total = 0;
  for (const std::string& name : names) {
    ASSIGN_OR_RETURN(const std::string path, ResolveInside(folder, name));
    OutgoingFile& file = files.emplace_back();
    ASSIGN_OR_RETURN(file.file, MappedFile::Open(path));
    file.header.set_name(name);
    file.header.set_size(file.file->size());
    total += file.file->size();
  }
  ProgressMeter meter("digest", total, progress);
  for (OutgoingFile& file : files) {
    Sha256 digest;
    for (size_t offset = 0; offset < file.file->size(); offset += kChunkBytes) {
      const size_t size = std::min(kChunkBytes, file.file->size() - offset);
      digest.Update(file.file->data() + offset, size);
      meter.Add(size, file.header.name());
    }
    file.header.set_sha256(digest.Finish());
  }
  return files;
}

absl::Status IncomingFiles::Begin(const v1::FileHeader& header) {
  RETURN_IF_ERROR(EndFile());
  std::string path = om_path_;
  if (!paths_.empty()) {
    const std::filesystem::path folder = std::filesystem::path(om_path_).parent_path();
    ASSIGN_OR_RETURN(path, ResolveInside(folder.empty() ? "." : folder.string(), header.name()));
    std::error_code error;
    std::filesystem::create_directories(std::filesystem::path(path).parent_path(), error);
    if (error) {
      return absl::UnavailableError(
          absl::StrCat("cannot create the folder of ", path, ": ", error.message()));
    }
  }
  ASSIGN_OR_RETURN(std::unique_ptr<FileWriter> writer, FileWriter::Create(path));
  writers_.push_back(std::move(writer));
  paths_.push_back(std::move(path));
  header_ = header;
  digest_ = std::make_unique<Sha256>();
  return absl::OkStatus();
}

absl::Status IncomingFiles::Append(const std::string& chunk) {
  if (writers_.empty()) return absl::InternalError("the service sent a chunk before the header of its file");
  if (chunk.size() > header_.size() - writers_.back()->position()) {
    return absl::DataLossError(absl::StrCat("file '", header_.name(), "': more than the announced ",
                                            header_.size(), " bytes arrived"));
  }
  digest_->Update(chunk);
  bytes_ += chunk.size();
  return writers_.back()->Append(chunk);
}

absl::Status IncomingFiles::EndFile() {
  if (writers_.empty()) return absl::OkStatus();
  const uint64_t received = writers_.back()->position();
  if (received != header_.size()) {
    return absl::DataLossError(
        absl::StrCat("file '", header_.name(), "': ", received, " of ", header_.size(), " bytes arrived"));
  }
  if (const std::string found = digest_->Finish(); found != header_.sha256()) {
    return absl::DataLossError(absl::StrCat("file '", header_.name(), "': sha-256 is ", found,
                                            ", announced was ", header_.sha256()));
  }
  return absl::OkStatus();
}

absl::Status IncomingFiles::Commit() {
  if (writers_.empty()) return absl::InternalError("the service sent no file");
  RETURN_IF_ERROR(EndFile());
  for (size_t i = writers_.size(); i-- > 0;) RETURN_IF_ERROR(writers_[i]->Commit());
  return absl::OkStatus();
}

}  // namespace omserve::client
