#include "client/cpp/convert.h"

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "core/base/status.h"
#include "core/tensor/data_type.h"
#include "core/tensor/shape.h"
#include "google/protobuf/repeated_ptr_field.h"

namespace omserve::client {
namespace {

TensorDesc FromProto(const v1::TensorDesc& proto) {
  return {proto.name(), proto.dtype(), {proto.shape().begin(), proto.shape().end()}};
}

std::vector<TensorDesc> FromProto(const google::protobuf::RepeatedPtrField<v1::TensorDesc>& protos) {
  std::vector<TensorDesc> descs;
  for (const v1::TensorDesc& proto : protos) descs.push_back(FromProto(proto));
  return descs;
}

ModelState FromProto(v1::ModelState state) {
  switch (state) {
    case v1::MODEL_STATE_LOADING:
      return ModelState::kLoading;
    case v1::MODEL_STATE_READY:
      return ModelState::kReady;
    case v1::MODEL_STATE_UNLOADING:
      return ModelState::kUnloading;
    case v1::MODEL_STATE_FAILED:
      return ModelState::kFailed;
    default:
      return ModelState::kUnspecified;
  }
}

SlicePlacement FromProto(const v1::SlicePlacement& proto) {
  return {.slice = proto.slice(),
          .device = proto.device(),
          .worker = proto.worker(),
          .worker_device = proto.worker_device(),
          .weight_bytes = proto.weight_bytes(),
          .arena_bytes = proto.arena_bytes(),
          .replica = proto.replica()};
}

DeviceStatus FromProto(const v1::DeviceStatus& proto) {
  return {.ordinal = proto.ordinal(),
          .kind = proto.kind(),
          .memory_bytes = proto.memory_bytes(),
          .memory_in_use = proto.memory_in_use(),
          .threads = proto.threads(),
          .logical_id = proto.logical_id()};
}

// What a run returns is checked here, so that Tensor::As never reads past the end.
absl::Status CheckSize(const v1::Tensor& tensor) {
  ASSIGN_OR_RETURN(const DataType type, DataTypeFromName(tensor.dtype()));
  const omserve::TensorDesc desc{type, {tensor.shape().begin(), tensor.shape().end()}};
  ASSIGN_OR_RETURN(const size_t expected, CheckedByteSize(desc));
  if (expected != tensor.data().size()) {
    return absl::InternalError(
        absl::StrCat(ToString(desc), " takes ", expected, " bytes, found ", tensor.data().size()));
  }
  return absl::OkStatus();
}

}  // namespace

const char* ToString(ModelState state) {
  switch (state) {
    case ModelState::kUnspecified:
      return "UNSPECIFIED";
    case ModelState::kLoading:
      return "LOADING";
    case ModelState::kReady:
      return "READY";
    case ModelState::kUnloading:
      return "UNLOADING";
    case ModelState::kFailed:
      return "FAILED";
  }
  return "UNSPECIFIED";
}

Progress FromProto(const v1::Progress& proto) { return {proto.phase(), proto.fraction(), proto.message()}; }

ModelStatus FromProto(const v1::ModelStatus& proto) {
  ModelStatus model{.name = proto.name(),
                    .digest = proto.digest(),
                    .state = FromProto(proto.state()),
                    .cause = proto.cause(),
                    .epoch = proto.epoch(),
                    .inputs = FromProto(proto.inputs()),
                    .outputs = FromProto(proto.outputs()),
                    .plan = proto.plan(),
                    .runs = proto.runs(),
                    .bytes_pushed = proto.bytes_pushed()};
  for (const v1::SlicePlacement& slice : proto.slices()) model.slices.push_back(FromProto(slice));
  return model;
}

LoadResult FromProto(const v1::LoadResult& proto) {
  return {FromProto(proto.model()), proto.bytes_uploaded(), proto.bytes_pushed()};
}

ClusterStatus FromProto(const v1::DescribeClusterResponse& proto) {
  ClusterStatus cluster{.coordinator_version = proto.coordinator_version()};
  for (const v1::WorkerStatus& worker : proto.workers()) {
    WorkerStatus& status =
        cluster.workers.emplace_back(WorkerStatus{.name = worker.name(),
                                                  .incarnation = worker.incarnation(),
                                                  .address = worker.address(),
                                                  .version = worker.version(),
                                                  .alive = worker.alive(),
                                                  .lease_age_seconds = worker.lease_age_seconds(),
                                                  .lost_cause = worker.lost_cause()});
    for (const v1::DeviceStatus& device : worker.devices()) status.devices.push_back(FromProto(device));
  }
  return cluster;
}

BuildResult FromProto(const v1::BuildResult& proto) {
  return {.model_name = proto.model_name(),
          .digest = proto.digest(),
          .plan = proto.plan(),
          .inputs = FromProto(proto.inputs()),
          .outputs = FromProto(proto.outputs())};
}

absl::StatusOr<RunResult> TakeRunResult(v1::RunResponse& proto) {
  RunResult result{.request_id = proto.request_id()};
  for (v1::Tensor& tensor : *proto.mutable_outputs()) {
    if (absl::Status status = CheckSize(tensor); !status.ok()) {
      return absl::InternalError(
          absl::StrCat("output '", tensor.name(), "' of the answer: ", status.message()));
    }
    TensorDesc desc{tensor.name(), tensor.dtype(), {tensor.shape().begin(), tensor.shape().end()}};
    result.outputs.push_back(Tensor::Owned(std::move(desc), std::move(*tensor.mutable_data())));
  }
  return result;
}

}  // namespace omserve::client
