// Any bytes as an AIR file for ge::Graph, which has a reader of its own: refused, or a graph that is the same again after
// being written and read.
#include <cstddef>
#include <cstdint>
#include <string>

#include "ge/ge_api.h"
#include "graph/graph.h"
#include "google/protobuf/stubs/logging.h"
#include "tests/fuzz/status_check.h"

namespace {

std::string Written(const ge::Graph& graph, bool* done) {
  ge::GraphBuffer buffer;
  *done = graph.SaveToMem(buffer) == ge::GRAPH_SUCCESS;
  return *done ? std::string(reinterpret_cast<const char*>(buffer.GetData()), buffer.GetSize()) : std::string();
}

}  // namespace

// Else protobuf reports every text that is no UTF-8.
extern "C" int LLVMFuzzerInitialize(int*, char***) {
  google::protobuf::SetLogHandler(nullptr);
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  ge::Graph graph("fuzz");
  if (graph.LoadFromMem(data, size) == ge::GRAPH_SUCCESS) {
    bool done = false;
    const std::string bytes = Written(graph, &done);
    if (done) {  // a graph may be read that cannot be written, such as one whose nodes lack inputs
      ge::Graph again("again");
      omserve::fuzz::Check(again.LoadFromMem(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()) ==
                           ge::GRAPH_SUCCESS);
      omserve::fuzz::Check(Written(again, &done) == bytes);
    }
  }
  ge::GEGetErrorMsg();  // takes the messages away
  return 0;
}
