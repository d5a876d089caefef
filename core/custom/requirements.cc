#include "core/custom/requirements.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "core/ops/op.h"

namespace omserve {

void MarkCustomOperators(Graph& graph, std::set<std::string>& needed) {
  for (int32_t id : graph.NodeIds()) {
    Node& node = *graph.node(id);
    const OpDef* def = OpRegistry::Get().Find(node.type());
    if (def == nullptr || def->package.empty()) continue;
    node.SetAttr(kPackageAttr, def->package);
    node.SetAttr(kPackageVersionAttr, def->package_version);
    needed.insert(absl::StrCat(def->type, " (package ", def->package, " ", def->package_version, ")"));
  }
}

absl::Status CheckCustomOperators(const Graph& graph) {
  std::set<std::string> missing;
  for (int32_t id : graph.NodeIds()) {
    const Node& node = *graph.node(id);
    const std::string* package = node.FindAttr<std::string>(kPackageAttr);
    const std::string* version = node.FindAttr<std::string>(kPackageVersionAttr);
    if (package == nullptr || version == nullptr) continue;
    const OpDef* def = OpRegistry::Get().Find(node.type());
    if (def != nullptr && def->package == *package && def->package_version == *version) continue;
    std::string text =
        absl::StrCat("operator '", node.type(), "' of package '", *package, "', version '", *version, "', is needed; ");
    if (def == nullptr) {
      absl::StrAppend(&text, "no package with it is loaded here");
    } else if (def->package.empty()) {
      absl::StrAppend(&text, "the operator is built in here");
    } else {
      absl::StrAppend(&text, "package '", def->package, "', version '", def->package_version, "', is loaded here");
    }
    missing.insert(std::move(text));
  }
  if (missing.empty()) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(absl::StrJoin(missing, "; "), " (see --custom-ops)"));
}

}  // namespace omserve
