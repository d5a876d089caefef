// What a model needs of packages: written on its nodes when it is built, compared when a slice is loaded.
#ifndef OMSERVE_CORE_CUSTOM_REQUIREMENTS_H_
#define OMSERVE_CORE_CUSTOM_REQUIREMENTS_H_

#include <set>
#include <string>

#include "absl/status/status.h"
#include "core/graph/graph.h"

namespace omserve {

// Private attributes of the nodes of packages' operators.
inline constexpr char kPackageAttr[] = "_omserve_package";
inline constexpr char kPackageVersionAttr[] = "_omserve_package_version";

// Marks every node whose operator comes from a package, and adds "Type (package name version)" to `needed`.
void MarkCustomOperators(Graph& graph, std::set<std::string>& needed);

// FAILED_PRECONDITION naming operator, package and version of all marked nodes whose operator is not here, or comes
// from another package or version.
absl::Status CheckCustomOperators(const Graph& graph);

}  // namespace omserve

#endif  // OMSERVE_CORE_CUSTOM_REQUIREMENTS_H_
