// OM files: the GE container (256-byte header, partition table, MODEL_DEF, FLOW_MODEL, FLOW_SUBMODEL with
// nested OMs). Format: docs/om_format.md. Writing streams weights from where they are mapped; reading maps
// the file.
#ifndef OMSERVE_CORE_OM_OM_FILE_H_
#define OMSERVE_CORE_OM_OM_FILE_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/base/file.h"
#include "core/graph/graph.h"
#include "core/om/model.h"
#include "core/tensor/buffer.h"

namespace omserve {

struct OmWriteOptions {
  // Nested OMs larger than this go beside the file as <stem>/<slice name>.om (om_data_file_path). Protobuf
  // bounds it by 2 GiB; tests make it small.
  uint64_t max_embedded_bytes = (uint64_t{1} << 31) - (uint64_t{1} << 20);
  // Called with bytes written so far and in all.
  std::function<void(uint64_t, uint64_t)> progress;
};

// Writes `model` as a cluster OM (modeltype 3). Memory use does not grow with the weights.
absl::Status WriteOm(const SlicedModel& model, const std::string& path, const OmWriteOptions& options = {});

// One nested OM inside a cluster OM (or in its own file): what a worker needs to hold a slice.
struct OmSubmodel {
  std::string name;
  std::shared_ptr<const MappedFile> file;  // the file the bytes are in
  uint64_t offset = 0;                     // of the nested OM in `file`
  uint64_t size = 0;
  std::string digest;  // sha-256 of these bytes, as the OM states it
};

// A cluster OM, mapped. Immutable, thread-safe.
class OmFile {
 public:
  // Reads and checks headers, tables, model info and the digest of the frame; weights are not touched.
  // Errors: NOT_FOUND; DATA_LOSS for a damaged file (names the part and offset, or both digests);
  // FAILED_PRECONDITION for an OM that is not made for distributed deployment, or not by this project;
  // UNIMPLEMENTED for a newer format version; PERMISSION_DENIED for a nested OM outside the folder of the OM.
  static absl::StatusOr<std::unique_ptr<OmFile>> Open(const std::string& path);

  const ModelInfo& info() const { return info_; }
  const std::vector<OmSubmodel>& submodels() const { return submodels_; }  // in the order of info().slices
  // sha-256 over the frame (all of the OM but the nested OMs), which holds the digests of the nested OMs:
  // names the model's content. Open has compared it; the weights were not read.
  const std::string& digest() const { return digest_; }
  // Files that make up the model, relative to the folder of the OM; the first is the OM itself.
  const std::vector<std::string>& files() const { return files_; }
  uint64_t total_bytes() const { return total_bytes_; }

  // Compares the frame and every nested OM with its digest: one pass over the bytes, which covers each of
  // them. DATA_LOSS names the part and both digests.
  absl::Status VerifyDigests() const;

 private:
  OmFile() = default;
  friend class OmReader;
  std::shared_ptr<const MappedFile> file_;
  // What the frame digest is over: ranges of the file, and where it states the digest itself.
  std::vector<std::pair<uint64_t, uint64_t>> frame_;
  uint64_t digest_offset_ = 0;
  ModelInfo info_;
  std::vector<OmSubmodel> submodels_;
  std::string digest_;
  std::vector<std::string> files_;
  uint64_t total_bytes_ = 0;
};

// The slice graph in a nested OM; constants are slices of the mapped file. DATA_LOSS or INVALID_ARGUMENT as
// above.
absl::StatusOr<Graph> ReadSliceOm(Buffer nested_om);

}  // namespace omserve

#endif  // OMSERVE_CORE_OM_OM_FILE_H_
