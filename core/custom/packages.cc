#include "core/custom/packages.h"

#include <dlfcn.h>
#include <stdlib.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <system_error>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/synchronization/mutex.h"
#include "core/base/status.h"
#include "core/custom/kernel.h"
#include "core/custom/package_ops.h"
#include "core/ops/packaged_ops.h"

namespace omserve {
namespace {

namespace fs = std::filesystem;

struct Loaded {
  absl::Mutex mutex;
  std::map<std::string, CustomPackage> by_file ABSL_GUARDED_BY(mutex);
};

Loaded& Process() {
  static Loaded* const loaded = new Loaded;
  return *loaded;
}

absl::StatusOr<std::vector<std::string>> SharedObjects(const std::string& folder) {
  std::error_code error;
  std::vector<std::string> files;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    if (it->path().extension() != ".so" || !it->is_regular_file(error)) continue;
    const fs::path file = fs::canonical(it->path(), error);
    if (!error) files.push_back(file.string());
  }
  if (error) return absl::ErrnoToStatus(error.value(), absl::StrCat("folder of custom operators '", folder, "'"));
  std::sort(files.begin(), files.end());
  return files;
}

absl::StatusOr<CustomPackage> Register(const std::string& file, void* handle,
                                       const std::map<std::string, CustomPackage>& loaded) {
  const auto entry =
      reinterpret_cast<const omserve_package* (*)()>(::dlsym(handle, "omserve_custom_package"));
  if (entry == nullptr) {
    return absl::FailedPreconditionError("it does not export omserve_custom_package(): not a package of operators");
  }
  const omserve_package* package = entry();
  if (package == nullptr) return absl::FailedPreconditionError("omserve_custom_package() answers NULL");
  ASSIGN_OR_RETURN(std::vector<PackagedOp> ops, OpsOfPackage(*package));
  CustomPackage made{package->name, package->version, file, {}};
  for (const auto& [other_file, other] : loaded) {
    if (other.name == made.name) {
      return absl::AlreadyExistsError(
          absl::StrCat("package '", made.name, "' comes from ", other_file, " already (version ", other.version, ")"));
    }
  }
  for (const PackagedOp& op : ops) made.operators.push_back(op.def.type);
  RETURN_IF_ERROR(RegisterPackagedOps(std::move(ops)));
  // No model is imported or loaded before this returns, so nobody asks for a kernel in between.
  for (int i = 0; i < package->num_ops; ++i) RegisterCustomKernel(package->ops[i]);
  return made;
}

absl::StatusOr<CustomPackage> Load(const std::string& file, const std::map<std::string, CustomPackage>& loaded) {
  // All symbols now: one that is missing must not end a run.
  void* const handle = ::dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) return absl::FailedPreconditionError(::dlerror());
  absl::StatusOr<CustomPackage> package = Register(file, handle, loaded);
  if (!package.ok()) ::dlclose(handle);
  return package;
}

}  // namespace

std::vector<std::string> CustomOperatorFolders(const std::vector<std::string>& more) {
  std::vector<std::string> folders;
  for (const char* variable : {"ASCEND_CUSTOM_OPP_PATH", "OMSERVE_CUSTOM_OPP_PATH"}) {
    const char* list = ::getenv(variable);
    if (list == nullptr) continue;
    for (absl::string_view folder : absl::StrSplit(list, ':', absl::SkipEmpty())) folders.emplace_back(folder);
  }
  folders.insert(folders.end(), more.begin(), more.end());
  return folders;
}

absl::StatusOr<std::vector<CustomPackage>> LoadCustomPackages(const std::vector<std::string>& folders) {
  Loaded& process = Process();
  absl::MutexLock lock(&process.mutex);
  std::vector<CustomPackage> packages;
  for (const std::string& folder : folders) {
    ASSIGN_OR_RETURN(const std::vector<std::string> files, SharedObjects(folder));
    for (const std::string& file : files) {
      auto it = process.by_file.find(file);
      if (it == process.by_file.end()) {
        ASSIGN_OR_RETURN_WITH(CustomPackage package, Load(file, process.by_file),
                              absl::StrCat("custom operators in ", file));
        it = process.by_file.emplace(file, std::move(package)).first;
      }
      packages.push_back(it->second);
    }
  }
  return packages;
}

}  // namespace omserve
