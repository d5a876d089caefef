// What atc does once its options are understood. Errors are as client/cann/errors.h describes them.
#ifndef OMSERVE_CLIENT_ATC_COMMANDS_H_
#define OMSERVE_CLIENT_ATC_COMMANDS_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/atc/options.h"

namespace omserve::atc {

// --mode=0. Builds on the coordinator at OMSERVE_ADDRESS, or in this process. A distributed build gives an OM for the
// cluster (format: docs/om_format.md), with parts beside it where they are larger than 2 GiB; any other build the
// ordinary OM of the whole model. Returns the path of the OM.
absl::StatusOr<std::string> Build(const Options& options);

// --mode=1: the graph of an OM, AIR or ONNX file as JSON, in protobuf's form with the names of the fields as they are
// in the proto file. Weights, and the fields that GE's converter leaves out, are not in it. An OM for a cluster gives its
// root graph, and the graphs of its submodels under "submodel".
absl::Status ToJson(const Options& options);

// --mode=6, and --display_model_info=1 for the OM `path`: versions and sizes; for a cluster also root graph, submodels,
// placement and digests.
absl::StatusOr<std::string> ShowInfo(const std::string& path);

}  // namespace omserve::atc

#endif  // OMSERVE_CLIENT_ATC_COMMANDS_H_
