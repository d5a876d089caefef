// OperatorFactory: operators by the name of their type.
#ifndef OMSERVE_GE_GRAPH_OPERATOR_FACTORY_H_
#define OMSERVE_GE_GRAPH_OPERATOR_FACTORY_H_

#include <functional>
#include <string>
#include <vector>

#include "graph/operator.h"

namespace ge {

using OpCreatorV2 = std::function<Operator(const AscendString &name)>;

class GE_FUNC_VISIBILITY OperatorFactory {
 public:
  // An empty operator when nobody has registered the type.
  static Operator CreateOperator(const char_t *name, const char_t *type);
  static Operator CreateOperator(const std::string &name, const std::string &type) {
    return CreateOperator(name.c_str(), type.c_str());
  }
  static bool IsExistOp(const char_t *type);
  static bool IsExistOp(const std::string &type) { return IsExistOp(type.c_str()); }
  static graphStatus GetOpsTypeList(std::vector<AscendString> &types);
  static graphStatus GetOpsTypeList(std::vector<std::string> &types);
};

// Registers the creator of a type while it is constructed; the first one of a type stays.
class GE_FUNC_VISIBILITY OperatorCreatorRegister {
 public:
  OperatorCreatorRegister(const char_t *type, const OpCreatorV2 &creator);
};

}  // namespace ge

#endif  // OMSERVE_GE_GRAPH_OPERATOR_FACTORY_H_
