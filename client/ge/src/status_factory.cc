#include <map>
#include <mutex>

#include "ge/ge_api_error_codes.h"

namespace ge {
namespace {

struct Texts {
  std::mutex mutex;
  std::map<uint32_t, std::string> by_value;
};

Texts& TheTexts() {
  static auto* const texts = new Texts;
  return *texts;
}

}  // namespace

StatusFactory* StatusFactory::Instance() {
  static auto* const factory = new StatusFactory;
  return factory;
}

StatusFactory::StatusFactory() {
  static constexpr struct {
    uint32_t value;
    const char* text;
  } kTexts[] = {
      {SUCCESS, "Success."},
      {FAILED, "Failed."},
      {GE_CLI_INIT_FAILED, "GE initialization failed."},
      {GE_CLI_FINAL_FAILED, "GE finalization failed."},
      {GE_CLI_SESS_CONSTRUCT_FAILED, "Session construction failed."},
      {GE_CLI_SESS_DESTROY_FAILED, "Session destruction failed."},
      {GE_CLI_SESS_ADD_FAILED, "Adding a graph to the session failed."},
      {GE_CLI_SESS_REMOVE_FAILED, "Removing a graph from the session failed."},
      {GE_CLI_SESS_RUN_FAILED, "Running a graph of the session failed."},
      {GE_CLI_GE_ALREADY_INITIALIZED, "GE is already initialized."},
      {GE_CLI_GE_NOT_INITIALIZED, "GE is not initialized."},
      {GE_SESS_INIT_FAILED, "Session initialization failed."},
      {GE_SESS_ALREADY_RUNNING, "The session is already running."},
      {GE_SESS_GRAPH_NOT_EXIST, "The session has no such graph."},
      {GE_SESS_GRAPH_ALREADY_EXIST, "The session has a graph with this id already."},
      {GE_SESS_GRAPH_IS_RUNNING, "The graph is running."},
      {GE_SESSION_NOT_EXIST, "There is no such session."},
      {GE_SESSION_MANAGER_NOT_INIT, "The session manager is not initialized."},
      {GE_GRAPH_INIT_FAILED, "Graph initialization failed."},
      {GE_GRAPH_GRAPH_NOT_EXIST, "There is no such graph."},
      {GE_GRAPH_GRAPH_ALREADY_EXIST, "The graph exists already."},
      {GE_GRAPH_GRAPH_IS_RUNNING, "The graph is running."},
      {GE_GRAPH_RUN_FAILED, "Running the graph failed."},
      {GE_GRAPH_NOT_BUILT, "The graph is not built."},
      {MEMALLOC_FAILED, "Memory allocation failed."},
      {END_OF_SEQUENCE, "End of sequence."},
      {PATH_INVALID, "The path is invalid."},
      {GRAPH_PARAM_INVALID, "A parameter is invalid."},
      {GRAPH_NOT_CHANGED, "The graph has not changed."},
      {ACL_ERROR_GE_PARAM_INVALID, "Param invalid."},
      {ACL_ERROR_GE_EXEC_NOT_INIT, "Exec not init."},
      {ACL_ERROR_GE_EXEC_MODEL_PATH_INVALID, "Exec model path invalid."},
      {ACL_ERROR_GE_EXEC_MODEL_ID_INVALID, "Exec model id invalid."},
      {ACL_ERROR_GE_EXEC_MODEL_DATA_SIZE_INVALID, "Exec model data size invalid."},
      {ACL_ERROR_GE_EXEC_MODEL_ADDR_INVALID, "Exec model addr invalid."},
      {ACL_ERROR_GE_EXEC_MODEL_QUEUE_ID_INVALID, "Exec model queue id invalid."},
      {ACL_ERROR_GE_EXEC_LOAD_MODEL_REPEATED, "Exec load model repeated."},
      {ACL_ERROR_GE_DYNAMIC_INPUT_ADDR_INVALID, "Dynamic input addr invalid."},
      {ACL_ERROR_GE_DYNAMIC_INPUT_LENGTH_INVALID, "Dynamic input length invalid."},
      {ACL_ERROR_GE_DYNAMIC_BATCH_SIZE_INVALID, "Dynamic batch size invalid."},
      {ACL_ERROR_GE_AIPP_BATCH_EMPTY, "Aipp batch empty."},
      {ACL_ERROR_GE_AIPP_NOT_EXIST, "Aipp not exist."},
      {ACL_ERROR_GE_AIPP_MODE_INVALID, "Aipp mode invalid."},
      {ACL_ERROR_GE_OP_TASK_TYPE_INVALID, "Op task type invalid."},
      {ACL_ERROR_GE_OP_KERNEL_TYPE_INVALID, "Op kernel type invalid."},
      {ACL_ERROR_GE_PLGMGR_PATH_INVALID, "Plgmgr path invalid."},
      {ACL_ERROR_GE_FORMAT_INVALID, "Format invalid."},
      {ACL_ERROR_GE_SHAPE_INVALID, "Shape invalid."},
      {ACL_ERROR_GE_DATATYPE_INVALID, "Datatype invalid."},
      {ACL_ERROR_GE_MEMORY_ALLOCATION, "Memory allocation."},
      {ACL_ERROR_GE_MEMORY_OPERATE_FAILED, "Memory operate failed."},
      {ACL_ERROR_GE_DEVICE_MEMORY_OPERATE_FAILED, "Device memory operate failed."},
      {ACL_ERROR_GE_SUBHEALTHY, "Subhealthy."},
      {ACL_ERROR_GE_USER_RAISE_EXCEPTION, "User raise exception."},
      {ACL_ERROR_GE_DATA_NOT_ALIGNED, "Data not aligned."},
      {ACL_ERROR_GE_INTERNAL_ERROR, "Internal error."},
      {ACL_ERROR_GE_LOAD_MODEL, "Load model."},
      {ACL_ERROR_GE_EXEC_LOAD_MODEL_PARTITION_FAILED, "Exec load model partition failed."},
      {ACL_ERROR_GE_EXEC_LOAD_WEIGHT_PARTITION_FAILED, "Exec load weight partition failed."},
      {ACL_ERROR_GE_EXEC_LOAD_TASK_PARTITION_FAILED, "Exec load task partition failed."},
      {ACL_ERROR_GE_EXEC_LOAD_KERNEL_PARTITION_FAILED, "Exec load kernel partition failed."},
      {ACL_ERROR_GE_EXEC_RELEASE_MODEL_DATA, "Exec release model data."},
      {ACL_ERROR_GE_COMMAND_HANDLE, "Command handle."},
      {ACL_ERROR_GE_GET_TENSOR_INFO, "Get tensor info."},
      {ACL_ERROR_GE_UNLOAD_MODEL, "Unload model."},
      {ACL_ERROR_GE_MODEL_EXECUTE_TIMEOUT, "Model execute timeout."},
      {ACL_ERROR_GE_REDEPLOYING, "Redeploying."},
  };
  for (const auto& item : kTexts) RegisterErrorNo(item.value, item.text);
}

void StatusFactory::RegisterErrorNo(uint32_t value, const std::string& text) {
  Texts& texts = TheTexts();
  const std::lock_guard<std::mutex> lock(texts.mutex);
  texts.by_value.emplace(value, text);
}

std::string StatusFactory::GetErrDesc(uint32_t value) {
  Texts& texts = TheTexts();
  const std::lock_guard<std::mutex> lock(texts.mutex);
  auto it = texts.by_value.find(value);
  return it == texts.by_value.end() ? "" : it->second;
}

graphStatus StatusFactory::GetErrDescV2(uint32_t value, AscendString& text) {
  text = AscendString(GetErrDesc(value).c_str());
  return GRAPH_SUCCESS;
}

}  // namespace ge
