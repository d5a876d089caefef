#include <filesystem>
#include <set>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "client/cli/commands.h"
#include "client/cli/describe.h"
#include "client/cli/npy.h"
#include "client/cli/tensors.h"
#include "client/cli/text.h"
#include "core/base/status.h"

namespace omserve::cli {
namespace {

constexpr int kValuesShown = 8;

// A file name for an output, whose name is the model's and may hold anything; unique in `taken`.
std::string FileNameFor(const std::string& output, std::set<std::string>& taken) {
  std::string stem;
  for (char c : output) {
    const bool harmless = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                          c == '-' || c == '_' || (c == '.' && !stem.empty());
    stem += harmless ? c : '_';
  }
  if (stem.empty()) stem = "output";
  std::string name = stem + ".npy";
  for (int i = 2; !taken.insert(name).second; ++i) name = absl::StrCat(stem, "_", i, ".npy");
  return name;
}

}  // namespace

absl::StatusOr<int> RunRun(Session& session, const RunArguments& arguments) {
  std::vector<client::Tensor> inputs;
  for (const auto& [name, path] : arguments.inputs) {
    ASSIGN_OR_RETURN_WITH(const Tensor tensor, ReadNpy(path), absl::StrCat("input '", name, "'"));
    inputs.push_back(ToClient(name, tensor));
  }
  if (!arguments.output_folder.empty()) {
    std::error_code error;
    std::filesystem::create_directories(arguments.output_folder, error);
    if (error) {
      return absl::UnavailableError(
          absl::StrCat("cannot create the folder ", arguments.output_folder, ": ", error.message()));
    }
  }
  ASSIGN_OR_RETURN(client::Client* const client, session.Connect());
  client::RunOptions options;
  options.request_id = arguments.request_id;
  ASSIGN_OR_RETURN(const client::RunResult result,
                   client->Run(arguments.model, inputs, session.Bounded(options)));

  Table table({"OUTPUT", "TYPE", "VALUES", "FILE"});
  nlohmann::ordered_json outputs = nlohmann::ordered_json::array();
  std::set<std::string> taken;
  for (const client::Tensor& output : result.outputs) {
    ASSIGN_OR_RETURN_WITH(const Tensor tensor, FromClient(output),
                          absl::StrCat("output '", output.name(), "'"));
    std::string path;
    if (!arguments.output_folder.empty()) {
      path = absl::StrCat(arguments.output_folder, "/", FileNameFor(output.name(), taken));
      RETURN_IF_ERROR(WriteNpy(path, tensor));
    }
    table.AddRow(
        {output.name(), client::ToString(output.desc()), ValuesToString(tensor, kValuesShown), path});
    nlohmann::ordered_json entry = ToJson(output.desc());
    if (!path.empty()) entry["file"] = path;
    outputs.push_back(std::move(entry));
  }
  if (session.json()) {
    session.PrintJson({{"request_id", result.request_id}, {"outputs", outputs}});
  } else {
    session.Print(table.ToString());
  }
  return 0;
}

}  // namespace omserve::cli
