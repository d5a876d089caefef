#include "client/cli/describe.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace omserve::cli {

using nlohmann::ordered_json;

ordered_json ToJson(const client::TensorDesc& desc) {
  return {{"name", desc.name}, {"dtype", desc.dtype}, {"shape", desc.shape}};
}

ordered_json ToJson(const std::vector<client::TensorDesc>& descs) {
  ordered_json list = ordered_json::array();
  for (const client::TensorDesc& desc : descs) list.push_back(ToJson(desc));
  return list;
}

ordered_json ToJson(const client::ModelStatus& model) {
  ordered_json slices = ordered_json::array();
  for (const client::SlicePlacement& slice : model.slices) {
    slices.push_back({{"slice", slice.slice},
                      {"device", slice.device},
                      {"worker", slice.worker},
                      {"worker_device", slice.worker_device},
                      {"weight_bytes", slice.weight_bytes},
                      {"arena_bytes", slice.arena_bytes},
                      {"replica", slice.replica}});
  }
  return {{"name", model.name},
          {"digest", model.digest},
          {"state", client::ToString(model.state)},
          {"cause", model.cause},
          {"epoch", model.epoch},
          {"inputs", ToJson(model.inputs)},
          {"outputs", ToJson(model.outputs)},
          {"slices", slices},
          {"plan", model.plan},
          {"runs", model.runs},
          {"bytes_pushed", model.bytes_pushed}};
}

ordered_json ToJson(const client::ClusterStatus& cluster) {
  ordered_json workers = ordered_json::array();
  for (const client::WorkerStatus& worker : cluster.workers) {
    ordered_json devices = ordered_json::array();
    for (const client::DeviceStatus& device : worker.devices) {
      devices.push_back({{"ordinal", device.ordinal},
                         {"logical_id", device.logical_id},
                         {"kind", device.kind},
                         {"memory_bytes", device.memory_bytes},
                         {"memory_in_use", device.memory_in_use},
                         {"threads", device.threads}});
    }
    workers.push_back({{"name", worker.name},
                       {"incarnation", worker.incarnation},
                       {"address", worker.address},
                       {"version", worker.version},
                       {"alive", worker.alive},
                       {"lease_age_seconds", worker.lease_age_seconds},
                       {"lost_cause", worker.lost_cause},
                       {"devices", devices}});
  }
  return {{"coordinator_version", cluster.coordinator_version}, {"workers", workers}};
}

std::string ToText(const std::vector<client::TensorDesc>& descs) {
  return absl::StrJoin(descs, ", ", [](std::string* out, const client::TensorDesc& desc) {
    absl::StrAppend(out, desc.name, " ", client::ToString(desc));
  });
}

Table SliceTable(const std::vector<client::SlicePlacement>& slices) {
  Table table({"SLICE", "REPLICA", "DEVICE", "WORKER", "ORDINAL", "WEIGHTS", "ARENA"});
  for (const client::SlicePlacement& slice : slices) {
    table.AddRow({slice.slice, absl::StrCat(slice.replica), slice.device, slice.worker,
                  absl::StrCat(slice.worker_device), BytesText(slice.weight_bytes),
                  BytesText(slice.arena_bytes)});
  }
  return table;
}

}  // namespace omserve::cli
