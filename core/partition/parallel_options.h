// The partition policy: the "graph_parallel_option" JSON file (GRAPH_PARALLEL_OPTION_PATH).
#ifndef OMSERVE_CORE_PARTITION_PARALLEL_OPTIONS_H_
#define OMSERVE_CORE_PARTITION_PARALLEL_OPTIONS_H_

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace omserve {

struct ParallelOptions {
  // "O1": dynamic programming; "O2": integer programming. Both are accepted; see docs/partitioning.md.
  std::string opt_level = "O2";
  bool automatic = false;
  std::optional<int> tensor_parallel_size;

  // Located errors: unknown keys, wrong kinds, and UNIMPLEMENTED naming the key for documented options that are not
  // supported yet.
  static absl::StatusOr<ParallelOptions> FromJson(absl::string_view text, absl::string_view source);
  static absl::StatusOr<ParallelOptions> FromFile(const std::string& path);
};

}  // namespace omserve

#endif  // OMSERVE_CORE_PARTITION_PARALLEL_OPTIONS_H_
