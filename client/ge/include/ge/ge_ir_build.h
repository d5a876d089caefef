// Offline builds: a graph becomes an offline model (OM) in memory, to be saved as a file.
//
//   std::map<ge::AscendString, ge::AscendString> global = {{ge::ir_option::CLUSTER_CONFIG, "cluster.json"}};
//   ge::aclgrphBuildInitialize(global);
//   ge::ModelBufferData model;
//   ge::aclgrphBuildModel(graph, options, model);
//   ge::aclgrphSaveModel("model", model);  // writes model.om
//   ge::aclgrphBuildFinalize();
//
// Every call returns GRAPH_SUCCESS or another value, with the text in GEGetErrorMsg. Thread-safe.
#ifndef OMSERVE_GE_GE_GE_IR_BUILD_H_
#define OMSERVE_GE_GE_GE_IR_BUILD_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "ge/ge_api_types.h"
#include "graph/ascend_string.h"
#include "graph/ge_error_codes.h"
#include "graph/graph.h"

namespace ge {

constexpr int32_t IR_MAJOR_VERSION = 1;
constexpr int32_t IR_MINOR_VERSION = 0;
constexpr int32_t IR_PATCH_VERSION = 0;

struct ModelBufferData {
  std::shared_ptr<uint8_t> data = nullptr;
  uint64_t length = 0;
};

// Options that hold for all builds of the process. Later calls change nothing and succeed.
GE_FUNC_VISIBILITY graphStatus aclgrphBuildInitialize(std::map<std::string, std::string> global_options);
GE_FUNC_VISIBILITY graphStatus aclgrphBuildInitialize(std::map<AscendString, AscendString> &global_options);
GE_FUNC_VISIBILITY void aclgrphBuildFinalize();

// GRAPH_PARAM_INVALID for a key that it does not know, GRAPH_FAILED when the graph cannot be built. Options given here
// win over those of aclgrphBuildInitialize.
GE_FUNC_VISIBILITY graphStatus aclgrphBuildModel(const Graph &graph, const std::map<std::string, std::string> &build_options,
                                                 ModelBufferData &model);
GE_FUNC_VISIBILITY graphStatus aclgrphBuildModel(const Graph &graph, const std::map<AscendString, AscendString> &build_options,
                                                 ModelBufferData &model);
// Slices of one model, matched by name to the relation file of MODEL_RELATION_CONFIG.
GE_FUNC_VISIBILITY graphStatus aclgrphBuildModel(const std::vector<Graph> &graphs,
                                                 const std::map<std::string, std::string> &build_options,
                                                 ModelBufferData &model);
GE_FUNC_VISIBILITY graphStatus aclgrphBuildModel(const std::vector<Graph> &graphs,
                                                 const std::map<AscendString, AscendString> &build_options,
                                                 ModelBufferData &model);

// Writes `output_file`.om.
GE_FUNC_VISIBILITY graphStatus aclgrphSaveModel(const std::string &output_file, const ModelBufferData &model);
GE_FUNC_VISIBILITY graphStatus aclgrphSaveModel(const char_t *output_file, const ModelBufferData &model);

GE_FUNC_VISIBILITY graphStatus aclgrphGetIRVersion(int32_t *major_version, int32_t *minor_version, int32_t *patch_version);
// Writes the graph as readable text into `file`, a name of `length` characters.
GE_FUNC_VISIBILITY graphStatus aclgrphDumpGraph(const Graph &graph, const char_t *file, const size_t length);

// Declared so that code which names them compiles; GRAPH_FAILED with a text (E10055): operators keep their data types and
// weights as the graph has them, and an OM holds one model.
enum aclgrphAttrType { ATTR_TYPE_KEEP_DTYPE = 0, ATTR_TYPE_WEIGHT_COMPRESS };
struct GraphWithOptions {
  Graph graph;
  std::map<AscendString, AscendString> build_options;
};
struct WeightRefreshableGraphs {
  Graph infer_graph;
  Graph var_init_graph;
  Graph var_update_graph;
};
GE_FUNC_VISIBILITY graphStatus aclgrphSetOpAttr(Graph &graph, aclgrphAttrType attr_type, const char_t *cfg_path);
GE_FUNC_VISIBILITY graphStatus aclgrphConvertToWeightRefreshableGraphs(const Graph &origin_graph,
                                                                       const std::vector<AscendString> &const_names,
                                                                       WeightRefreshableGraphs &weight_refreshable_graphs);
GE_FUNC_VISIBILITY graphStatus aclgrphBundleBuildModel(const std::vector<GraphWithOptions> &graphs, ModelBufferData &model);
GE_FUNC_VISIBILITY graphStatus aclgrphBundleSaveModel(const char_t *output_file, const ModelBufferData &model);

}  // namespace ge

#endif  // OMSERVE_GE_GE_GE_IR_BUILD_H_
