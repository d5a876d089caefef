#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "client/cli/commands.h"
#include "client/cli/compare.h"
#include "client/cli/onnx_data.h"
#include "client/cli/partition.h"
#include "core/base/temporary_folder.h"
#include "client/cli/tensors.h"
#include "client/cli/text.h"
#include "core/base/status.h"

namespace omserve::cli {
namespace {

using nlohmann::ordered_json;

struct OutputReport {
  std::string name;
  TensorDesc expected;
  Comparison comparison;
};

struct SetReport {
  std::string name;
  absl::Status status;  // when the set could not be run
  std::vector<OutputReport> outputs;

  bool passed() const {
    return status.ok() && std::all_of(outputs.begin(), outputs.end(),
                                      [](const OutputReport& output) { return output.comparison.passed(); });
  }
};

// A model loaded under a name of its own, gone with this object.
class LoadedModel {
 public:
  LoadedModel(Session& session, client::Client* client, std::string name)
      : session_(session), client_(client), name_(std::move(name)) {}
  ~LoadedModel() { client_->Unload(name_, session_.ForCleanup()).IgnoreError(); }
  LoadedModel(const LoadedModel&) = delete;
  LoadedModel& operator=(const LoadedModel&) = delete;

 private:
  Session& session_;
  client::Client* const client_;
  const std::string name_;
};

class Verifier {
 public:
  Verifier(Session& session, client::Client* client, const VerifyArguments& arguments,
           const PartitionTexts& texts, std::string scratch_om)
      : session_(session),
        client_(client),
        arguments_(arguments),
        texts_(texts),
        model_path_((std::filesystem::path(arguments.folder) / "model.onnx").string()),
        scratch_om_(std::move(scratch_om)) {}

  // Builds and loads the model for the shapes of `sets`, which are the same, and runs each.
  std::vector<SetReport> VerifySets(const std::vector<std::string>& input_names,
                                    const std::vector<const DataSet*>& sets) {
    std::vector<SetReport> reports;
    for (const DataSet* set : sets) reports.push_back({.name = set->name});
    if (absl::Status status = VerifyInto(input_names, sets, reports); !status.ok()) {
      for (SetReport& report : reports) report.status = status;
    }
    return reports;
  }

 private:
  absl::Status VerifyInto(const std::vector<std::string>& input_names,
                          const std::vector<const DataSet*>& sets, std::vector<SetReport>& reports) {
    client::BuildOptions build;
    build.model_name = absl::StrCat("verify-", getpid());
    build.cluster_config = texts_.cluster_config;
    build.parallel_config = texts_.parallel_config;
    build.cost_config = texts_.cost_config;
    build.input_shapes = ShapesText(input_names, sets.front()->inputs);
    RETURN_IF_ERROR_WITH(
        client_->Build(model_path_, scratch_om_, session_.Bounded(build), session_.progress()).status(),
        "build");
    client::LoadOptions load;
    load.name = build.model_name;
    RETURN_IF_ERROR_WITH(client_->Load(scratch_om_, session_.Bounded(load), session_.progress()).status(),
                         "load");
    const LoadedModel loaded(session_, client_, load.name);
    for (size_t i = 0; i < sets.size(); ++i) {
      reports[i].status = RunSet(load.name, input_names, *sets[i], reports[i].outputs);
    }
    return absl::OkStatus();
  }

  absl::Status RunSet(const std::string& model, const std::vector<std::string>& input_names,
                      const DataSet& set, std::vector<OutputReport>& reports) {
    std::vector<client::Tensor> inputs;
    for (size_t i = 0; i < set.inputs.size(); ++i) inputs.push_back(ToClient(input_names[i], set.inputs[i]));
    ASSIGN_OR_RETURN_WITH(const client::RunResult result,
                          client_->Run(model, inputs, session_.Bounded(client::RunOptions())), "run");
    if (result.outputs.size() < set.outputs.size()) {
      return absl::FailedPreconditionError(absl::StrCat("the data set has ", set.outputs.size(),
                                                        " outputs, the model ", result.outputs.size()));
    }
    for (size_t i = 0; i < set.outputs.size(); ++i) {
      ASSIGN_OR_RETURN(const Tensor actual, FromClient(result.outputs[i]));
      OutputReport& report =
          reports.emplace_back(OutputReport{result.outputs[i].name(), set.outputs[i].desc(), {}});
      ASSIGN_OR_RETURN(report.comparison, Compare(set.outputs[i], actual, arguments_.tolerances));
    }
    return absl::OkStatus();
  }

  // "input_ids:1,128;mask:1,128"; scalars need no shape.
  static std::string ShapesText(const std::vector<std::string>& names, const std::vector<Tensor>& inputs) {
    std::vector<std::string> texts;
    for (size_t i = 0; i < inputs.size(); ++i) {
      if (inputs[i].shape().empty()) continue;
      texts.push_back(absl::StrCat(names[i], ":", absl::StrJoin(inputs[i].shape(), ",")));
    }
    return absl::StrJoin(texts, ";");
  }

  Session& session_;
  client::Client* const client_;
  const VerifyArguments& arguments_;
  const PartitionTexts& texts_;
  const std::string model_path_;
  const std::string scratch_om_;
};

// JSON has no infinities.
ordered_json NumberJson(double value) {
  if (std::isfinite(value)) return value;
  return std::isnan(value) ? "nan" : value > 0 ? "inf" : "-inf";
}

ordered_json ToJson(const OutputReport& report) {
  const Comparison& c = report.comparison;
  ordered_json entry = {{"name", report.name},
                        {"dtype", Name(report.expected.type)},
                        {"shape", report.expected.shape},
                        {"passed", c.passed()},
                        {"worst_absolute", NumberJson(c.worst_absolute)},
                        {"worst_relative", NumberJson(c.worst_relative)},
                        {"differing", c.differing},
                        {"elements", c.elements}};
  if (!c.mismatch.empty()) entry["mismatch"] = c.mismatch;
  if (!c.worst_index.empty() || c.worst_absolute > 0) {
    entry["worst"] = {{"index", c.worst_index},
                      {"expected", NumberJson(c.expected_there)},
                      {"actual", NumberJson(c.actual_there)}};
  }
  return entry;
}

std::string DetailText(const Comparison& c) {
  if (!c.mismatch.empty()) return c.mismatch;
  if (c.worst_absolute == 0) return "exact";
  std::string text = absl::StrFormat("at [%s]: expected %.7g, found %.7g", absl::StrJoin(c.worst_index, ","),
                                     c.expected_there, c.actual_there);
  if (c.differing > 0) absl::StrAppend(&text, "; ", c.differing, " of ", c.elements, " elements differ");
  return text;
}

void PrintReports(Session& session, const std::string& folder, const std::vector<SetReport>& reports) {
  const bool passed =
      std::all_of(reports.begin(), reports.end(), [](const SetReport& report) { return report.passed(); });
  if (session.json()) {
    ordered_json sets = ordered_json::array();
    for (const SetReport& report : reports) {
      ordered_json outputs = ordered_json::array();
      for (const OutputReport& output : report.outputs) outputs.push_back(ToJson(output));
      ordered_json set = {{"name", report.name}, {"passed", report.passed()}, {"outputs", outputs}};
      if (!report.status.ok()) {
        set["error"] = {{"code", absl::StatusCodeToString(report.status.code())},
                        {"message", std::string(report.status.message())}};
      }
      sets.push_back(std::move(set));
    }
    session.PrintJson({{"folder", folder}, {"passed", passed}, {"data_sets", sets}});
    return;
  }
  Table table({"DATA SET", "OUTPUT", "TYPE", "RESULT", "WORST ABS", "WORST REL", "WHERE"});
  for (const SetReport& report : reports) {
    for (const OutputReport& output : report.outputs) {
      const Comparison& c = output.comparison;
      table.AddRow({report.name, output.name, ToString(output.expected), c.passed() ? "pass" : "FAIL",
                    absl::StrFormat("%.3g", c.worst_absolute), absl::StrFormat("%.3g", c.worst_relative),
                    DetailText(c)});
    }
    if (!report.status.ok()) {
      table.AddRow({report.name, "-", "-", "FAIL", "-", "-",
                    absl::StrCat(absl::StatusCodeToString(report.status.code()), ": ",
                                 std::string(report.status.message()))});
    }
  }
  session.Print(absl::StrCat(table.ToString(), folder, passed ? ": pass\n" : ": FAIL\n"));
}

}  // namespace

absl::StatusOr<int> RunVerify(Session& session, const VerifyArguments& arguments) {
  ASSIGN_OR_RETURN(const std::vector<DataSet> sets, ReadDataSets(arguments.folder));
  ASSIGN_OR_RETURN(const std::vector<std::string> input_names,
                   OnnxInputNames((std::filesystem::path(arguments.folder) / "model.onnx").string()));
  ASSIGN_OR_RETURN(const PartitionTexts texts, ReadPartition(arguments.partition));
  for (const DataSet& set : sets) {
    if (set.inputs.size() != input_names.size()) {
      return absl::InvalidArgumentError(absl::StrCat(set.name, " has ", set.inputs.size(),
                                                     " inputs, the model ", input_names.size(), ": ",
                                                     absl::StrJoin(input_names, ", ")));
    }
  }
  ASSIGN_OR_RETURN(const std::unique_ptr<TemporaryFolder> scratch, TemporaryFolder::Create("omctl-"));
  ASSIGN_OR_RETURN(client::Client* const client, session.ConnectOrStart(texts.devices));

  // One build serves all sets with the same input shapes.
  std::map<std::vector<Shape>, std::vector<const DataSet*>> by_shapes;
  for (const DataSet& set : sets) {
    std::vector<Shape> shapes;
    for (const Tensor& input : set.inputs) shapes.push_back(input.shape());
    by_shapes[shapes].push_back(&set);
  }
  Verifier verifier(session, client, arguments, texts, scratch->File("model.om"));
  std::map<std::string, SetReport> by_name;
  for (const auto& [shapes, group] : by_shapes) {
    for (SetReport& report : verifier.VerifySets(input_names, group))
      by_name[report.name] = std::move(report);
  }
  std::vector<SetReport> reports;
  for (const DataSet& set : sets) reports.push_back(std::move(by_name[set.name]));
  PrintReports(session, arguments.folder, reports);
  return std::all_of(reports.begin(), reports.end(), [](const SetReport& report) { return report.passed(); })
             ? 0
             : 1;
}

}  // namespace omserve::cli
