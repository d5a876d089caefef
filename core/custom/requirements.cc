#include "core/custom/requirements.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "core/ops/packaged_ops.h"

namespace omserve {

void MarkCustomOperators(Graph& graph, std::set<std::string>& needed) {
  for (int32_t id : graph.NodeIds()) {
    Node& node = *graph.node(id);
    const PackagedOp* op = FindPackagedOp(node.type());
    if (op == nullptr) continue;
    node.SetAttr(kPackageAttr, op->package);
    node.SetAttr(kPackageVersionAttr, op->version);
    needed.insert(absl::StrCat(node.type(), " (package ", op->package, " ", op->version, ")"));
  }
}

absl::Status CheckCustomOperators(const Graph& graph) {
  std::set<std::string> missing;
  for (int32_t id : graph.NodeIds()) {
    const Node& node = *graph.node(id);
    const std::string* package = node.FindAttr<std::string>(kPackageAttr);
    const std::string* version = node.FindAttr<std::string>(kPackageVersionAttr);
    if (package == nullptr || version == nullptr) continue;
    const PackagedOp* op = FindPackagedOp(node.type());
    if (op != nullptr && op->package == *package && op->version == *version) continue;
    std::string text =
        absl::StrCat("operator '", node.type(), "' of package '", *package, "', version '", *version, "', is needed; ");
    if (op != nullptr) {
      absl::StrAppend(&text, "package '", op->package, "', version '", op->version, "', is loaded here");
    } else if (OpRegistry::Get().Find(node.type()) != nullptr) {
      absl::StrAppend(&text, "the operator is built in here");
    } else {
      absl::StrAppend(&text, "no package with it is loaded here");
    }
    missing.insert(std::move(text));
  }
  if (missing.empty()) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(absl::StrJoin(missing, "; "), " (see --custom-ops)"));
}

}  // namespace omserve
