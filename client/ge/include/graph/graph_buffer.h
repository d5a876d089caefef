// GraphBuffer: a serialized graph in memory.
#ifndef OMSERVE_GE_GRAPH_GRAPH_BUFFER_H_
#define OMSERVE_GE_GRAPH_GRAPH_BUFFER_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "graph/ge_error_codes.h"

namespace ge {

class GE_FUNC_VISIBILITY GraphBuffer {
 public:
  const uint8_t *GetData() const { return reinterpret_cast<const uint8_t *>(bytes_.data()); }
  size_t GetSize() const { return bytes_.size(); }

 private:
  friend class Graph;
  std::string bytes_;
};

}  // namespace ge

#endif  // OMSERVE_GE_GRAPH_GRAPH_BUFFER_H_
