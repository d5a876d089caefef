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
    "pipeline_parallel_option",
    "data_parallel_option",
    "engine_parallel_option",
    "optimizer_offload_option",
    "global_batch_size",
    "mode",
    "work_dir",
    "graph_id",
    "version",
};

absl::Status Unsupported(const JsonPlace& place, absl::string_view what) {
  return absl::UnimplementedError(absl::StrCat(place.path(), ": ", what));
}

absl::Status CheckOptionalBool(const JsonPlace& place) {
  return place.value() == nullptr ? absl::OkStatus() : place.Bool().status();
}

absl::Status CheckTensorSharding(const JsonPlace& place) {
  RETURN_IF_ERROR(place.CheckFields({"optimizer_state_sharding", "gradient_sharding", "model_weight_sharding",
                                     "model_weight_prefetch", "model_weight_prefetch_buffer_size"}));
  // Optimizer states and gradients do not exist at inference; prefetching has no meaning without sharded
  // weights.
  RETURN_IF_ERROR(CheckOptionalBool(place.Field("optimizer_state_sharding")));
  RETURN_IF_ERROR(CheckOptionalBool(place.Field("gradient_sharding")));
  RETURN_IF_ERROR(CheckOptionalBool(place.Field("model_weight_prefetch")));
  const JsonPlace buffer = place.Field("model_weight_prefetch_buffer_size");
  if (buffer.value() != nullptr) {
    RETURN_IF_ERROR(buffer.IntInRange(0, std::numeric_limits<int32_t>::max()).status());
  }
  const JsonPlace weights = place.Field("model_weight_sharding");
  if (weights.value() == nullptr) return absl::OkStatus();
  ASSIGN_OR_RETURN(bool shard, weights.Bool());
  if (!shard) return absl::OkStatus();
  return Unsupported(weights,
                     "gathering sharded weights on use is not supported; weights are already cut by tensor "
                     "parallelism, expected false");
}

}  // namespace

absl::StatusOr<ParallelOptions> ParallelOptions::FromFile(const std::string& path) {
  constexpr size_t kMaxBytes = size_t{1} << 20;
  ASSIGN_OR_RETURN(std::string text, ReadFile(path, kMaxBytes));
  return FromJson(text, path);
}

absl::StatusOr<ParallelOptions> ParallelOptions::FromJson(absl::string_view text, absl::string_view source) {
  ASSIGN_OR_RETURN(JsonDocument document, JsonDocument::Parse(text, source));
  RETURN_IF_ERROR(document.root().CheckFields({"graph_parallel_option"}));
  const JsonPlace root = document.root().Field("graph_parallel_option");
  RETURN_IF_ERROR(root.CheckObject());
  for (const char* key : kUnsupported) {
    if (root.Field(key).value() != nullptr)
      return Unsupported(root.Field(key), "this option is not supported");
  }
  RETURN_IF_ERROR(root.CheckFields({"auto", "opt_level", "tensor_parallel_option", "tensor_sharding"}));

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
    RETURN_IF_ERROR(tensor.CheckFields({"tensor_parallel_size", "inter_batch_flow_num"}));
    ASSIGN_OR_RETURN(int64_t size,
                     tensor.Field("tensor_parallel_size").IntInRange(1, std::numeric_limits<int32_t>::max()));
    options.tensor_parallel_size = static_cast<int>(size);
  }
  if (root.Field("tensor_sharding").value() != nullptr) {
    RETURN_IF_ERROR(CheckTensorSharding(root.Field("tensor_sharding")));
  }
  return options;
}

}  // namespace omserve
