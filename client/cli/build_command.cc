#include "absl/strings/str_cat.h"
#include "client/cli/commands.h"
#include "client/cli/describe.h"
#include "client/cli/partition.h"
#include "client/cli/text.h"
#include "core/base/file.h"
#include "core/base/status.h"
#include "core/om/om_file.h"
#include "core/partition/relation.h"

namespace omserve::cli {
namespace {

// The plan travels in the OM.
absl::Status SavePlan(const std::string& om_path, const std::string& plan_path) {
  ASSIGN_OR_RETURN(const auto om, OmFile::Open(om_path));
  const auto plan = om->info().build.find("plan_file");
  if (plan == om->info().build.end()) {
    return absl::FailedPreconditionError("the model was not cut by a policy, so there is no plan to save");
  }
  return WriteFileAtomically(plan_path, plan->second);
}

}  // namespace

absl::StatusOr<int> RunBuild(Session& session, const BuildArguments& arguments) {
  ASSIGN_OR_RETURN(const PartitionTexts texts, ReadPartition(arguments.partition));
  std::string relation;
  if (!arguments.relation.empty()) {
    ASSIGN_OR_RETURN(relation, ReadFile(arguments.relation));
    // Its errors are located here, under the name of the file, before anything travels.
    RETURN_IF_ERROR(ModelRelation::FromJson(relation, arguments.relation).status());
  }
  // A build needs no devices of its own: one is enough to start a server with.
  ASSIGN_OR_RETURN(client::Client* const client, session.ConnectOrStart(1));
  client::BuildOptions options;
  options.model_name = arguments.name;
  options.cluster_config = texts.cluster_config;
  options.parallel_config = texts.parallel_config;
  options.cost_config = texts.cost_config;
  options.input_shapes = arguments.input_shape;
  options.relation_config = relation;
  ASSIGN_OR_RETURN(
      const client::BuildResult result,
      client->Build(relation.empty() ? arguments.model : arguments.slice_folder, arguments.output, session.Bounded(options), session.progress()));

  if (!arguments.save_plan.empty()) RETURN_IF_ERROR_WITH(SavePlan(arguments.output, arguments.save_plan), "--save-plan");

  if (session.json()) {
    session.PrintJson({{"model", result.model_name},
                       {"digest", result.digest},
                       {"files", result.files},
                       {"bytes", result.bytes},
                       {"inputs", ToJson(result.inputs)},
                       {"outputs", ToJson(result.outputs)},
                       {"plan", result.plan}});
    return 0;
  }
  std::string text = absl::StrCat("built ", result.model_name, " into ", result.files.front(), " (",
                                  BytesText(result.bytes), ")\n");
  absl::StrAppend(&text, "  inputs:  ", ToText(result.inputs), "\n  outputs: ", ToText(result.outputs), "\n");
  if (!result.plan.empty()) absl::StrAppend(&text, "  plan:\n", Indented(result.plan, 4));
  session.Print(text);
  return 0;
}

}  // namespace omserve::cli
