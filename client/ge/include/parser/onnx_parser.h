// ONNX models as graphs.
#ifndef OMSERVE_GE_PARSER_ONNX_PARSER_H_
#define OMSERVE_GE_PARSER_ONNX_PARSER_H_

#include <map>
#include <string>

#include "graph/ascend_string.h"
#include "graph/ge_error_codes.h"
#include "graph/graph.h"

namespace ge {

// Keys that are not known are warned of. Honoured: OUTPUT (the graph's name); OUT_NODES ("node:0;node:1").
GE_FUNC_VISIBILITY graphStatus aclgrphParseONNX(const char_t *model_file,
                                                const std::map<AscendString, AscendString> &parser_params, Graph &graph);
// A model without external data.
GE_FUNC_VISIBILITY graphStatus aclgrphParseONNXFromMem(const char_t *buffer, size_t size,
                                                       const std::map<AscendString, AscendString> &parser_params,
                                                       Graph &graph);

}  // namespace ge

#endif  // OMSERVE_GE_PARSER_ONNX_PARSER_H_
