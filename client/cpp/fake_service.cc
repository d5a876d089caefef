#include "client/cpp/fake_service.h"

#include <chrono>

#include "absl/strings/str_cat.h"

namespace omserve::client {
namespace {

grpc::Status NotSet() { return {grpc::StatusCode::UNIMPLEMENTED, "the test did not say"}; }

// Takes one step that carries a file header or a chunk.
template <typename Request>
void Receive(const Request& request, ReceivedFiles& files, std::string& current) {
  if (request.has_file()) {
    current = request.file().name();
    files.content[current];
    files.sha256[current] = request.file().sha256();
  }
  if (request.has_chunk()) files.content[current] += request.chunk();
}

}  // namespace

class FakeService::BuildFake final : public v1::BuildService::Service {
 public:
  explicit BuildFake(FakeService& fake) : fake_(fake) {}
  grpc::Status Build(grpc::ServerContext*,
                     grpc::ServerReaderWriter<v1::BuildResponse, v1::BuildRequest>* stream) override {
    v1::BuildOptions options;
    ReceivedFiles files;
    std::string current;
    v1::BuildRequest request;
    while (stream->Read(&request)) {
      if (request.has_options()) {
        options = request.options();
        if (fake_.on_build_options) {
          if (grpc::Status status = fake_.on_build_options(options); !status.ok()) return status;
        }
      }
      Receive(request, files, current);
    }
    if (!fake_.on_build) return NotSet();
    return fake_.on_build(options, files,
                          [&](const v1::BuildResponse& response) { stream->Write(response); });
  }

 private:
  FakeService& fake_;
};

class FakeService::ModelFake final : public v1::ModelService::Service {
 public:
  explicit ModelFake(FakeService& fake) : fake_(fake) {}

  grpc::Status Load(grpc::ServerContext*,
                    grpc::ServerReaderWriter<v1::LoadResponse, v1::LoadRequest>* stream) override {
    if (!fake_.on_load_options || !fake_.on_load) return NotSet();
    ReceivedFiles files;
    std::string current;
    v1::LoadRequest request;
    while (stream->Read(&request)) {
      if (request.has_options()) {
        v1::LoadResponse response;
        *response.mutable_need() = fake_.on_load_options(request.options());
        stream->Write(response);
      }
      Receive(request, files, current);
    }
    return fake_.on_load(files, [&](const v1::LoadResponse& response) { stream->Write(response); });
  }

  grpc::Status Unload(grpc::ServerContext*, const v1::UnloadRequest* request, v1::UnloadResponse*) override {
    return fake_.on_unload ? fake_.on_unload(*request) : NotSet();
  }
  grpc::Status ListModels(grpc::ServerContext*, const v1::ListModelsRequest*,
                          v1::ListModelsResponse* response) override {
    return fake_.on_list ? fake_.on_list(response) : NotSet();
  }

 private:
  FakeService& fake_;
};

class FakeService::ClusterFake final : public v1::ClusterService::Service {
 public:
  explicit ClusterFake(FakeService& fake) : fake_(fake) {}
  grpc::Status DescribeCluster(grpc::ServerContext*, const v1::DescribeClusterRequest*,
                               v1::DescribeClusterResponse* response) override {
    return fake_.on_describe ? fake_.on_describe(response) : NotSet();
  }

 private:
  FakeService& fake_;
};

FakeService::FakeService()
    : build_(std::make_unique<BuildFake>(*this)),
      models_(std::make_unique<ModelFake>(*this)),
      cluster_(std::make_unique<ClusterFake>(*this)) {
  int port = 0;
  grpc::ServerBuilder builder;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
  builder.SetMaxReceiveMessageSize(-1);
  builder.RegisterService(this);
  builder.RegisterService(build_.get());
  builder.RegisterService(models_.get());
  builder.RegisterService(cluster_.get());
  server_ = builder.BuildAndStart();
  address_ = absl::StrCat("127.0.0.1:", port);
}

FakeService::~FakeService() { server_->Shutdown(std::chrono::system_clock::now()); }

grpc::Status FakeService::Run(grpc::ServerContext* context, const v1::RunRequest* request,
                              v1::RunResponse* response) {
  return on_run ? on_run(context, *request, response) : NotSet();
}

}  // namespace omserve::client
