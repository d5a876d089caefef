// Attributes of a node: the kinds of GE IR that operators use (AttrDef: i, f, b, s, dt, list.*, list_list_int).
#ifndef OMSERVE_CORE_GRAPH_ATTRIBUTES_H_
#define OMSERVE_CORE_GRAPH_ATTRIBUTES_H_

#include <cstdint>
#include <map>
#include <string>
#include <variant>
#include <vector>

#include "core/tensor/data_type.h"

namespace omserve {

using AttrValue = std::variant<int64_t, float, bool, std::string, DataType, std::vector<int64_t>, std::vector<float>,
                               std::vector<bool>, std::vector<std::string>, std::vector<DataType>,
                               std::vector<std::vector<int64_t>>>;

// Ordered, so that dumps and files are deterministic.
using AttrMap = std::map<std::string, AttrValue>;

// The same text in dumps and messages: 3, 0.5, true, "text", float32, [1,2], [[0,1],[2]].
std::string AttrToString(const AttrValue& value);

}  // namespace omserve

#endif  // OMSERVE_CORE_GRAPH_ATTRIBUTES_H_
