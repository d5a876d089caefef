#include "client/atc/options.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "core/base/status.h"

namespace omserve::atc {
namespace {

enum class Effect {
  kUsed,
  kNone,     // cannot matter on these devices: accepted, and named in one warning
  kRefused,  // would change the result, and is not done here: `note` says what to do instead
};

struct OptionDef {
  const char* name;
  Effect effect;
  const char* fallback;  // the documented default
  const char* values;    // "0|1" where the documents list them, else ""
  const char* note;      // for --help; for refused ones the reason
};

constexpr char kFixShape[] = "models are built for one shape; give it by --input_shape";

constexpr OptionDef kOptions[] = {
    // Input
    {"mode", Effect::kUsed, "0", "0|1|6", "0: build an om; 1: om, air or onnx to JSON; 6: show what is in an om"},
    {"model", Effect::kUsed, "", "", "the source model"},
    {"weight", Effect::kRefused, "", "", "Caffe models are not supported"},
    {"framework", Effect::kUsed, "", "1|5", "1: AIR (.air); 5: ONNX"},
    {"input_format", Effect::kNone, "", "NCHW|NHWC|ND|NCDHW|NDHWC", ""},
    {"input_shape", Effect::kUsed, "", "", "name:1,3,224,224;name2:..."},
    {"input_shape_range", Effect::kRefused, "", "", kFixShape},
    {"dynamic_batch_size", Effect::kRefused, "", "", kFixShape},
    {"dynamic_image_size", Effect::kRefused, "", "", kFixShape},
    {"dynamic_dims", Effect::kRefused, "", "", kFixShape},
    {"om", Effect::kUsed, "", "", "the om of --mode=1 and --mode=6"},
    {"json", Effect::kUsed, "", "", "the JSON file that --mode=1 writes"},
    {"singleop", Effect::kRefused, "", "", "single operators are not built; make a model of one"},
    // Distributed build
    {"distributed_cluster_build", Effect::kUsed, "0", "0|1", "1: an om for the devices of a cluster"},
    {"cluster_config", Effect::kUsed, "", "", "the cluster file"},
    {"enable_graph_parallel", Effect::kUsed, "0", "0|1", "1: cut the model by algorithm"},
    {"graph_parallel_option_path", Effect::kUsed, "", "", "the partition policy file"},
    {"shard_model_dir", Effect::kUsed, "", "", "the folder of slices that are cut already"},
    {"model_relation_config", Effect::kUsed, "", "", "the relation file of slices"},
    // Output
    {"output", Effect::kUsed, "", "", "path and name of the result, without suffix"},
    {"output_type", Effect::kRefused, "", "", "outputs keep the types of the model; aclgrphBuildModel takes OUTPUT_TYPE"},
    {"out_nodes", Effect::kRefused, "", "", "outputs are those of the model; aclgrphBuildModel takes OUT_NODES"},
    {"input_fp16_nodes", Effect::kRefused, "", "", "inputs keep the types of the model"},
    {"insert_op_conf", Effect::kRefused, "", "", "there is no AIPP"},
    {"check_report", Effect::kNone, "check_result.json", "", ""},
    {"op_name_map", Effect::kRefused, "", "", "custom operators come in packages (OMSERVE_CUSTOM_OPP_PATH)"},
    {"is_input_adjust_hw_layout", Effect::kNone, "false", "true|false", ""},
    {"is_output_adjust_hw_layout", Effect::kNone, "false", "true|false", ""},
    // Target
    {"soc_version", Effect::kUsed, "", "", "the chip; any name"},
    {"host_env_os", Effect::kNone, "", "", ""},
    {"host_env_cpu", Effect::kNone, "", "", ""},
    {"core_type", Effect::kNone, "AiCore", "AiCore|VectorCore", ""},
    {"aicore_num", Effect::kNone, "", "", ""},
    {"virtual_type", Effect::kNone, "0", "0|1", ""},
    {"external_weight", Effect::kNone, "0", "0|1|2", ""},
    // Tuning
    {"buffer_optimize", Effect::kNone, "l2_optimize", "l2_optimize|l1_optimize|off_optimize", ""},
    {"disable_reuse_memory", Effect::kNone, "0", "0|1", ""},
    {"enable_scope_fusion_passes", Effect::kNone, "", "", ""},
    {"fusion_switch_file", Effect::kNone, "", "", ""},
    {"enable_single_stream", Effect::kNone, "false", "true|false", ""},
    {"enable_small_channel", Effect::kNone, "0", "0|1", ""},
    {"ac_parallel_enable", Effect::kNone, "0", "0|1", ""},
    {"quant_dumpable", Effect::kNone, "0", "0|1", ""},
    {"compression_optimize_conf", Effect::kNone, "", "", ""},
    {"sparsity", Effect::kNone, "0", "0|1", ""},
    {"mdl_bank_path", Effect::kNone, "", "", ""},
    {"op_bank_path", Effect::kNone, "", "", ""},
    {"oo_level", Effect::kNone, "O3", "O1|O3", ""},
    {"oo_constant_folding", Effect::kNone, "true", "true|false", ""},
    {"oo_dead_code_elimination", Effect::kNone, "true", "true|false", ""},
    {"topo_sorting_mode", Effect::kNone, "1", "0|1|2|3", ""},
    {"tiling_schedule_optimize", Effect::kNone, "0", "0|1", ""},
    {"jit_compile", Effect::kNone, "", "0|1|2", ""},
    {"static_model_ops_lower_limit", Effect::kNone, "", "", ""},
    // Precision: devices compute in the types of the model
    {"precision_mode", Effect::kNone, "",
     "force_fp32|cube_fp16in_fp32out|force_fp16|allow_fp32_to_fp16|must_keep_origin_dtype|allow_mix_precision|"
     "allow_mix_precision_fp16|allow_mix_precision_bf16",
     ""},
    {"precision_mode_v2", Effect::kNone, "",
     "fp16|origin|cube_fp16in_fp32out|mixed_float16|mixed_bfloat16|cube_hif8|mixed_hif8", ""},
    {"op_precision_mode", Effect::kNone, "", "", ""},
    {"modify_mixlist", Effect::kNone, "", "", ""},
    {"keep_dtype", Effect::kNone, "", "", ""},
    {"customize_dtypes", Effect::kNone, "", "", ""},
    {"allow_hf32", Effect::kNone, "", "", ""},
    {"is_weight_clip", Effect::kNone, "1", "0|1", ""},
    {"op_select_implmode", Effect::kNone, "",
     "high_performance|high_precision|high_precision_for_all|high_performance_for_all", ""},
    {"optypelist_for_implmode", Effect::kNone, "", "", ""},
    {"shape_generalized_build_mode", Effect::kNone, "", "shape_precise|shape_generalized", ""},
    // Debugging
    {"dump_mode", Effect::kNone, "0", "0|1", ""},
    {"log", Effect::kUsed, "null", "null|debug|info|warning|error", "what is written to standard error while building"},
    {"display_model_info", Effect::kUsed, "0", "0|1", "1: show what is in the om that was built"},
    {"op_compiler_cache_mode", Effect::kNone, "disable", "disable|enable|force", ""},
    {"op_compiler_cache_dir", Effect::kNone, "", "", ""},
    {"op_debug_level", Effect::kNone, "0", "0|1|2|3|4", ""},
    {"op_debug_config", Effect::kNone, "", "", ""},
    {"debug_dir", Effect::kNone, "./kernel_meta", "", ""},
    {"atomic_clean_policy", Effect::kNone, "0", "0|1", ""},
    {"deterministic", Effect::kNone, "0", "0|1", ""},
    {"status_check", Effect::kNone, "0", "0|1", ""},
    {"export_compile_stat", Effect::kNone, "1", "0|1|2", ""},
};

const OptionDef* Find(absl::string_view name) {
  for (const OptionDef& option : kOptions) {
    if (name == option.name) return &option;
  }
  return nullptr;
}

absl::Status Invalid(const char* code, const std::string& text) {
  return absl::InvalidArgumentError(absl::StrCat(code, ": ", text));
}

absl::Status CheckValue(const OptionDef& option, const std::string& value) {
  if (value.empty()) return Invalid("E10004", absl::StrCat("value of parameter [--", option.name, "] is empty"));
  if (*option.values == '\0') return absl::OkStatus();
  const std::vector<std::string> allowed = absl::StrSplit(option.values, '|');
  if (std::find(allowed.begin(), allowed.end(), value) != allowed.end()) return absl::OkStatus();
  const std::string what = absl::StrCat("value [", value, "] for parameter [--", option.name, "] is invalid");
  const std::string name = option.name, values = option.values;
  if (name == "framework" && (value == "0" || value == "3")) {
    return absl::UnimplementedError(absl::StrCat(
        "E10055: ", what, ". Reason: ", value == "0" ? "Caffe" : "TensorFlow",
        " models are not supported; convert the model to ONNX (--framework=5) or AIR (--framework=1)"));
  }
  if (name == "mode" && (value == "3" || value == "5" || value == "30")) {
    return absl::UnimplementedError(absl::StrCat("E10055: ", what, ". Reason: supported are 0 (build), 1 (to JSON) and 6 (show info)"));
  }
  if (values == "0|1") return Invalid("E10006", absl::StrCat(what, ". Reason: it must be 0 or 1"));
  if (values == "true|false") return Invalid("E10005", absl::StrCat(what, ". Reason: it must be true or false"));
  return Invalid(name == "log" ? "E10010" : "E10001",
                 absl::StrCat(what, ". Reason: it must be one of ", absl::StrJoin(allowed, ", ")));
}

absl::Status Require(const Options& options, const char* name, const char* why) {
  if (!options[name].empty()) return absl::OkStatus();
  return Invalid("E10054", absl::StrCat("required parameter [--", name, "] for ATC is empty", why));
}

absl::Status Exclude(const Options& options, const char* a, const char* b) {
  if (options[a].empty() || options[b].empty()) return absl::OkStatus();
  return Invalid("E10056", absl::StrCat("parameters [--", a, "] and [--", b, "] exclude each other"));
}

absl::Status CheckBuild(const Options& options) {
  RETURN_IF_ERROR(Require(options, "soc_version", ""));
  if (options.framework == Framework::kNone) {
    return Invalid("E10007", "parameter [--framework] is required. The value must be 1 (AIR) or 5 (ONNX)");
  }
  RETURN_IF_ERROR(Require(options, "output", ""));
  if (absl::EndsWith(options["output"], "/")) {
    return Invalid("E10022", absl::StrCat("path [", options["output"], "] of parameter [--output] lacks a file name"));
  }
  RETURN_IF_ERROR(Exclude(options, "precision_mode", "precision_mode_v2"));

  const bool relation = !options["model_relation_config"].empty();
  if (options.slices() != relation) {
    return Invalid("E10057", absl::StrCat("parameters [--shard_model_dir] and [--model_relation_config] go together; [--",
                                          relation ? "shard_model_dir" : "model_relation_config", "] is missing"));
  }
  if (options.slices()) {
    if (!options.distributed) {
      return Invalid("E10057", "parameter [--shard_model_dir] needs [--distributed_cluster_build] to be 1");
    }
    if (options.parallel) {
      return Invalid("E10056", "slices are cut already: parameter [--enable_graph_parallel] excludes [--shard_model_dir]");
    }
    RETURN_IF_ERROR(Exclude(options, "model", "shard_model_dir"));
    return Require(options, "cluster_config", ": slices are placed on the devices of a cluster");
  }
  RETURN_IF_ERROR(Require(options, "model", ""));
  if (options.parallel && !options.distributed) {
    return Invalid("E10057", "parameter [--enable_graph_parallel] needs [--distributed_cluster_build] to be 1");
  }
  if (options.parallel) {
    RETURN_IF_ERROR(Require(options, "graph_parallel_option_path", ": [--enable_graph_parallel] is 1"));
    RETURN_IF_ERROR(Require(options, "cluster_config", ": [--enable_graph_parallel] is 1"));
  } else if (!options["graph_parallel_option_path"].empty()) {
    return Invalid("E10057", "parameter [--graph_parallel_option_path] needs [--distributed_cluster_build] and "
                             "[--enable_graph_parallel] to be 1");
  }
  return absl::OkStatus();
}

absl::Status CheckTogether(const Options& options) {
  switch (options.mode) {
    case Mode::kBuild:
      return CheckBuild(options);
    case Mode::kToJson:
      RETURN_IF_ERROR(Require(options, "json", ": [--mode] is 1"));
      if (options["om"].empty() && options["model"].empty()) {
        return Invalid("E10054", "[--mode] is 1: give the om by [--om], or a model by [--model] and [--framework]");
      }
      RETURN_IF_ERROR(Exclude(options, "om", "model"));
      if (!options["model"].empty() && options.framework == Framework::kNone) {
        return Invalid("E10007", "parameter [--framework] is required. The value must be 1 (AIR) or 5 (ONNX)");
      }
      return absl::OkStatus();
    case Mode::kShowInfo:
      return Require(options, "om", ": [--mode] is 6");
  }
  return absl::OkStatus();
}

}  // namespace

const std::string& Options::operator[](const std::string& name) const {
  static const auto* const kNothing = new std::string;
  auto it = values.find(name);
  return it == values.end() ? *kNothing : it->second;
}

absl::StatusOr<Options> ParseOptions(const std::vector<std::string>& arguments) {
  Options options;
  for (size_t i = 0; i < arguments.size(); ++i) {
    absl::string_view text = arguments[i];
    if (text == "--help" || text == "--h" || text == "-h") {
      options.help = true;
      return options;
    }
    const size_t equals = text.find('=');
    const absl::string_view name = absl::StripPrefix(text.substr(0, equals), "--");
    const OptionDef* option = absl::StartsWith(text, "--") ? Find(name) : nullptr;
    if (option == nullptr) return Invalid("E10053", absl::StrCat("unknown command line option '", arguments[i], "'"));
    std::string value;
    if (equals != absl::string_view::npos) {
      value = std::string(text.substr(equals + 1));
    } else if (i + 1 < arguments.size() && !absl::StartsWith(arguments[i + 1], "--")) {
      value = arguments[++i];
    } else {
      return Invalid("E10004", absl::StrCat("parameter [--", name, "] has no value"));
    }
    RETURN_IF_ERROR(CheckValue(*option, value));
    if (options.values.contains(option->name)) {
      return Invalid("E10053", absl::StrCat("parameter [--", name, "] is given twice"));
    }
    if (option->effect == Effect::kRefused) {
      return absl::UnimplementedError(absl::StrCat("E10055: parameter [--", name, "] is not supported: ", option->note));
    }
    if (option->effect == Effect::kNone) options.without_effect.push_back(option->name);
    options.values[option->name] = std::move(value);
  }
  for (const OptionDef& option : kOptions) {
    if (*option.fallback != '\0') options.values.emplace(option.name, option.fallback);
  }
  options.mode = options["mode"] == "0" ? Mode::kBuild : options["mode"] == "1" ? Mode::kToJson : Mode::kShowInfo;
  if (options["framework"] == "1") options.framework = Framework::kAir;
  if (options["framework"] == "5") options.framework = Framework::kOnnx;
  options.distributed = options["distributed_cluster_build"] == "1";
  options.parallel = options["enable_graph_parallel"] == "1";
  RETURN_IF_ERROR(CheckTogether(options));
  return options;
}

std::string HelpText() {
  std::string text =
      "usage: atc --name=value ...\n\n"
      "Builds models into offline models (om) for omserve: on the coordinator at OMSERVE_ADDRESS, or in this process.\n\n";
  auto add = [&](Effect effect, const char* heading) {
    absl::StrAppend(&text, heading, "\n");
    for (const OptionDef& option : kOptions) {
      if (option.effect != effect) continue;
      std::string line = absl::StrFormat("  --%-28s %s", option.name, option.note);
      if (*option.values != '\0') absl::StrAppend(&line, " [", option.values, "]");
      if (*option.fallback != '\0') absl::StrAppend(&line, " (default ", option.fallback, ")");
      while (line.back() == ' ') line.pop_back();
      absl::StrAppend(&text, line, "\n");
    }
    absl::StrAppend(&text, "\n");
  };
  add(Effect::kUsed, "Options:");
  add(Effect::kNone, "Accepted, without effect on the devices there are:");
  add(Effect::kRefused, "Not supported:");
  return text;
}

}  // namespace omserve::atc
