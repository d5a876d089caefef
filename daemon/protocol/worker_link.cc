#include "daemon/protocol/worker_link.h"

#include "absl/strings/str_cat.h"

namespace omserve {

std::string ToString(const EpochId& id) {
  return absl::StrCat("'", id.deployment, "' epoch ", id.epoch, " replica ", id.replica);
}

}  // namespace omserve
