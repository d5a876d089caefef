// A GPT of any size as a graph in the vocabulary of the importers after optimisation, with weights by reference: their
// bytes are one range of reserved addresses that is never touched, so 175 billion parameters take no memory.
#ifndef OMSERVE_CORE_PARTITION_TESTING_GPT_GRAPH_H_
#define OMSERVE_CORE_PARTITION_TESTING_GPT_GRAPH_H_

#include "core/graph/graph.h"

namespace omserve {

struct GptSize {
  int64_t layers = 96;
  int64_t hidden = 12288;
  int64_t heads = 96;
  int64_t vocabulary = 51200;  // padded, as Megatron does
  int64_t batch = 1;
  int64_t tokens = 2048;
};

Graph GptGraph(const GptSize& size);

}  // namespace omserve

#endif  // OMSERVE_CORE_PARTITION_TESTING_GPT_GRAPH_H_
