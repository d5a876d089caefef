// Files on their way to and from the service: headers with digests, chunks, and files that appear only when
// whole.
#ifndef OMSERVE_CLIENT_CPP_TRANSFER_H_
#define OMSERVE_CLIENT_CPP_TRANSFER_H_

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/base/file.h"
#include "core/base/sha256.h"
#include "grpcpp/support/sync_stream.h"
#include "omserve/client.h"
#include "omserve/v1/common.pb.h"
#include "protos/support/grpc_status.h"

namespace omserve::client {

// The service takes at most 4 MiB; a message of one MiB also passes a peer with gRPC's default limit.
inline constexpr size_t kChunkBytes = size_t{1} << 20;

// Counts bytes of one phase and reports whenever another hundredth is done. `callback` may be null.
class ProgressMeter {
 public:
  ProgressMeter(std::string phase, uint64_t total, const ProgressCallback& callback)
      : phase_(std::move(phase)), total_(total), callback_(callback) {}
  void Add(uint64_t bytes, const std::string& message);

 private:
  const std::string phase_;
  const uint64_t total_;
  const ProgressCallback& callback_;
  uint64_t done_ = 0;
  int reported_percent_ = -1;
};

struct OutgoingFile {
  v1::FileHeader header;
  std::shared_ptr<const MappedFile> file;
};

// Maps `folder`/`name` for each name, which must lie in the folder, and computes the digests (phase
// "digest").
absl::StatusOr<std::vector<OutgoingFile>> OpenOutgoingFiles(const std::string& folder,
                                                            const std::vector<std::string>& names,
                                                            const ProgressCallback& progress);

// Writes the header and the chunks of one file. False when the call has ended: its status says why.
template <typename Request, typename Response>
bool SendFile(const OutgoingFile& file, grpc::ClientReaderWriter<Request, Response>& stream,
              ProgressMeter& meter) {
  Request request;
  *request.mutable_file() = file.header;
  if (!stream.Write(request)) return false;
  for (size_t offset = 0; offset < file.file->size(); offset += kChunkBytes) {
    const size_t size = std::min(kChunkBytes, file.file->size() - offset);
    request.set_chunk(file.file->data() + offset, size);
    if (!stream.Write(request)) return false;
    meter.Add(size, file.header.name());
  }
  return true;
}

// The status of a call that is over or was cancelled; discards what the service still sent.
template <typename Request, typename Response>
absl::Status FinishCall(grpc::ClientReaderWriter<Request, Response>& stream) {
  Response rest;
  while (stream.Read(&rest)) {
  }
  return FromGrpc(stream.Finish());
}

// Receives the files of an OM. The first goes to `om_path`, the others to where their names say beside it.
// Nothing appears under its final name before Commit, and what was written disappears when there is no
// Commit.
class IncomingFiles {
 public:
  explicit IncomingFiles(std::string om_path) : om_path_(std::move(om_path)) {}

  // Ends the file before, if any, and begins the next. DATA_LOSS when the one before is incomplete or has
  // another digest than announced; PERMISSION_DENIED when the name leaves the folder.
  absl::Status Begin(const v1::FileHeader& header);
  absl::Status Append(const std::string& chunk);
  // Ends the last file and gives all their names, the OM last: whoever sees it can open the rest.
  absl::Status Commit();

  const std::vector<std::string>& paths() const { return paths_; }
  uint64_t bytes() const { return bytes_; }

 private:
  absl::Status EndFile();

  const std::string om_path_;
  v1::FileHeader header_;  // of the file being received
  std::unique_ptr<Sha256> digest_;
  std::vector<std::unique_ptr<FileWriter>> writers_;
  std::vector<std::string> paths_;
  uint64_t bytes_ = 0;
};

}  // namespace omserve::client

#endif  // OMSERVE_CLIENT_CPP_TRANSFER_H_
