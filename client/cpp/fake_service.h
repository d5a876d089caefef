// A service in the test's own process that answers as a test tells it to, over a real connection.
#ifndef OMSERVE_CLIENT_CPP_FAKE_SERVICE_H_
#define OMSERVE_CLIENT_CPP_FAKE_SERVICE_H_

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "grpcpp/grpcpp.h"
#include "omserve/v1/build.grpc.pb.h"
#include "omserve/v1/cluster.grpc.pb.h"
#include "omserve/v1/model.grpc.pb.h"
#include "omserve/v1/run.grpc.pb.h"

namespace omserve::client {

// What arrived of a streamed call: the options and the files by name.
struct ReceivedFiles {
  std::map<std::string, std::string> content;
  std::map<std::string, std::string> sha256;
};

class FakeService final : public v1::RunService::Service {
 public:
  FakeService();
  ~FakeService() override;

  const std::string& address() const { return address_; }

  // How each call is answered; to be set before the call. Unset: UNIMPLEMENTED.
  std::function<grpc::Status(grpc::ServerContext*, const v1::RunRequest&, v1::RunResponse*)> on_run;
  std::function<grpc::Status(const v1::UnloadRequest&)> on_unload;
  std::function<grpc::Status(v1::ListModelsResponse*)> on_list;
  std::function<grpc::Status(v1::DescribeClusterResponse*)> on_describe;
  // Called when the model has arrived whole; `send` writes to the client.
  std::function<grpc::Status(const v1::BuildOptions&, const ReceivedFiles&,
                             const std::function<void(const v1::BuildResponse&)>& send)>
      on_build;
  // Answers the options before any file arrives. OK: the files are received.
  std::function<grpc::Status(const v1::BuildOptions&)> on_build_options;
  // Which of the offered files to ask for, then the end of the load.
  std::function<v1::NeedFiles(const v1::LoadOptions&)> on_load_options;
  std::function<grpc::Status(const ReceivedFiles&, const std::function<void(const v1::LoadResponse&)>& send)>
      on_load;

  grpc::Status Run(grpc::ServerContext* context, const v1::RunRequest* request,
                   v1::RunResponse* response) override;

 private:
  class BuildFake;
  class ModelFake;
  class ClusterFake;
  const std::unique_ptr<BuildFake> build_;
  const std::unique_ptr<ModelFake> models_;
  const std::unique_ptr<ClusterFake> cluster_;
  std::unique_ptr<grpc::Server> server_;
  std::string address_;
};

}  // namespace omserve::client

#endif  // OMSERVE_CLIENT_CPP_FAKE_SERVICE_H_
