// The run-time interface: sessions that load offline models, or build graphs, and run them.
//
//   ge::GEInitialize(options);
//   ge::Session session(options);
//   session.LoadGraph(0, {}, "model.om");
//   session.RunGraph(0, inputs, outputs);
//   ge::GEFinalize();
//
// Work is done by the service at OMSERVE_ADDRESS; without it, by CPU devices inside this process. Every call returns
// SUCCESS or another value, with the text in GEGetErrorMsg.
#ifndef OMSERVE_GE_GE_GE_API_H_
#define OMSERVE_GE_GE_GE_API_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "ge/ge_api_error_codes.h"
#include "ge/ge_api_types.h"
#include "graph/ascend_string.h"
#include "graph/graph.h"
#include "graph/tensor.h"

namespace ge {

class DataFlowInfo;
class SessionImpl;
typedef uint32_t (*pCallBackFunc)(uint32_t graph_id, const std::map<std::string, ge::Tensor> &params_list);

GE_FUNC_VISIBILITY Status GEInitialize(const std::map<std::string, std::string> &options);
GE_FUNC_VISIBILITY Status GEInitialize(const std::map<AscendString, AscendString> &options);
GE_FUNC_VISIBILITY Status GEFinalize();
// What went wrong in this process since they were last called.
GE_FUNC_VISIBILITY std::string GEGetErrorMsg();
GE_FUNC_VISIBILITY AscendString GEGetErrorMsgV2();
GE_FUNC_VISIBILITY std::string GEGetWarningMsg();
GE_FUNC_VISIBILITY AscendString GEGetWarningMsgV2();
// Over how many devices the OM at `data` is distributed.
GE_FUNC_VISIBILITY Status GetModelDistributeDesc(const void *data, const uint64_t length, ModelDistibuteDesc &desc);

// Not thread-safe. After a constructor that failed, the id is 0 and every call fails. Calls that an open service has
// nothing to answer with (streams, device memory, data flow) fail and say so.
class GE_FUNC_VISIBILITY Session {
 public:
  explicit Session(const std::map<std::string, std::string> &options);
  explicit Session(const std::map<AscendString, AscendString> &options);
  ~Session();
  Session(const Session &) = delete;
  Session &operator=(const Session &) = delete;

  uint64_t GetSessionId() const;

  // A used id keeps its first graph.
  Status AddGraph(uint32_t graph_id, const Graph &graph);
  Status AddGraph(uint32_t graph_id, const Graph &graph, const std::map<std::string, std::string> &options);
  Status AddGraph(uint32_t graph_id, const Graph &graph, const std::map<AscendString, AscendString> &options);
  Status AddGraphWithCopy(uint32_t graph_id, const Graph &graph);
  Status AddGraphWithCopy(uint32_t graph_id, const Graph &graph, const std::map<AscendString, AscendString> &options);
  // An OM that was built for distributed deployment and holds no variables.
  Status LoadGraph(const uint32_t graph_id, const std::map<std::string, std::string> &options,
                   const std::string &om_file_path) const;
  Status LoadGraph(const uint32_t graph_id, const std::map<AscendString, AscendString> &options, void *stream) const;
  Status RemoveGraph(uint32_t graph_id);

  // Builds an added graph for inputs of these shapes, and makes it ready to run.
  Status BuildGraph(uint32_t graph_id, const std::vector<InputTensorInfo> &inputs);
  Status BuildGraph(uint32_t graph_id, const std::vector<Tensor> &inputs);
  Status CompileGraph(uint32_t graph_id);
  bool IsGraphNeedRebuild(uint32_t graph_id);

  // `inputs` in the order of the Data operators' index; `outputs` is filled in the order of the graph's outputs.
  Status RunGraph(uint32_t graph_id, const std::vector<Tensor> &inputs, std::vector<Tensor> &outputs);
  // Returns at once. Callbacks come one after another, in order, on a thread of the session, and must not destroy it.
  Status RunGraphAsync(uint32_t graph_id, const std::vector<Tensor> &inputs, RunAsyncCallback callback);
  Status RunGraphDistribute(uint32_t graph_id, const std::map<int32_t, std::vector<Tensor>> &device_to_inputs,
                            std::map<int32_t, std::vector<Tensor>> &device_to_outputs);
  Status RunGraphWithStreamAsync(uint32_t graph_id, void *stream, const std::vector<Tensor> &inputs,
                                 std::vector<Tensor> &outputs);

  Status GetVariables(const std::vector<std::string> &names, std::vector<Tensor> &values);
  Status GetVariables(const std::vector<AscendString> &names, std::vector<Tensor> &values);
  Status RegisterCallBackFunc(const std::string &key, const pCallBackFunc &callback);
  Status FeedDataFlowGraph(uint32_t graph_id, const std::vector<Tensor> &inputs, const DataFlowInfo &info, int32_t timeout);
  Status FetchDataFlowGraph(uint32_t graph_id, std::vector<Tensor> &outputs, DataFlowInfo &info, int32_t timeout);
  Status SetGraphConstMemoryBase(uint32_t graph_id, const void *const memory, size_t size);
  Status UpdateGraphFeatureMemoryBase(uint32_t graph_id, const void *const memory, size_t size);
  Status ShardGraphsToFile(const char_t *file_path = "./") const;
  Status ShardGraphs() const;
  Status SaveGraphsToPb(const char_t *file_path) const;

 private:
  const std::unique_ptr<SessionImpl> impl_;
};

}  // namespace ge

#endif  // OMSERVE_GE_GE_GE_API_H_
