#include "core/ops/packaged_ops.h"

#include <map>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"

namespace omserve {
namespace {

using Table = std::map<std::string, std::unique_ptr<const PackagedOp>, std::less<>>;

struct Packaged {
  std::shared_mutex mutex;
  Table by_type;  // guarded by mutex; what it points to never changes
};

Packaged& Process() {
  static Packaged* const packaged = new Packaged;
  return *packaged;
}

bool SameOnnxName(const PackagedOp& a, const PackagedOp& b) {
  return !a.onnx_domain.empty() && a.onnx_domain == b.onnx_domain && a.onnx_type == b.onnx_type;
}

absl::Status CheckFree(const Table& table, const PackagedOp& op) {
  for (const auto& [type, other] : table) {
    if (type == op.def.type) {
      return absl::AlreadyExistsError(
          absl::StrCat("operator '", type, "' is in package '", other->package, "' already"));
    }
    if (SameOnnxName(*other, op)) {
      return absl::AlreadyExistsError(absl::StrCat("operator '", op.def.type, "': the ONNX name '", op.onnx_domain, ".",
                                                   op.onnx_type, "' stands for operator '", type, "' of package '",
                                                   other->package, "' already"));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status RegisterPackagedOps(std::vector<PackagedOp> ops) {
  Packaged& process = Process();
  const OpRegistry& registry = OpRegistry::Get();
  Table added;
  for (PackagedOp& op : ops) {
    if (registry.Find(op.def.type) != nullptr && FindPackagedOp(op.def.type) == nullptr) {
      return absl::AlreadyExistsError(absl::StrCat("operator '", op.def.type, "' is built in"));
    }
    if (absl::Status free = CheckFree(added, op); !free.ok()) return free;
    std::string type = op.def.type;
    added.emplace(std::move(type), std::make_unique<const PackagedOp>(std::move(op)));
  }
  std::unique_lock lock(process.mutex);
  for (const auto& [type, op] : added) {
    if (absl::Status free = CheckFree(process.by_type, *op); !free.ok()) return free;
  }
  process.by_type.merge(added);
  return absl::OkStatus();
}

const PackagedOp* FindPackagedOp(absl::string_view type) {
  Packaged& process = Process();
  std::shared_lock lock(process.mutex);
  auto it = process.by_type.find(std::string_view(type.data(), type.size()));
  return it == process.by_type.end() ? nullptr : it->second.get();
}

const PackagedOp* FindPackagedOnnxOp(absl::string_view domain, absl::string_view op_type) {
  if (domain.empty()) return nullptr;
  Packaged& process = Process();
  std::shared_lock lock(process.mutex);
  for (const auto& [type, op] : process.by_type) {
    if (op->onnx_domain == domain && op->onnx_type == op_type) return op.get();
  }
  return nullptr;
}

std::vector<std::string> PackagedTypes() {
  Packaged& process = Process();
  std::shared_lock lock(process.mutex);
  std::vector<std::string> types;
  for (const auto& [type, op] : process.by_type) types.push_back(type);
  return types;
}

}  // namespace omserve
