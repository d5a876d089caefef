#include "graph/operator_factory.h"

#include <map>
#include <mutex>
#include <string>

namespace ge {
namespace {

struct Registry {
  std::mutex mutex;
  std::map<std::string, OpCreatorV2> creators;
};

// Prototypes register while programs and libraries are initialised, in any order; it is never destroyed.
Registry& TheRegistry() {
  static auto* registry = new Registry;
  return *registry;
}

}  // namespace

OperatorCreatorRegister::OperatorCreatorRegister(const char_t* type, const OpCreatorV2& creator) {
  Registry& registry = TheRegistry();
  const std::lock_guard<std::mutex> lock(registry.mutex);
  registry.creators.emplace(type, creator);
}

Operator OperatorFactory::CreateOperator(const char_t* name, const char_t* type) {
  if (name == nullptr || type == nullptr) return Operator();
  Registry& registry = TheRegistry();
  OpCreatorV2 creator;
  {
    const std::lock_guard<std::mutex> lock(registry.mutex);
    auto it = registry.creators.find(type);
    if (it == registry.creators.end()) return Operator();
    creator = it->second;
  }
  return creator(AscendString(name));
}

bool OperatorFactory::IsExistOp(const char_t* type) {
  Registry& registry = TheRegistry();
  const std::lock_guard<std::mutex> lock(registry.mutex);
  return type != nullptr && registry.creators.contains(type);
}

graphStatus OperatorFactory::GetOpsTypeList(std::vector<std::string>& types) {
  Registry& registry = TheRegistry();
  const std::lock_guard<std::mutex> lock(registry.mutex);
  for (const auto& [type, creator] : registry.creators) types.push_back(type);
  return types.empty() ? GRAPH_FAILED : GRAPH_SUCCESS;
}

graphStatus OperatorFactory::GetOpsTypeList(std::vector<AscendString>& types) {
  std::vector<std::string> texts;
  const graphStatus status = GetOpsTypeList(texts);
  for (const std::string& text : texts) types.emplace_back(text.c_str());
  return status;
}

}  // namespace ge
