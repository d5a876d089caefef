// Packages of custom operators: shared objects in folders that the operator of the service names. What they hold joins
// OpRegistry and the CPU's KernelTable, so that everything else treats them as built-in operators.
// The interface: core/custom/include/omserve/custom_op.h; how it is used: docs/custom_operators.md.
#ifndef OMSERVE_CORE_CUSTOM_PACKAGES_H_
#define OMSERVE_CORE_CUSTOM_PACKAGES_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace omserve {

struct CustomPackage {
  std::string name;
  std::string version;
  std::string file;
  std::vector<std::string> operators;  // types
};

// The folders of the environment (ASCEND_CUSTOM_OPP_PATH, then OMSERVE_CUSTOM_OPP_PATH; lists with ':'), then `more`.
std::vector<std::string> CustomOperatorFolders(const std::vector<std::string>& more);

// Loads every *.so that lies in one of the folders, for the life of the process; a file that is loaded already
// counts but is left as it is. All packages of the folders, in order. Thread-safe. The first file that is refused ends
// it; those before it stay. Errors name file and reason:
//   NOT_FOUND            a folder is not there
//   FAILED_PRECONDITION  not a shared object, unresolved symbols, no omserve_custom_package, another ABI version
//   INVALID_ARGUMENT     a malformed schema
//   ALREADY_EXISTS       an operator (or the package) is taken
absl::StatusOr<std::vector<CustomPackage>> LoadCustomPackages(const std::vector<std::string>& folders);

}  // namespace omserve

#endif  // OMSERVE_CORE_CUSTOM_PACKAGES_H_
