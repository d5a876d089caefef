#include "core/partition/parallel_options.h"

#include <limits>

#include "absl/strings/str_cat.h"
#include "core/base/file.h"
#include "core/base/json.h"
#include "core/base/status.h"

namespace omserve {
namespace {

// Parts of the documented file, or of the structure behind it, that this project does not have (yet).
constexpr const char* kUnsupported[] = {
    "engine_parallel_option",
    "optimizer_offload_option",
    "mode",
    "work_dir",
    "graph_id",
    "version",
};

absl::Status Unsupported(const JsonPlace& place, absl::string_view what) {
  return absl::UnimplementedError(absl::StrCat(place.path(), ": ", what));
}

absl::Status ReadOptionalBool(const JsonPlace& place, bool* value) {
  if (place.value() == nullptr) return absl::OkStatus();
  ASSIGN_OR_RETURN(*value, place.Bool());
  return absl::OkStatus();
}

absl::Status ReadTensorSharding(const JsonPlace& place, ParallelOptions* options) {
  RETURN_IF_ERROR(place.CheckFields({"optimizer_state_sharding", "gradient_sharding", "model_weight_sharding",
                                     "model_weight_prefetch", "model_weight_prefetch_buffer_size"}));
  // Optimizer states and gradients do not exist at inference.
  bool ignored = false;
  RETURN_IF_ERROR(ReadOptionalBool(place.Field("optimizer_state_sharding"), &ignored));
  RETURN_IF_ERROR(ReadOptionalBool(place.Field("gradient_sharding"), &ignored));
  RETURN_IF_ERROR(ReadOptionalBool(place.Field("model_weight_sharding"), &options->weight_sharding));
  RETURN_IF_ERROR(ReadOptionalBool(place.Field("model_weight_prefetch"), &options->weight_prefetch.ahead));
  const JsonPlace buffer = place.Field("model_weight_prefetch_buffer_size");
  if (buffer.value() == nullptr) return absl::OkStatus();
  ASSIGN_OR_RETURN(const int64_t megabytes, buffer.IntInRange(0, std::numeric_limits<int32_t>::max()));
  options->weight_prefetch.buffer_bytes = megabytes << 20;
  return absl::OkStatus();
}

// An optional count; -1 is how the documented structure says "not given".
absl::StatusOr<std::optional<int>> OptionalCount(const JsonPlace& place) {
  if (place.value() == nullptr) return std::nullopt;
  ASSIGN_OR_RETURN(int64_t value, place.IntInRange(-1, std::numeric_limits<int32_t>::max()));
  if (value == -1) return std::nullopt;
  if (value == 0) return place.Error("expected a count of at least 1, or -1 for none, found 0");
  return static_cast<int>(value);
}

// A count of which only 1 (or "not given") is supported.
absl::Status OnlyOne(const JsonPlace& place, absl::string_view what) {
  ASSIGN_OR_RETURN(const std::optional<int> value, OptionalCount(place));
  if (!value || *value == 1) return absl::OkStatus();
  return Unsupported(place, absl::StrCat(what, ", found ", *value));
}

absl::Status ReadPipeline(const JsonPlace& place, ParallelOptions* options) {
  RETURN_IF_ERROR(place.CheckObject());
  RETURN_IF_ERROR(place.CheckFields({"pipe_stage_num", "pipeline_strategy", "schedule_opt_virtual_stage_num"}));
  ASSIGN_OR_RETURN(options->pipeline_stages, OptionalCount(place.Field("pipe_stage_num")));
  if (place.Field("pipeline_strategy").value() != nullptr) {
    ASSIGN_OR_RETURN(const std::string strategy, place.Field("pipeline_strategy").String());
    // Inference only goes forward: the schedules of training are all the same.
    if (strategy != "" && strategy != "GPipe" && strategy != "1F1B") {
      return place.Field("pipeline_strategy").Error(
          absl::StrCat("expected \"GPipe\" or \"1F1B\", found \"", strategy, "\""));
    }
  }
  return OnlyOne(place.Field("schedule_opt_virtual_stage_num"), "only 1 virtual stage per device is supported");
}

absl::StatusOr<std::vector<PlanHint>> ReadHints(const JsonPlace& place) {
  std::vector<PlanHint> hints;
  if (place.value() == nullptr) return hints;
  ASSIGN_OR_RETURN(const std::vector<JsonPlace> items, place.Array());
  for (const JsonPlace& item : items) {
    RETURN_IF_ERROR(item.CheckObject());
    RETURN_IF_ERROR(item.CheckFields({"node", "output_parts"}));
    PlanHint hint;
    hint.where = item.path();
    ASSIGN_OR_RETURN(hint.node, item.Field("node").String());
    ASSIGN_OR_RETURN(const std::vector<JsonPlace> parts, item.Field("output_parts").Array());
    for (const JsonPlace& part : parts) {
      ASSIGN_OR_RETURN(const int64_t count, part.IntInRange(1, std::numeric_limits<int32_t>::max()));
      hint.output_parts.push_back(count);
    }
    hints.push_back(std::move(hint));
  }
  return hints;
}

absl::Status ReadObjective(const JsonPlace& place, PlanObjective* objective) {
  if (place.value() == nullptr) return absl::OkStatus();
  ASSIGN_OR_RETURN(const std::string text, place.String());
  if (text == "latency") {
    *objective = PlanObjective::kLatency;
  } else if (text == "throughput") {
    *objective = PlanObjective::kThroughput;
  } else if (text == "decode") {
    *objective = PlanObjective::kDecode;
  } else {
    return place.Error(absl::StrCat("expected \"latency\", \"throughput\" or \"decode\", found \"", text, "\""));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<ParallelOptions> ParallelOptions::FromFile(const std::string& path) {
  constexpr size_t kMaxBytes = size_t{1} << 20;
  ASSIGN_OR_RETURN(std::string text, ReadFile(path, kMaxBytes));
  return FromJson(text, path);
}

absl::StatusOr<ParallelOptions> ParallelOptions::FromJson(absl::string_view text, absl::string_view source) {
  ASSIGN_OR_RETURN(JsonDocument document, JsonDocument::Parse(text, source));
  RETURN_IF_ERROR(document.root().CheckFields({"graph_parallel_option", "omserve_plan"}));
  if (document.root().Field("omserve_plan").value() != nullptr) {
    if (document.root().Field("graph_parallel_option").value() != nullptr) {
      return document.root().Error("expected either \"graph_parallel_option\" or \"omserve_plan\", found both");
    }
    ParallelOptions options;
    options.plan = std::string(text);
    return options;
  }
  const JsonPlace root = document.root().Field("graph_parallel_option");
  RETURN_IF_ERROR(root.CheckObject());
  for (const char* key : kUnsupported) {
    if (root.Field(key).value() != nullptr)
      return Unsupported(root.Field(key), "this option is not supported");
  }
  RETURN_IF_ERROR(root.CheckFields({"auto", "opt_level", "tensor_parallel_option", "tensor_sharding",
                                    "pipeline_parallel_option", "data_parallel_option", "global_batch_size", "objective",
                                    "search_seconds", "hints"}));

  ParallelOptions options;
  if (root.Field("auto").value() != nullptr) {
    ASSIGN_OR_RETURN(options.automatic, root.Field("auto").Bool());
  }
  const JsonPlace level = root.Field("opt_level");
  if (level.value() != nullptr) {
    ASSIGN_OR_RETURN(options.opt_level, level.String());
    if (options.opt_level != "O1" && options.opt_level != "O2") {
      return level.Error(absl::StrCat("expected \"O1\" or \"O2\", found \"", options.opt_level, "\""));
    }
  }
  const JsonPlace tensor = root.Field("tensor_parallel_option");
  if (tensor.value() != nullptr) {
    RETURN_IF_ERROR(tensor.CheckObject());
    if (tensor.Field("inter_batch_flow_num").value() != nullptr) {
      // Batches in flight at once; 1 is how everything runs.
      ASSIGN_OR_RETURN(int64_t flows, tensor.Field("inter_batch_flow_num").Int());
      if (flows != 1) {
        return Unsupported(tensor.Field("inter_batch_flow_num"),
                           absl::StrCat("only 1 batch in flight is supported, found ", flows));
      }
    }
    RETURN_IF_ERROR(tensor.CheckFields({"tensor_parallel_size", "inter_batch_flow_num", "pad_uneven"}));
    RETURN_IF_ERROR(ReadOptionalBool(tensor.Field("pad_uneven"), &options.pad_uneven));
    if (tensor.Field("tensor_parallel_size").value() == nullptr) {
      return tensor.Field("tensor_parallel_size").Int().status();
    }
    ASSIGN_OR_RETURN(options.tensor_parallel_size, OptionalCount(tensor.Field("tensor_parallel_size")));
  }
  const JsonPlace pipeline = root.Field("pipeline_parallel_option");
  if (pipeline.value() != nullptr) RETURN_IF_ERROR(ReadPipeline(pipeline, &options));
  const JsonPlace data = root.Field("data_parallel_option");
  if (data.value() != nullptr) {
    RETURN_IF_ERROR(data.CheckObject());
    RETURN_IF_ERROR(data.CheckFields({"data_parallel_size"}));
    ASSIGN_OR_RETURN(options.data_parallel_size, OptionalCount(data.Field("data_parallel_size")));
  }
  const JsonPlace batch = root.Field("global_batch_size");
  if (batch.value() != nullptr) {
    ASSIGN_OR_RETURN(const int64_t rows, batch.Int());
    if (rows < -1 || rows == 0) {
      return batch.Error(absl::StrCat("expected -1 (a request is one run) or the rows of a request, found ", rows));
    }
    if (rows > 0) options.global_batch_size = rows;
  }
  RETURN_IF_ERROR(ReadObjective(root.Field("objective"), &options.objective));
  if (root.Field("search_seconds").value() != nullptr) {
    const JsonPlace seconds = root.Field("search_seconds");
    constexpr double kMostSeconds = 86400;
    if (!seconds.value()->is_number() || seconds.value()->get<double>() <= 0 ||
        seconds.value()->get<double>() > kMostSeconds) {
      return seconds.Error(absl::StrCat("expected seconds above 0, at most ", kMostSeconds, ", found ", seconds.value()->dump()));
    }
    options.search_seconds = seconds.value()->get<double>();
  }
  ASSIGN_OR_RETURN(options.hints, ReadHints(root.Field("hints")));
  if (root.Field("tensor_sharding").value() != nullptr) {
    RETURN_IF_ERROR(ReadTensorSharding(root.Field("tensor_sharding"), &options));
  }
  return options;
}

}  // namespace omserve
