// Graph structure: inputs, constants, outputs. Their sharding is the planner's choice, so they have no rule.
#include "absl/strings/str_cat.h"
#include "core/ops/cost_util.h"
#include "core/ops/families.h"
#include "core/ops/infer_util.h"
#include "core/ops/schema.h"

namespace omserve {

void AddStructureOps(OpRegistry& registry) {
  registry.Add({.type = "Data",
                .outputs = {"y"},
                .attrs = {DefaultAttr("index", int64_t{0})},
                .infer = [](const NodeView& view) -> absl::StatusOr<Descs> {
                  if (view.node().num_outputs() != 1) {
                    return absl::InvalidArgumentError("a graph input needs one description");
                  }
                  return Descs{view.output()};
                },
                .cost = NoCost()});
  registry.Add({.type = "Const",
                .outputs = {"y"},
                .infer = [](const NodeView& view) -> absl::StatusOr<Descs> {
                  if (view.node().constant() == nullptr) return absl::InvalidArgumentError("it has no value");
                  return Descs{view.node().constant()->desc()};
                },
                .cost = NoCost()});
  registry.Add({.type = "NetOutput",
                .inputs = {Dynamic("x")},
                .infer = [](const NodeView&) -> absl::StatusOr<Descs> { return Descs{}; },
                .cost = NoCost()});
}

}  // namespace omserve
