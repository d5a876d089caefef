#include <atomic>
#include <utility>

#include "absl/strings/str_cat.h"
#include "air.h"
#include "core/base/status.h"
#include "ge/ge_api.h"
#include "messages.h"
#include "runtime.h"
#include "session_impl.h"

namespace ge {
namespace {

absl::Status NotInitialized() { return absl::FailedPreconditionError("GE is not initialized; call GEInitialize first"); }

absl::StatusOr<std::unique_ptr<SessionImpl>> Make(const Options& options) {
  static std::atomic<uint64_t> next{1};
  const std::optional<Options> global = RuntimeOptions();
  if (!global.has_value()) return NotInitialized();
  RETURN_IF_ERROR(CheckKeys("Session", options));
  WarnUnknown("Session", options, RunKeys());
  RETURN_IF_ERROR(CheckValues(options));
  // The narrower level wins.
  Options all = options;
  all.insert(global->begin(), global->end());
  ASSIGN_OR_RETURN(std::shared_ptr<Service> service, GetService(ValueOf(all, RESOURCE_CONFIG_PATH)));
  return std::make_unique<SessionImpl>(next++, std::move(all), std::move(service));
}

std::unique_ptr<SessionImpl> MakeOrReport(const Options& options) {
  absl::StatusOr<std::unique_ptr<SessionImpl>> impl = Make(options);
  if (impl.ok()) return *std::move(impl);
  (void)Report(FAILED, omserve::Annotate(impl.status(), "E10062: Failed to construct the session. Reason"));
  return nullptr;
}

// Whether `call` may be made; else the status is collected and the caller fails.
bool IsUsable(const SessionImpl* impl, const char* call) {
  if (impl == nullptr) {
    (void)Report(FAILED, "E10062", absl::StrCat("Failed to ", call, ". Reason: the session was not constructed"));
    return false;
  }
  if (!RuntimeOptions().has_value()) {
    (void)Report(FAILED, omserve::Annotate(NotInitialized(), absl::StrCat("E10062: Failed to ", call, ". Reason")));
    return false;
  }
  return true;
}

Status Unsupported(const SessionImpl* impl, const char* call, const char* why) {
  if (!IsUsable(impl, call)) return FAILED;
  return Report(FAILED, "E10055", absl::StrCat("Session::", call, " is not supported: ", why));
}

Status Result(const absl::Status& status) { return status.ok() ? SUCCESS : Report(FAILED, status); }

Status Add(SessionImpl* impl, uint32_t graph_id, const Graph& graph, const Options& options) {
  if (!IsUsable(impl, "AddGraph")) return FAILED;
  if (absl::Status status = CheckKeys("AddGraph", options); !status.ok()) return Report(FAILED, status);
  WarnUnknown("AddGraph", options, RunKeys());
  if (absl::Status status = CheckValues(options); !status.ok()) return Report(FAILED, status);
  if (!graph.IsValid()) {
    return Report(FAILED, "E19025", absl::StrCat("graph '", graph.GetName(), "' is not valid: it is empty or wrongly wired"));
  }
  Options all = options;
  all.insert(impl->options().begin(), impl->options().end());
  if (!impl->Add(graph_id, graph, std::move(all))) {
    Warn(absl::StrCat("W11006: session ", impl->id(), " has a graph ", graph_id, " already; the first one stays"));
  }
  return SUCCESS;
}

}  // namespace

Session::Session(const std::map<std::string, std::string>& options) : impl_(MakeOrReport(options)) {}
Session::Session(const std::map<AscendString, AscendString>& options) : impl_(MakeOrReport(FromAscend(options))) {}
Session::~Session() = default;

uint64_t Session::GetSessionId() const { return impl_ == nullptr ? 0 : impl_->id(); }

Status Session::AddGraph(uint32_t graph_id, const Graph& graph) { return Add(impl_.get(), graph_id, graph, {}); }

Status Session::AddGraph(uint32_t graph_id, const Graph& graph, const std::map<std::string, std::string>& options) {
  return Add(impl_.get(), graph_id, graph, options);
}

Status Session::AddGraph(uint32_t graph_id, const Graph& graph, const std::map<AscendString, AscendString>& options) {
  return Add(impl_.get(), graph_id, graph, FromAscend(options));
}

Status Session::AddGraphWithCopy(uint32_t graph_id, const Graph& graph) {
  return AddGraphWithCopy(graph_id, graph, std::map<AscendString, AscendString>());
}

Status Session::AddGraphWithCopy(uint32_t graph_id, const Graph& graph,
                                 const std::map<AscendString, AscendString>& options) {
  Graph copy(graph.GetName());
  if (copy.CopyFrom(graph) != GRAPH_SUCCESS) return FAILED;
  return Add(impl_.get(), graph_id, copy, FromAscend(options));
}

Status Session::LoadGraph(const uint32_t graph_id, const std::map<std::string, std::string>& options,
                          const std::string& om_file_path) const {
  if (!IsUsable(impl_.get(), "LoadGraph")) return FAILED;
  if (absl::Status status = CheckKeys("LoadGraph", options); !status.ok()) return Report(FAILED, status);
  WarnUnknown("LoadGraph", options, RunKeys());
  return Result(omserve::Annotate(impl_->Load(graph_id, om_file_path), "LoadGraph"));
}

Status Session::LoadGraph(const uint32_t, const std::map<AscendString, AscendString>&, void*) const {
  return Unsupported(impl_.get(), "LoadGraph", "graphs are not bound to streams");
}

Status Session::RemoveGraph(uint32_t graph_id) {
  if (!IsUsable(impl_.get(), "RemoveGraph")) return FAILED;
  return Result(impl_->Remove(graph_id));
}

Status Session::BuildGraph(uint32_t graph_id, const std::vector<InputTensorInfo>& inputs) {
  if (!IsUsable(impl_.get(), "BuildGraph")) return FAILED;
  std::vector<std::vector<int64_t>> shapes;
  for (const InputTensorInfo& input : inputs) shapes.push_back(input.dims);
  return Result(impl_->Build(graph_id, shapes.empty() ? nullptr : &shapes));
}

Status Session::BuildGraph(uint32_t graph_id, const std::vector<Tensor>& inputs) {
  if (!IsUsable(impl_.get(), "BuildGraph")) return FAILED;
  std::vector<std::vector<int64_t>> shapes;
  for (const Tensor& input : inputs) shapes.push_back(input.GetTensorDesc().GetShape().GetDims());
  return Result(impl_->Build(graph_id, shapes.empty() ? nullptr : &shapes));
}

Status Session::CompileGraph(uint32_t graph_id) {
  if (!IsUsable(impl_.get(), "CompileGraph")) return FAILED;
  return Result(impl_->Build(graph_id, nullptr));
}

bool Session::IsGraphNeedRebuild(uint32_t graph_id) { return impl_ == nullptr || !impl_->IsBuilt(graph_id); }

Status Session::RunGraph(uint32_t graph_id, const std::vector<Tensor>& inputs, std::vector<Tensor>& outputs) {
  if (!IsUsable(impl_.get(), "RunGraph")) return FAILED;
  absl::StatusOr<std::vector<Tensor>> result = impl_->Run(graph_id, inputs);
  if (!result.ok()) return ReportRun(result.status());
  outputs = *std::move(result);
  return SUCCESS;
}

Status Session::RunGraphAsync(uint32_t graph_id, const std::vector<Tensor>& inputs, RunAsyncCallback callback) {
  if (!IsUsable(impl_.get(), "RunGraphAsync")) return FAILED;
  if (callback == nullptr) return Report(FAILED, "E10001", "RunGraphAsync: there is no callback");
  if (!impl_->Has(graph_id)) {
    return Report(FAILED, absl::NotFoundError(absl::StrCat("session ", impl_->id(), " has no graph ", graph_id)));
  }
  impl_->RunLater(graph_id, inputs, std::move(callback));
  return SUCCESS;
}

Status Session::RunGraphDistribute(uint32_t, const std::map<int32_t, std::vector<Tensor>>&,
                                   std::map<int32_t, std::vector<Tensor>>&) {
  return Unsupported(impl_.get(), "RunGraphDistribute", "inputs come whole; the model says which device needs which part");
}

Status Session::RunGraphWithStreamAsync(uint32_t, void*, const std::vector<Tensor>&, std::vector<Tensor>&) {
  return Unsupported(impl_.get(), "RunGraphWithStreamAsync", "the service has no streams; use RunGraphAsync");
}

Status Session::GetVariables(const std::vector<std::string>&, std::vector<Tensor>&) {
  return Unsupported(impl_.get(), "GetVariables", "graphs hold no variables");
}

Status Session::GetVariables(const std::vector<AscendString>&, std::vector<Tensor>&) {
  return Unsupported(impl_.get(), "GetVariables", "graphs hold no variables");
}

Status Session::RegisterCallBackFunc(const std::string&, const pCallBackFunc&) {
  return Unsupported(impl_.get(), "RegisterCallBackFunc", "there is no training");
}

Status Session::FeedDataFlowGraph(uint32_t, const std::vector<Tensor>&, const DataFlowInfo&, int32_t) {
  return Unsupported(impl_.get(), "FeedDataFlowGraph", "there are no data flow graphs; use RunGraphAsync");
}

Status Session::FetchDataFlowGraph(uint32_t, std::vector<Tensor>&, DataFlowInfo&, int32_t) {
  return Unsupported(impl_.get(), "FetchDataFlowGraph", "there are no data flow graphs; use RunGraphAsync");
}

Status Session::SetGraphConstMemoryBase(uint32_t, const void* const, size_t) {
  return Unsupported(impl_.get(), "SetGraphConstMemoryBase", "the service keeps its own memory");
}

Status Session::UpdateGraphFeatureMemoryBase(uint32_t, const void* const, size_t) {
  return Unsupported(impl_.get(), "UpdateGraphFeatureMemoryBase", "the service keeps its own memory");
}

Status Session::ShardGraphsToFile(const char_t*) const {
  if (!IsUsable(impl_.get(), "ShardGraphsToFile")) return FAILED;
  if (!IsOn(impl_->options(), ir_option::ENABLE_GRAPH_PARALLEL)) return SUCCESS;
  return Unsupported(impl_.get(), "ShardGraphsToFile", "partition with aclgrphBuildModel");
}

Status Session::ShardGraphs() const {
  if (!IsUsable(impl_.get(), "ShardGraphs")) return FAILED;
  if (!IsOn(impl_->options(), ir_option::ENABLE_GRAPH_PARALLEL)) return SUCCESS;
  return Unsupported(impl_.get(), "ShardGraphs", "partition with aclgrphBuildModel");
}

Status Session::SaveGraphsToPb(const char_t*) const {
  return Unsupported(impl_.get(), "SaveGraphsToPb", "use Graph::SaveToFile");
}

}  // namespace ge
