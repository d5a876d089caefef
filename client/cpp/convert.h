// Between the wire messages and the client's own types.
#ifndef OMSERVE_CLIENT_CPP_CONVERT_H_
#define OMSERVE_CLIENT_CPP_CONVERT_H_

#include "absl/status/statusor.h"
#include "omserve/client.h"
#include "omserve/v1/build.pb.h"
#include "omserve/v1/cluster.pb.h"
#include "omserve/v1/common.pb.h"
#include "omserve/v1/model.pb.h"
#include "omserve/v1/run.pb.h"

namespace omserve::client {

Progress FromProto(const v1::Progress& proto);
ModelStatus FromProto(const v1::ModelStatus& proto);
LoadResult FromProto(const v1::LoadResult& proto);
ClusterStatus FromProto(const v1::DescribeClusterResponse& proto);
// Without the files.
BuildResult FromProto(const v1::BuildResult& proto);

// Takes the bytes out of `proto`. INTERNAL when an output's bytes do not fit its own description.
absl::StatusOr<RunResult> TakeRunResult(v1::RunResponse& proto);

}  // namespace omserve::client

#endif  // OMSERVE_CLIENT_CPP_CONVERT_H_
