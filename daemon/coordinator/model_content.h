// ModelContent: what the coordinator knows of an OM: its description and where its submodels lie.
#ifndef OMSERVE_DAEMON_COORDINATOR_MODEL_CONTENT_H_
#define OMSERVE_DAEMON_COORDINATOR_MODEL_CONTENT_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "core/om/model.h"
#include "core/om/om_file.h"

namespace omserve {

// Immutable once shared. The submodels keep their files mapped.
struct ModelContent {
  ModelInfo info;
  std::string digest;
  std::vector<OmSubmodel> submodels;  // in the order of info.slices
  std::vector<std::string> files;     // relative to the OM's folder, the OM first
};

// Opens the OM at a path: OmFile::Open in the daemon, a fake in tests.
using OpenModelFunction = std::function<absl::StatusOr<std::shared_ptr<const ModelContent>>(const std::string& path)>;

}  // namespace omserve

#endif  // OMSERVE_DAEMON_COORDINATOR_MODEL_CONTENT_H_
