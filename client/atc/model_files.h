// The graphs in an OM as they are stored, for people and tools to look at.
#ifndef OMSERVE_CLIENT_ATC_MODEL_FILES_H_
#define OMSERVE_CLIENT_ATC_MODEL_FILES_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "core/base/file.h"
#include "core/om/container.h"
#include "core/om/om_file.h"
#include "ge/ge_ir.pb.h"

namespace omserve::atc {

// An OM of either kind.
struct OmGraphs {
  std::shared_ptr<const MappedFile> file;
  OmContainer container;
  ge::proto::ModelDef model;                     // the root graph, or the only one
  std::unique_ptr<OmFile> cluster;               // null: an ordinary OM
  std::vector<ge::proto::ModelDef> submodels;    // of a cluster OM, in order
};

// DATA_LOSS for a damaged file; NOT_FOUND E10410.
absl::StatusOr<OmGraphs> ReadOmGraphs(const std::string& path);

}  // namespace omserve::atc

#endif  // OMSERVE_CLIENT_ATC_MODEL_FILES_H_
