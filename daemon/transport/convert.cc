#include "daemon/transport/convert.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "core/base/status.h"
#include "daemon/coordinator/placement.h"
#include "daemon/transport/tensor_wire.h"

namespace omserve {
namespace {

v1::ModelState ToProto(DeploymentState state) {
  switch (state) {
    case DeploymentState::kLoading:
    case DeploymentState::kRestarting:
      return v1::MODEL_STATE_LOADING;
    case DeploymentState::kReady:
      return v1::MODEL_STATE_READY;
    case DeploymentState::kUnloading:
      return v1::MODEL_STATE_UNLOADING;
    case DeploymentState::kFailed:
      return v1::MODEL_STATE_FAILED;
  }
  return v1::MODEL_STATE_UNSPECIFIED;
}

v1::DeviceStatus ToProto(const WorkerDevice& device) {
  v1::DeviceStatus status;
  status.set_ordinal(device.ordinal);
  status.set_kind(device.kind);
  status.set_memory_bytes(device.memory_bytes);
  status.set_memory_in_use(device.memory_in_use);
  status.set_threads(device.threads);
  return status;
}

}  // namespace

v1::TensorDesc ToProto(const NamedDesc& desc) {
  v1::TensorDesc proto;
  proto.set_name(desc.name);
  proto.set_dtype(std::string(Name(desc.desc.type)));
  proto.mutable_shape()->Assign(desc.desc.shape.begin(), desc.desc.shape.end());
  return proto;
}

v1::Progress ToProto(const LongCallProgress& progress) {
  v1::Progress proto;
  proto.set_phase(progress.phase);
  proto.set_fraction(progress.fraction);
  proto.set_message(progress.message);
  return proto;
}

v1::FileHeader ToProto(const UploadedFile& file) {
  v1::FileHeader proto;
  proto.set_name(file.name);
  proto.set_size(file.size);
  proto.set_sha256(file.sha256);
  return proto;
}

v1::ModelStatus ToProto(const DeploymentStatus& status) {
  v1::ModelStatus proto;
  proto.set_name(status.name);
  proto.set_digest(status.digest);
  proto.set_state(ToProto(status.state));
  proto.set_cause(status.cause);
  proto.set_epoch(status.epoch);
  for (const NamedDesc& input : status.inputs) *proto.add_inputs() = ToProto(input);
  for (const NamedDesc& output : status.outputs) *proto.add_outputs() = ToProto(output);
  for (const SliceStatus& slice : status.slices) {
    v1::SlicePlacement* placement = proto.add_slices();
    placement->set_slice(slice.slice);
    placement->set_device(slice.device);
    placement->set_worker(slice.worker);
    placement->set_worker_device(slice.worker_device);
    placement->set_weight_bytes(slice.weight_bytes);
    placement->set_arena_bytes(slice.arena_bytes);
    placement->set_replica(slice.replica);
  }
  proto.set_plan(status.plan);
  proto.set_runs(status.runs);
  proto.set_bytes_pushed(status.bytes_pushed);
  return proto;
}

v1::WorkerHello ToProto(const WorkerHello& hello) {
  v1::WorkerHello proto;
  proto.set_name(hello.name);
  proto.set_incarnation(hello.incarnation);
  proto.set_version(hello.version);
  proto.set_address(hello.address);
  for (const WorkerDevice& device : hello.devices) *proto.add_devices() = ToProto(device);
  return proto;
}

v1::EpochId ToProto(const EpochId& id) {
  v1::EpochId proto;
  proto.set_incarnation(id.incarnation);
  proto.set_deployment(id.deployment);
  proto.set_epoch(id.epoch);
  proto.set_replica(id.replica);
  return proto;
}

v1::PrepareRequest ToProto(const PrepareCall& call) {
  v1::PrepareRequest proto;
  *proto.mutable_id() = ToProto(call.id);
  for (const SliceAssignment& slice : call.slices) {
    v1::SliceAssignment* assignment = proto.add_slices();
    assignment->set_rank(slice.rank);
    assignment->set_device(slice.device);
    assignment->set_digest(slice.digest);
    assignment->set_size(slice.size);
  }
  return proto;
}

v1::CompileRequest ToProto(const CompileCall& call) {
  v1::CompileRequest proto;
  *proto.mutable_id() = ToProto(call.id);
  proto.mutable_process_of_rank()->Assign(call.world.process_of.begin(), call.world.process_of.end());
  proto.set_process(call.process);
  for (const CommGroup& group : call.world.groups) {
    v1::CommGroupInfo* info = proto.add_groups();
    info->set_name(group.name);
    info->mutable_ranks()->Assign(group.ranks.begin(), group.ranks.end());
  }
  return proto;
}

v1::CompileResponse ToProto(const CompileReply& reply) {
  v1::CompileResponse proto;
  for (const CompiledSlice& slice : reply.slices) {
    v1::CompiledSlice* compiled = proto.add_slices();
    compiled->set_rank(slice.rank);
    compiled->set_weight_bytes(slice.weight_bytes);
    compiled->set_arena_bytes(slice.arena_bytes);
  }
  for (const auto& [rank, address] : reply.addresses) (*proto.mutable_addresses())[rank] = address;
  return proto;
}

v1::ConnectRequest ToProto(const ConnectCall& call) {
  v1::ConnectRequest proto;
  *proto.mutable_id() = ToProto(call.id);
  for (const auto& [rank, address] : call.addresses) (*proto.mutable_addresses())[rank] = address;
  return proto;
}

v1::ReleaseRequest ToProto(const ReleaseCall& call) {
  v1::ReleaseRequest proto;
  *proto.mutable_id() = ToProto(call.id);
  proto.set_code(static_cast<int>(call.cause.code()));
  proto.set_cause(std::string(call.cause.message()));
  return proto;
}

v1::DescribeClusterResponse ToProto(const std::vector<WorkerView>& workers, const std::string& version) {
  v1::DescribeClusterResponse proto;
  proto.set_coordinator_version(version);
  int node = 0;
  for (const WorkerView& worker : workers) {
    v1::WorkerStatus* status = proto.add_workers();
    status->set_name(worker.hello.name);
    status->set_incarnation(worker.hello.incarnation);
    status->set_address(worker.hello.address);
    status->set_version(worker.hello.version);
    status->set_alive(worker.alive);
    status->set_lease_age_seconds(absl::ToDoubleSeconds(worker.lease_age));
    if (!worker.alive) status->set_lost_cause(std::string(worker.lost_cause.message()));
    const bool places_models = worker.alive && !worker.leaving;
    for (const WorkerDevice& device : worker.hello.devices) {
      v1::DeviceStatus* shown = status->add_devices();
      *shown = ToProto(device);
      if (places_models) shown->set_logical_id(LogicalIdOf(node, device.ordinal).ToString());
    }
    if (places_models) ++node;
  }
  return proto;
}

UploadedFile FromProto(const v1::FileHeader& header) { return {header.name(), header.size(), header.sha256()}; }

BuildCall FromProto(const v1::BuildOptions& options) {
  return {.model_name = options.model_name(),
          .model_file = options.model_file(),
          .cluster_config = options.cluster_config(),
          .parallel_config = options.parallel_config(),
          .input_shapes = options.input_shapes(),
          .relation_config = options.relation_config(),
          .cost_config = options.cost_config()};
}

WorkerHello FromProto(const v1::WorkerHello& hello) {
  WorkerHello result{hello.name(), hello.incarnation(), hello.version(), hello.address(), {}};
  for (const v1::DeviceStatus& device : hello.devices()) {
    result.devices.push_back({.ordinal = static_cast<int>(result.devices.size()),
                              .kind = device.kind(),
                              .memory_bytes = device.memory_bytes(),
                              .memory_in_use = device.memory_in_use(),
                              .threads = device.threads()});
  }
  return result;
}

EpochId FromProto(const v1::EpochId& id) {
  return {id.incarnation(), id.deployment(), id.epoch(), id.replica()};
}

PrepareCall FromProto(const v1::PrepareRequest& request) {
  PrepareCall call{FromProto(request.id()), {}};
  for (const v1::SliceAssignment& slice : request.slices()) {
    call.slices.push_back({slice.rank(), slice.device(), slice.digest(), slice.size()});
  }
  return call;
}

CompileCall FromProto(const v1::CompileRequest& request) {
  CompileCall call{FromProto(request.id()), {}, request.process()};
  call.world.process_of.assign(request.process_of_rank().begin(), request.process_of_rank().end());
  for (const v1::CommGroupInfo& group : request.groups()) {
    call.world.groups.push_back({group.name(), {group.ranks().begin(), group.ranks().end()}});
  }
  return call;
}

CompileReply FromProto(const v1::CompileResponse& response) {
  CompileReply reply;
  for (const v1::CompiledSlice& slice : response.slices()) {
    reply.slices.push_back({slice.rank(), slice.weight_bytes(), slice.arena_bytes()});
  }
  for (const auto& [rank, address] : response.addresses()) reply.addresses[rank] = address;
  return reply;
}

ConnectCall FromProto(const v1::ConnectRequest& request) {
  ConnectCall call{FromProto(request.id()), {}};
  for (const auto& [rank, address] : request.addresses()) call.addresses[rank] = address;
  return call;
}

ReleaseCall FromProto(const v1::ReleaseRequest& request) {
  return {FromProto(request.id()), absl::Status(static_cast<absl::StatusCode>(request.code()), request.cause())};
}

absl::StatusOr<RunCall> TakeRunCall(v1::RunRequest& request) {
  RunCall call;
  call.model = request.model();
  call.request_id = request.request_id();
  for (v1::Tensor& input : *request.mutable_inputs()) {
    ASSIGN_OR_RETURN(Tensor tensor, TakeTensor(input));
    call.inputs.push_back({std::move(*input.mutable_name()), std::move(tensor)});
  }
  call.outputs.assign(request.outputs().begin(), request.outputs().end());
  return call;
}

absl::StatusOr<ExecuteCall> TakeExecuteCall(v1::ExecuteRequest& request) {
  ExecuteCall call{FromProto(request.id()), request.request_id(), {}, {}, request.sequence()};
  for (v1::Tensor& input : *request.mutable_inputs()) {
    ASSIGN_OR_RETURN(Tensor tensor, TakeTensor(input));
    call.inputs.push_back(std::move(tensor));
  }
  for (const v1::ExecuteRequest::SliceInputs& slice : request.slices()) {
    call.slices.push_back({slice.rank(),
                           {slice.inputs().begin(), slice.inputs().end()},
                           {slice.outputs().begin(), slice.outputs().end()}});
  }
  return call;
}

absl::StatusOr<ExecuteReply> TakeExecuteReply(v1::ExecuteResponse& response) {
  ExecuteReply reply;
  for (v1::ExecuteResponse::SliceOutputs& slice : *response.mutable_slices()) {
    SliceOutputs& outputs = reply.emplace_back();
    outputs.rank = slice.rank();
    for (v1::Tensor& output : *slice.mutable_outputs()) {
      ASSIGN_OR_RETURN(Tensor tensor, TakeTensor(output));
      outputs.outputs.push_back(std::move(tensor));
    }
  }
  return reply;
}

grpc::ByteBuffer EncodeRunResponse(const std::string& request_id, const std::vector<NamedTensor>& outputs) {
  v1::RunResponse head;
  head.set_request_id(request_id);
  MessageWriter writer;
  writer.AppendFields(head);
  for (const NamedTensor& output : outputs) {
    writer.AppendTensor(v1::RunResponse::kOutputsFieldNumber, output.name, output.tensor);
  }
  return writer.Finish();
}

grpc::ByteBuffer EncodeExecuteRequest(const ExecuteCall& call) {
  v1::ExecuteRequest head;
  *head.mutable_id() = ToProto(call.id);
  head.set_request_id(call.request_id);
  head.set_sequence(call.sequence);
  for (const SliceInputs& slice : call.slices) {
    v1::ExecuteRequest::SliceInputs* inputs = head.add_slices();
    inputs->set_rank(slice.rank);
    inputs->mutable_inputs()->Assign(slice.inputs.begin(), slice.inputs.end());
    inputs->mutable_outputs()->Assign(slice.outputs.begin(), slice.outputs.end());
  }
  MessageWriter writer;
  writer.AppendFields(head);
  for (const Tensor& input : call.inputs) {
    writer.AppendTensor(v1::ExecuteRequest::kInputsFieldNumber, /*name=*/"", input);
  }
  return writer.Finish();
}

grpc::ByteBuffer EncodeExecuteResponse(const ExecuteReply& reply) {
  constexpr int kOutputs = v1::ExecuteResponse::SliceOutputs::kOutputsFieldNumber;
  MessageWriter writer;
  for (const SliceOutputs& slice : reply) {
    v1::ExecuteResponse::SliceOutputs head;
    head.set_rank(slice.rank);
    size_t size = head.ByteSizeLong();
    for (const Tensor& output : slice.outputs) size += MessageWriter::TensorFieldSize(kOutputs, "", output);
    writer.AppendLengthPrefix(v1::ExecuteResponse::kSlicesFieldNumber, size);
    writer.AppendFields(head);
    for (const Tensor& output : slice.outputs) writer.AppendTensor(kOutputs, "", output);
  }
  return writer.Finish();
}

grpc::ByteBuffer EncodePushChunk(const Buffer& chunk) {
  MessageWriter writer;
  writer.AppendLengthPrefix(v1::PushRequest::kChunkFieldNumber, chunk.size());
  writer.AppendBuffer(chunk);
  return writer.Finish();
}

}  // namespace omserve
