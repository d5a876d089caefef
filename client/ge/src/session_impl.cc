#include "session_impl.h"

#include <unistd.h>

#include <algorithm>
#include <random>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "air.h"
#include "core/base/file.h"
#include "core/base/status.h"
#include "core/base/temporary_folder.h"
#include "core/om/om_file.h"
#include "core/tensor/data_type.h"
#include "messages.h"
#include "output_options.h"

namespace ge {
namespace {

using Shapes = std::vector<std::vector<int64_t>>;

// Names of models are shared by all who use a service.
const std::string& ProcessTag() {
  static const auto* const tag = new std::string(absl::StrCat(::getpid(), "-", absl::Hex(std::random_device()())));
  return *tag;
}

absl::Status CheckNoVariables(const omserve::OmFile& om, const std::string& path) {
  for (const omserve::OmSubmodel& submodel : om.submodels()) {
    ASSIGN_OR_RETURN(const omserve::Graph graph,
                     omserve::ReadSliceOm(omserve::Buffer::OfFile(submodel.file, submodel.offset, submodel.size)));
    for (int32_t id : graph.NodeIds()) {
      const omserve::Node& node = *graph.node(id);
      if (!node.is("Variable") && !node.is("VariableV2")) continue;
      return absl::InvalidArgumentError(absl::StrCat("E10055: ", path, " holds variable '", node.name(),
                                                     "'; models with variables cannot be loaded from an OM"));
    }
  }
  return absl::OkStatus();
}

// "x:1,4;y:2": the inputs that have unknown dimensions, with those of `shapes`.
absl::StatusOr<std::string> ShapeText(const std::vector<AirInput>& inputs, const Shapes* shapes) {
  std::vector<std::string> parts;
  for (size_t i = 0; i < inputs.size(); ++i) {
    const std::vector<int64_t>& dims = inputs[i].dims;
    if (std::none_of(dims.begin(), dims.end(), [](int64_t dim) { return dim < 0; })) continue;
    if (shapes == nullptr) {
      return absl::InvalidArgumentError(absl::StrCat("E10055: input '", inputs[i].name,
                                                     "' has unknown dimensions; BuildGraph with inputs tells them"));
    }
    if (i >= shapes->size()) {
      return absl::InvalidArgumentError(absl::StrCat("E19025: the graph takes ", inputs.size(), " inputs; found ", shapes->size()));
    }
    parts.push_back(absl::StrCat(inputs[i].name, ":", absl::StrJoin((*shapes)[i], ",")));
  }
  return absl::StrJoin(parts, ";");
}

}  // namespace

LoadedModel::~LoadedModel() {
  // A service that is gone has unloaded everything.
  if (service != nullptr) service->client->Unload(name).IgnoreError();
}

SessionImpl::~SessionImpl() {
  {
    const std::lock_guard<std::mutex> lock(queue_mutex_);
    ending_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

bool SessionImpl::Add(uint32_t graph_id, Graph graph, Options options) {
  const std::lock_guard<std::mutex> lock(mutex_);
  SessionGraph added;
  added.graph = std::move(graph);
  added.options = std::move(options);
  return graphs_.emplace(graph_id, std::move(added)).second;
}

absl::StatusOr<SessionGraph*> SessionImpl::Find(uint32_t graph_id) {
  auto it = graphs_.find(graph_id);
  if (it == graphs_.end()) return absl::NotFoundError(absl::StrCat("session ", id_, " has no graph ", graph_id));
  return &it->second;
}

bool SessionImpl::Has(uint32_t graph_id) {
  const std::lock_guard<std::mutex> lock(mutex_);
  return graphs_.contains(graph_id);
}

bool SessionImpl::IsBuilt(uint32_t graph_id) {
  const std::lock_guard<std::mutex> lock(mutex_);
  auto it = graphs_.find(graph_id);
  return it != graphs_.end() && !it->second.models.empty();
}

absl::Status SessionImpl::Remove(uint32_t graph_id) {
  const std::lock_guard<std::mutex> lock(mutex_);
  RETURN_IF_ERROR(Find(graph_id).status());
  graphs_.erase(graph_id);
  return absl::OkStatus();
}

absl::StatusOr<std::shared_ptr<LoadedModel>> SessionImpl::LoadOm(uint32_t graph_id, const std::string& om_path) {
  auto model = std::make_shared<LoadedModel>();
  const std::string name = absl::StrCat("ge-", ProcessTag(), "-", id_, "-", graph_id, "-", next_model_++);
  omserve::client::LoadOptions options;
  options.name = name;
  ASSIGN_OR_RETURN(omserve::client::LoadResult result, service_->client->Load(om_path, options));
  model->name = name;
  model->service = service_;
  model->inputs = std::move(result.model.inputs);
  return model;
}

absl::Status SessionImpl::Load(uint32_t graph_id, const std::string& om_path) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (graphs_.contains(graph_id)) {
    return absl::AlreadyExistsError(absl::StrCat("session ", id_, " has a graph ", graph_id, " already"));
  }
  {
    ASSIGN_OR_RETURN(const std::unique_ptr<omserve::OmFile> om, omserve::OmFile::Open(om_path));
    RETURN_IF_ERROR(CheckNoVariables(*om, om_path));
  }
  ASSIGN_OR_RETURN(std::shared_ptr<LoadedModel> model, LoadOm(graph_id, om_path));
  graphs_[graph_id].models[""] = std::move(model);
  return absl::OkStatus();
}

absl::StatusOr<std::shared_ptr<LoadedModel>> SessionImpl::ModelFor(uint32_t graph_id, const Shapes* shapes) {
  const std::lock_guard<std::mutex> lock(mutex_);
  ASSIGN_OR_RETURN(SessionGraph * graph, Find(graph_id));
  if (!graph->graph.has_value()) return graph->models.begin()->second;
  if (graph->air.empty()) {
    ASSIGN_OR_RETURN(graph->air, BuildableAir(*graph->graph, graph->options));
  }
  ASSIGN_OR_RETURN(const std::vector<AirInput> inputs, InputsOfAir(graph->air));
  std::string key = ValueOf(graph->options, INPUT_SHAPE);
  if (key.empty()) {
    ASSIGN_OR_RETURN(key, ShapeText(inputs, shapes));
  }
  if (auto it = graph->models.find(key); it != graph->models.end()) return it->second;

  ASSIGN_OR_RETURN(const std::unique_ptr<omserve::TemporaryFolder> folder, omserve::TemporaryFolder::Create("omserve-ge-"));
  RETURN_IF_ERROR(omserve::WriteFileAtomically(folder->File("model.air"), graph->air));
  omserve::client::BuildOptions build;
  build.model_name = graph->graph->GetName();
  build.input_shapes = key;
  RETURN_IF_ERROR(service_->client->Build(folder->File("model.air"), folder->File("model.om"), build).status());
  ASSIGN_OR_RETURN(std::shared_ptr<LoadedModel> model, LoadOm(graph_id, folder->File("model.om")));
  return graph->models[key] = std::move(model);
}

absl::Status SessionImpl::Build(uint32_t graph_id, const Shapes* shapes) { return ModelFor(graph_id, shapes).status(); }

absl::StatusOr<std::vector<Tensor>> SessionImpl::Run(uint32_t graph_id, const std::vector<Tensor>& inputs) {
  Shapes shapes;
  for (const Tensor& input : inputs) shapes.push_back(input.GetTensorDesc().GetShape().GetDims());
  ASSIGN_OR_RETURN(const std::shared_ptr<LoadedModel> model, ModelFor(graph_id, &shapes));
  if (inputs.size() != model->inputs.size()) {
    std::vector<std::string> names;
    for (const auto& desc : model->inputs) names.push_back(absl::StrCat(desc.name, " ", ToString(desc)));
    return absl::InvalidArgumentError(absl::StrCat("E19025: graph ", graph_id, " takes ", model->inputs.size(), " inputs (",
                                                   absl::StrJoin(names, ", "), "); found ", inputs.size()));
  }
  std::vector<omserve::client::Tensor> sent;
  for (size_t i = 0; i < inputs.size(); ++i) {
    const auto type = omserve::DataTypeFromAclNumber(inputs[i].GetDataType());
    if (!type.ok()) return omserve::Annotate(type.status(), absl::StrCat("E19025: input ", i));
    sent.push_back(omserve::client::Tensor::Borrowed(
        {model->inputs[i].name, std::string(omserve::Name(*type)), shapes[i]}, inputs[i].GetData(), inputs[i].GetSize()));
  }
  ASSIGN_OR_RETURN(const omserve::client::RunResult result, model->service->client->Run(model->name, sent));
  std::vector<Tensor> outputs;
  for (const omserve::client::Tensor& output : result.outputs) {
    ASSIGN_OR_RETURN(const omserve::DataType type, omserve::DataTypeFromName(output.dtype()));
    const TensorDesc desc(Shape(output.shape()), FORMAT_ND, static_cast<DataType>(omserve::ToAclNumber(type)));
    outputs.emplace_back(desc, static_cast<const uint8_t*>(output.data()), output.size());
  }
  return outputs;
}

void SessionImpl::RunLater(uint32_t graph_id, std::vector<Tensor> inputs, RunAsyncCallback callback) {
  const std::lock_guard<std::mutex> lock(queue_mutex_);
  queue_.push_back([this, graph_id, inputs = std::move(inputs), callback = std::move(callback)] {
    absl::StatusOr<std::vector<Tensor>> outputs = Run(graph_id, inputs);
    std::vector<Tensor> none;
    callback(outputs.ok() ? SUCCESS : ReportRun(outputs.status()), outputs.ok() ? *outputs : none);
  });
  if (!thread_.joinable()) thread_ = std::thread([this] { RunQueue(); });
  changed_.notify_all();
}

void SessionImpl::RunQueue() {
  while (true) {
    std::function<void()> run;
    {
      std::unique_lock<std::mutex> lock(queue_mutex_);
      changed_.wait(lock, [this] { return ending_ || !queue_.empty(); });
      if (queue_.empty()) return;
      run = std::move(queue_.front());
      queue_.pop_front();
    }
    run();
  }
}

Status ReportRun(const absl::Status& status) {
  return Report(absl::IsDeadlineExceeded(status) ? ACL_ERROR_GE_MODEL_EXECUTE_TIMEOUT : FAILED, status);
}

}  // namespace ge
