#include "options.h"

#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/cann/errors.h"
#include "core/base/file.h"
#include "core/base/json.h"
#include "core/base/status.h"
#include "ge/ge_api_types.h"
#include "messages.h"

namespace ge {
namespace {

struct Allowed {
  const char* key;
  std::vector<std::string> values;
};

const std::vector<Allowed>& AllowedValues() {
  static const auto* const allowed = new std::vector<Allowed>{
      {OPTION_GRAPH_RUN_MODE, {"0", "1"}},
      {ir_option::BUFFER_OPTIMIZE, {"l2_optimize", "l1_optimize", "off_optimize"}},
      {ir_option::CORE_TYPE, {"AiCore", "VectorCore"}},
      {ir_option::ENABLE_SINGLE_STREAM, {"true", "false"}},
      {ir_option::EXEC_DISABLE_REUSED_MEMORY, {"0", "1"}},
      {ir_option::EXTERNAL_WEIGHT, {"0", "1", "2"}},
      {ir_option::INPUT_FORMAT, {"NCHW", "NHWC", "ND", "NCDHW", "NDHWC"}},
      {ir_option::LOG_LEVEL, {"null", "debug", "info", "warning", "error"}},
      {ir_option::OP_COMPILER_CACHE_MODE, {"enable", "force", "disable"}},
      {ir_option::OP_DEBUG_LEVEL, {"0", "1", "2", "3", "4"}},
      {ir_option::PRECISION_MODE,
       {"force_fp32", "cube_fp16in_fp32out", "force_fp16", "allow_fp32_to_fp16", "must_keep_origin_dtype",
        "allow_mix_precision", "allow_mix_precision_fp16", "allow_mix_precision_bf16"}},
      {ir_option::PRECISION_MODE_V2,
       {"fp16", "origin", "cube_fp16in_fp32out", "mixed_float16", "mixed_bfloat16", "cube_hif8", "mixed_hif8"}},
      {ir_option::VIRTUAL_TYPE, {"0", "1"}},
  };
  return *allowed;
}

}  // namespace

Options FromAscend(const std::map<AscendString, AscendString>& options) {
  Options texts;
  for (const auto& [key, value] : options) texts[key.GetString()] = value.GetString();
  return texts;
}

absl::Status CheckKeys(const std::string& call, const Options& options) {
  if (!options.contains("")) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("E10059: ", call, " failed. Reason: an option key is empty"));
}

void WarnUnknown(const std::string& call, const Options& options, const std::set<std::string>& known) {
  for (const auto& [key, value] : options) {
    if (!known.contains(key)) Warn(absl::StrCat("W11001: ", call, " does not know option '", key, "'; it is ignored"));
  }
}

absl::Status CheckValues(const Options& options) {
  for (const Allowed& allowed : AllowedValues()) {
    auto it = options.find(allowed.key);
    if (it == options.end() || it->second.empty()) continue;
    if (std::find(allowed.values.begin(), allowed.values.end(), it->second) != allowed.values.end()) continue;
    return absl::InvalidArgumentError(absl::StrCat("E10001: value '", it->second, "' of option '", allowed.key,
                                                   "' is invalid; it must be one of ", absl::StrJoin(allowed.values, ", ")));
  }
  if (options.contains(ir_option::PRECISION_MODE) && options.contains(ir_option::PRECISION_MODE_V2)) {
    return absl::InvalidArgumentError(absl::StrCat("E10056: options '", ir_option::PRECISION_MODE, "' and '",
                                                   ir_option::PRECISION_MODE_V2, "' exclude each other"));
  }
  return absl::OkStatus();
}

absl::Status WithCode(const absl::Status& status, const char* code) {
  return omserve::cann::SplitCode(status.message()).has_value() ? status : omserve::Annotate(status, code);
}

bool IsOn(const Options& options, const std::string& key) { return ValueOf(options, key) == "1"; }

std::string ValueOf(const Options& options, const std::string& key) {
  auto it = options.find(key);
  return it == options.end() ? "" : it->second;
}

absl::StatusOr<std::string> JsonFileOf(const Options& options, const std::string& key) {
  const std::string path = ValueOf(options, key);
  absl::StatusOr<std::string> text = omserve::ReadFile(path);
  if (!text.ok()) return omserve::Annotate(text.status(), absl::StrCat("E10410: option '", key, "'"));
  RETURN_IF_ERROR(WithCode(omserve::JsonDocument::Parse(*text, path).status(), "E10032"));
  return text;
}

}  // namespace ge
