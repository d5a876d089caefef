// Fake OMs: files of a few lines that fake parts (fake_parts.h) can run.
#ifndef OMSERVE_DAEMON_TESTING_FAKE_MODEL_H_
#define OMSERVE_DAEMON_TESTING_FAKE_MODEL_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "daemon/coordinator/model_content.h"

namespace omserve {

struct FakeModelOptions {
  std::string name = "m";
  int slices = 2;          // one per node of the cluster; more than one: a group "tp" over all
  int replicas = 1;        // of each slice, on further nodes
  size_t slice_bytes = 100;
  int stages = 1;
};

// The bytes of a fake OM. The model takes "x" and "w", both float32[4]; slice r gives elements [4r, 4r + 4) of "y",
// float32[4 * slices], and all of "z", float32[4].
std::string FakeOm(const FakeModelOptions& options);

// As OmFile::Open: DATA_LOSS when the file is no fake OM.
absl::StatusOr<std::shared_ptr<const ModelContent>> OpenFakeModel(const std::string& path);

// Writes a fake OM into `folder` and opens it.
std::shared_ptr<const ModelContent> MakeFakeModel(const std::string& folder, const FakeModelOptions& options = {});

}  // namespace omserve

#endif  // OMSERVE_DAEMON_TESTING_FAKE_MODEL_H_
