#include "client/cli/app.h"

#include <cstdint>
#include <cstdio>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "CLI/CLI.hpp"
#include "client/cli/commands.h"

namespace omserve::cli {
namespace {

// "NAME=@FILE.npy" → name and path; the name may hold anything but "=@".
constexpr char kInputMarker[] = "=@";

std::string CheckInput(const std::string& text) {
  const size_t marker = text.find(kInputMarker);
  if (marker == std::string::npos || marker == 0 || marker + 2 == text.size()) {
    return "'" + text + "' is not of the form NAME=@FILE.npy";
  }
  return "";
}

std::pair<std::string, std::string> SplitInput(const std::string& text) {
  const size_t marker = text.find(kInputMarker);
  return {text.substr(0, marker), text.substr(marker + 2)};
}

// What the options of all commands are parsed into.
struct Arguments {
  GlobalOptions global;
  std::string output = "text";
  BuildArguments build;
  PlanArguments plan;
  CalibrateArguments calibrate;
  LoadArguments load;
  std::string unload;
  InspectArguments inspect;
  RunArguments run;
  std::vector<std::string> run_inputs;
  VerifyArguments verify;
};

using Command = std::function<absl::StatusOr<int>(Session&)>;

class Parser {
 public:
  Parser() {
    app_.set_version_flag("--version", OMSERVE_VERSION);
    app_.fallthrough();
    app_.require_subcommand(1);
    app_.add_option("--coordinator", arguments_.global.coordinator,
                    "Where the coordinator listens; build and verify start a server of their own without it")
        ->envname("OMSERVE_ADDRESS")
        ->type_name("HOST:PORT");
    app_.add_option("--output", arguments_.output, "How results and errors are written")
        ->check(CLI::IsMember({"text", "json"}))
        ->capture_default_str();
    app_.add_option("--timeout", arguments_.global.timeout_seconds, "Seconds that the whole command may take")
        ->check(CLI::PositiveNumber);
    AddBuild();
    AddPlan();
    AddCalibrate();
    AddLoad();
    AddUnload();
    Add("models", "List the loaded models and where their slices are", true,
        [](Session& s) { return RunModels(s); });
    Add("cluster", "List workers and devices", true, [](Session& s) { return RunCluster(s); });
    AddInspect();
    AddRun();
    AddVerify();
  }

  std::optional<ParsedCommand> Parse(int argc, char** argv, int* exit_code) {
    try {
      app_.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
      *exit_code = app_.exit(error) == 0 ? kExitOk : kExitUsage;
      return std::nullopt;
    }
    arguments_.global.json = arguments_.output == "json";
    if (needs_coordinator_ && arguments_.global.coordinator.empty()) {
      std::fputs("no coordinator: give --coordinator HOST:PORT or set OMSERVE_ADDRESS\n", stderr);
      *exit_code = kExitUsage;
      return std::nullopt;
    }
    for (const std::string& input : arguments_.run_inputs) arguments_.run.inputs.push_back(SplitInput(input));
    return ParsedCommand{arguments_.global, command_};
  }

 private:
  CLI::App* Add(const std::string& name, const std::string& description, bool needs_coordinator,
                Command command) {
    CLI::App* sub = app_.add_subcommand(name, description);
    sub->callback([this, needs_coordinator, command = std::move(command)] {
      needs_coordinator_ = needs_coordinator;
      command_ = command;
    });
    return sub;
  }

  static void AddPartition(CLI::App* sub, PartitionArguments& partition) {
    sub->add_option("--cluster-config", partition.cluster_config,
                    "Cluster file: the devices to cut the model over")
        ->type_name("FILE");
    sub->add_option("--cost-file", partition.cost_file, "Measured times of devices and links, as calibrate writes them")
        ->type_name("FILE");
    CLI::Option* parallel =
        sub->add_option("--parallel", partition.parallel, "Partition policy (graph_parallel_option file)")
            ->type_name("FILE");
    CLI::Option* plan = sub->add_option("--load-plan", partition.load_plan,
                                        "Plan file (written by --save-plan) to follow instead of a policy")
                            ->type_name("FILE")
                            ->excludes(parallel);
    // Stand for a policy, and for a local cluster where no file is given.
    auto add = [&](const char* name, int& size, const char* description) {
      sub->add_option(name, size, description)->check(CLI::Range(1, 1024))->excludes(parallel)->excludes(plan);
    };
    add("--tensor-parallel", partition.tensor_parallel, "Cut operators over this many devices");
    add("--pipeline", partition.pipeline, "Cut the model into this many pipeline stages");
    add("--data-parallel", partition.data_parallel, "Keep this many copies of the model");
    CLI::Option* automatic =
        sub->add_flag("--auto", partition.automatic, "Choose the sizes that are not given, for the devices of the cluster")
            ->excludes(parallel)
            ->excludes(plan);
    sub->add_option("--objective", partition.objective,
                    "What --auto chooses by: the time of a run, runs per second, or the time per token")
        ->check(CLI::IsMember({"latency", "throughput", "decode"}))
        ->needs(automatic);
    sub->add_option("--global-batch", partition.global_batch,
                    "Rows of a request to a model that is built for fewer: they run as micro-batches")
        ->check(CLI::Range(int64_t{1}, std::numeric_limits<int64_t>::max()))
        ->type_name("ROWS")
        ->excludes(parallel)
        ->excludes(plan);
  }

  void AddBuild() {
    BuildArguments& build = arguments_.build;
    CLI::App* sub = Add("build", "Build a model, or slices of one, into an offline model (OM)", false,
                        [this](Session& s) { return RunBuild(s, arguments_.build); });
    CLI::App* source = sub->add_option_group("What to build");
    source->add_option("MODEL", build.model, "The model: ONNX, or AIR (.air)")->type_name("FILE");
    CLI::Option* relation = source
                                ->add_option("--model-relation-config", build.relation,
                                             "Relation file of a model that is already cut into slices")
                                ->type_name("FILE");
    source->require_option(1);
    relation->needs(sub->add_option("--shard-model-dir", build.slice_folder, "Folder of the slices")
                        ->type_name("FOLDER")
                        ->needs(relation));
    sub->add_option("-o", build.output, "The OM to write")->required()->type_name("FILE");
    sub->add_option("--name", build.name, "Name of the model; default: its graph's");
    sub->add_option("--input-shape", build.input_shape,
                    "Shapes of the inputs: \"input_ids:1,128;mask:1,128\"")
        ->type_name("SHAPES");
    AddPartition(sub, build.partition);
    sub->add_option("--save-plan", build.save_plan, "Write the plan that the model was cut by, to read or edit")
        ->type_name("FILE");
  }

  void AddPlan() {
    PlanArguments& plan = arguments_.plan;
    CLI::App* sub = Add("plan", "Show how a model would be cut over a cluster, and why, without building it", false,
                        [this](Session& s) { return RunPlan(s, arguments_.plan); });
    sub->add_option("MODEL", plan.model, "The model: ONNX, or AIR (.air)")->required()->type_name("FILE");
    sub->add_option("--input-shape", plan.input_shape, "Shapes of the inputs: \"input_ids:1,128;mask:1,128\"")->type_name("SHAPES");
    AddPartition(sub, plan.partition);
    CLI::Option* save = sub->add_option("--save-plan", plan.save_plan, "Write the plan, to read, edit or build by")->type_name("FILE");
    CLI::Option* html = sub->add_option("--html", plan.html, "Draw stages, devices, shardings and times on one page")->type_name("FILE");
    sub->add_option("--generate", plan.generate,
                    "Predict a language model's answer: lengths of prompt and answer. --input-shape then has the words new and past "
                    "in place of dimensions, and may have patterns: \"input_ids:1,new;past_key_values.*:1,8,past,64\"")
        ->type_name("IN,OUT")
        ->excludes(save)
        ->excludes(html);
  }

  void AddCalibrate() {
    CLI::App* sub = Add("calibrate", "Measure operators and links of the live workers, to plan by", true,
                        [this](Session& s) { return RunCalibrate(s, arguments_.calibrate); });
    sub->add_option("-o", arguments_.calibrate.output, "The cost file to write, for --cost-file of plan and build")
        ->required()
        ->type_name("FILE");
    sub->add_flag("--quick", arguments_.calibrate.quick, "Few sizes: some seconds, and a coarser file");
  }

  void AddLoad() {
    CLI::App* sub = Add("load", "Load an OM on the cluster", true,
                        [this](Session& s) { return RunLoad(s, arguments_.load); });
    sub->add_option("OM", arguments_.load.om, "The OM")->required()->type_name("FILE");
    sub->add_option("--name", arguments_.load.name, "Name to serve it under; default: the model's own");
  }

  void AddUnload() {
    CLI::App* sub = Add("unload", "Unload a model after the runs in flight", true,
                        [this](Session& s) { return RunUnload(s, arguments_.unload); });
    sub->add_option("NAME", arguments_.unload, "Name of the model")->required();
  }

  void AddInspect() {
    CLI::App* sub = Add("inspect", "Show what an OM holds", false,
                        [this](Session& s) { return RunInspect(s, arguments_.inspect); });
    sub->add_option("OM", arguments_.inspect.om, "The OM")->required()->type_name("FILE");
    sub->add_flag("--verify-digests", arguments_.inspect.verify_digests,
                  "Read everything and check the digests");
  }

  void AddRun() {
    CLI::App* sub =
        Add("run", "Run a loaded model once", true, [this](Session& s) { return RunRun(s, arguments_.run); });
    sub->add_option("NAME", arguments_.run.model, "Name of the model")->required();
    sub->add_option("--input", arguments_.run_inputs,
                    "An input and the NumPy file that holds it; once for each input")
        ->check(CLI::Validator(CheckInput, ""))
        ->type_name("NAME=@FILE.npy")
        ->allow_extra_args(false);
    sub->add_option("--output-dir", arguments_.run.output_folder, "Folder for one NumPy file per output")
        ->type_name("FOLDER");
    sub->add_option("--request-id", arguments_.run.request_id, "Id of the run in the service's logs");
  }

  void AddVerify() {
    VerifyArguments& verify = arguments_.verify;
    CLI::App* sub = Add("verify", "Build, load and run a model and compare with expected outputs", false,
                        [this](Session& s) { return RunVerify(s, arguments_.verify); });
    sub->add_option("FOLDER", verify.folder,
                    "ONNX backend test: model.onnx, test_data_set_*/{input,output}_*.pb")
        ->required();
    sub->add_option("--rtol", verify.tolerances.relative, "Relative tolerance")
        ->check(CLI::NonNegativeNumber)
        ->capture_default_str();
    sub->add_option("--atol", verify.tolerances.absolute, "Absolute tolerance")
        ->check(CLI::NonNegativeNumber)
        ->capture_default_str();
    AddPartition(sub, verify.partition);
  }

  CLI::App app_{"Builds models into offline models, loads them on an omserve cluster and runs them.",
                "omctl"};
  Arguments arguments_;
  bool needs_coordinator_ = false;
  Command command_;
};

}  // namespace

std::optional<ParsedCommand> ParseCommandLine(int argc, char** argv, int* exit_code) {
  // Lives as long as the program: the command refers to what was parsed.
  static auto* const parser = new Parser();
  return parser->Parse(argc, argv, exit_code);
}

}  // namespace omserve::cli
