// load, unload, models, cluster: what is on the service.
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/cli/commands.h"
#include "client/cli/describe.h"
#include "client/cli/text.h"
#include "core/base/status.h"

namespace omserve::cli {

using nlohmann::ordered_json;

absl::StatusOr<int> RunLoad(Session& session, const LoadArguments& arguments) {
  ASSIGN_OR_RETURN(client::Client* const client, session.Connect());
  client::LoadOptions options;
  options.name = arguments.name;
  ASSIGN_OR_RETURN(const client::LoadResult result,
                   client->Load(arguments.om, session.Bounded(options), session.progress()));
  if (session.json()) {
    session.PrintJson({{"model", ToJson(result.model)},
                       {"bytes_uploaded", result.bytes_uploaded},
                       {"bytes_pushed", result.bytes_pushed}});
    return 0;
  }
  session.Print(absl::StrCat("loaded ", result.model.name, ": ", client::ToString(result.model.state),
                             ", uploaded ", BytesText(result.bytes_uploaded), ", pushed to workers ",
                             BytesText(result.bytes_pushed), "\n",
                             SliceTable(result.model.slices).ToString(2)));
  return 0;
}

absl::StatusOr<int> RunUnload(Session& session, const std::string& name) {
  ASSIGN_OR_RETURN(client::Client* const client, session.Connect());
  RETURN_IF_ERROR(client->Unload(name, session.Bounded(client::CallOptions())));
  if (session.json()) {
    session.PrintJson({{"unloaded", name}});
  } else {
    session.Print(absl::StrCat("unloaded ", name, "\n"));
  }
  return 0;
}

absl::StatusOr<int> RunModels(Session& session) {
  ASSIGN_OR_RETURN(client::Client* const client, session.Connect());
  ASSIGN_OR_RETURN(const std::vector<client::ModelStatus> models,
                   client->ListModels(session.Bounded(client::CallOptions())));
  if (session.json()) {
    ordered_json list = ordered_json::array();
    for (const client::ModelStatus& model : models) list.push_back(ToJson(model));
    session.PrintJson({{"models", list}});
    return 0;
  }
  if (models.empty()) {
    session.Print("no models are loaded\n");
    return 0;
  }
  Table table({"NAME", "STATE", "SLICES", "RUNS", "DIGEST", "INPUTS", "OUTPUTS"});
  std::string details;
  for (const client::ModelStatus& model : models) {
    table.AddRow({model.name, client::ToString(model.state), absl::StrCat(model.slices.size()),
                  absl::StrCat(model.runs), model.digest.substr(0, 12), ToText(model.inputs),
                  ToText(model.outputs)});
    absl::StrAppend(&details, "\n", model.name, model.cause.empty() ? "" : absl::StrCat(": ", model.cause),
                    "\n", SliceTable(model.slices).ToString(2));
  }
  session.Print(table.ToString() + details);
  return 0;
}

absl::StatusOr<int> RunCluster(Session& session) {
  ASSIGN_OR_RETURN(client::Client* const client, session.Connect());
  ASSIGN_OR_RETURN(const client::ClusterStatus cluster,
                   client->DescribeCluster(session.Bounded(client::CallOptions())));
  if (session.json()) {
    session.PrintJson(ToJson(cluster));
    return 0;
  }
  std::string text = absl::StrCat("coordinator ", cluster.coordinator_version, ", ", cluster.workers.size(),
                                  cluster.workers.size() == 1 ? " worker\n" : " workers\n");
  Table workers({"WORKER", "STATE", "ADDRESS", "VERSION", "LEASE AGE"});
  Table devices({"DEVICE", "WORKER", "ORDINAL", "KIND", "THREADS", "IN USE", "MEMORY"});
  for (const client::WorkerStatus& worker : cluster.workers) {
    workers.AddRow({worker.name, worker.alive ? "alive" : absl::StrCat("lost: ", worker.lost_cause),
                    worker.address, worker.version, absl::StrFormat("%.1f s", worker.lease_age_seconds)});
    for (const client::DeviceStatus& device : worker.devices) {
      devices.AddRow({device.logical_id.empty() ? "-" : device.logical_id, worker.name,
                      absl::StrCat(device.ordinal), device.kind, absl::StrCat(device.threads),
                      BytesText(device.memory_in_use), BytesText(device.memory_bytes)});
    }
  }
  if (!workers.empty()) absl::StrAppend(&text, "\n", workers.ToString());
  if (!devices.empty()) absl::StrAppend(&text, "\n", devices.ToString());
  session.Print(text);
  return 0;
}

}  // namespace omserve::cli
