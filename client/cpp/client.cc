#include "omserve/client.h"

#include <algorithm>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "client/cpp/call.h"
#include "client/cpp/convert.h"
#include "client/cpp/run_request.h"
#include "core/base/status.h"
#include "grpcpp/channel.h"
#include "grpcpp/completion_queue.h"
#include "grpcpp/create_channel.h"
#include "grpcpp/generic/generic_stub.h"
#include "grpcpp/security/credentials.h"
#include "omserve/v1/build.grpc.pb.h"
#include "omserve/v1/cluster.grpc.pb.h"
#include "omserve/v1/model.grpc.pb.h"
#include "protos/support/grpc_status.h"

namespace omserve::client {
namespace {

// The generated stub would copy every tensor into a message; requests are made as bytes instead
// (run_request.h).
using RunStub = grpc::TemplatedGenericStub<grpc::ByteBuffer, v1::RunResponse>;
constexpr char kRunMethod[] = "/omserve.v1.RunService/Run";

absl::Status CheckAddress(const std::string& address) {
  for (absl::string_view scheme : {"dns:", "ipv4:", "ipv6:", "unix:", "unix-abstract:"}) {
    if (address.compare(0, scheme.size(), scheme.data(), scheme.size()) == 0) return absl::OkStatus();
  }
  const size_t colon = address.rfind(':');
  int port = 0;
  if (colon == std::string::npos || colon == 0 || !absl::SimpleAtoi(address.substr(colon + 1), &port) ||
      port < 1 || port > 65535) {
    return absl::InvalidArgumentError(
        absl::StrCat("coordinator address '", address, "': expected HOST:PORT, for instance 127.0.0.1:9090"));
  }
  return absl::OkStatus();
}

grpc::ChannelArguments ChannelArguments() {
  grpc::ChannelArguments arguments;
  // Tensors have no size limit of their own; a long error message must arrive, not replace the code of the
  // error.
  arguments.SetMaxReceiveMessageSize(-1);
  arguments.SetMaxSendMessageSize(-1);
  arguments.SetInt(GRPC_ARG_MAX_METADATA_SIZE, 64 * 1024);
  // A coordinator is reached directly: an http_proxy in the environment is meant for the world outside.
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  // Two clients of one process do not share a connection.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  // A coordinator that has stopped answering altogether ends a call with UNAVAILABLE, deadline or not.
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 20'000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 10'000);
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);  // a long run sends nothing
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 2000);
  return arguments;
}

}  // namespace

struct Client::Impl {
  explicit Impl(std::shared_ptr<grpc::Channel> c)
      : channel(std::move(c)), build(channel), model(channel), cluster(channel), run(channel) {}

  absl::Status WaitConnected(const std::string& address, const ConnectOptions& options);

  const std::shared_ptr<grpc::Channel> channel;
  v1::BuildService::Stub build;
  v1::ModelService::Stub model;
  v1::ClusterService::Stub cluster;
  RunStub run;

  std::stop_source closing;  // ends the runs in flight
  absl::Mutex mutex;
  int runs_in_flight ABSL_GUARDED_BY(mutex) = 0;
};

absl::Status Client::Impl::WaitConnected(const std::string& address, const ConnectOptions& options) {
  const absl::Time deadline = absl::Now() + options.timeout;
  // The channel can be woken by its state or the clock only, so a stop is looked for in between.
  const absl::Duration patience = options.stop.stop_possible() ? absl::Milliseconds(50) : options.timeout;
  while (true) {
    const grpc_connectivity_state state = channel->GetState(/*try_to_connect=*/true);
    if (state == GRPC_CHANNEL_READY) return absl::OkStatus();
    if (state == GRPC_CHANNEL_TRANSIENT_FAILURE && !options.wait_until_listening) break;
    if (options.stop.stop_requested()) return absl::CancelledError("stopped while connecting");
    if (absl::Now() >= deadline) {
      return absl::DeadlineExceededError(absl::StrCat("no answer from a coordinator at ", address, " within ",
                                                      absl::FormatDuration(options.timeout)));
    }
    channel->WaitForStateChange(state, absl::ToChronoTime(std::min(deadline, absl::Now() + patience)));
  }
  // The channel does not say why; a call does.
  CallScope scope({.timeout = absl::Seconds(1), .stop = options.stop});
  v1::DescribeClusterResponse response;
  const grpc::Status cause = cluster.DescribeCluster(&scope.context(), {}, &response);
  if (cause.ok()) return absl::OkStatus();
  return absl::UnavailableError(absl::StrCat("no coordinator at ", address, ": ", cause.error_message()));
}

Client::Client(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Client::~Client() {
  impl_->closing.request_stop();
  absl::MutexLock lock(&impl_->mutex);
  impl_->mutex.Await(absl::Condition(
      +[](Impl* impl) ABSL_EXCLUSIVE_LOCKS_REQUIRED(impl->mutex) { return impl->runs_in_flight == 0; },
      impl_.get()));
}

absl::StatusOr<std::unique_ptr<Client>> Client::Connect(const std::string& address,
                                                        const ConnectOptions& options) {
  RETURN_IF_ERROR(CheckAddress(address));
  auto impl = std::make_unique<Impl>(
      grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), ChannelArguments()));
  RETURN_IF_ERROR(impl->WaitConnected(address, options));
  return std::unique_ptr<Client>(new Client(std::move(impl)));
}

absl::StatusOr<BuildResult> Client::Build(const std::string& model_path, const std::string& om_path,
                                          const BuildOptions& options, const ProgressCallback& progress) {
  return CallBuild(impl_->build, model_path, om_path, options, progress);
}

absl::StatusOr<LoadResult> Client::Load(const std::string& om_path, const LoadOptions& options,
                                        const ProgressCallback& progress) {
  return CallLoad(impl_->model, om_path, options, progress);
}

absl::Status Client::Unload(const std::string& name, const CallOptions& options) {
  CallScope scope(options);
  v1::UnloadRequest request;
  request.set_name(name);
  v1::UnloadResponse response;
  return FromGrpc(impl_->model.Unload(&scope.context(), request, &response));
}

absl::StatusOr<std::vector<ModelStatus>> Client::ListModels(const CallOptions& options) {
  CallScope scope(options);
  v1::ListModelsResponse response;
  RETURN_IF_ERROR(FromGrpc(impl_->model.ListModels(&scope.context(), {}, &response)));
  std::vector<ModelStatus> models;
  for (const v1::ModelStatus& model : response.models()) models.push_back(FromProto(model));
  return models;
}

absl::StatusOr<ClusterStatus> Client::DescribeCluster(const CallOptions& options) {
  CallScope scope(options);
  v1::DescribeClusterResponse response;
  RETURN_IF_ERROR(FromGrpc(impl_->cluster.DescribeCluster(&scope.context(), {}, &response)));
  return FromProto(response);
}

absl::StatusOr<RunResult> Client::Run(const std::string& model, const std::vector<Tensor>& inputs,
                                      const RunOptions& options) {
  ASSIGN_OR_RETURN(const grpc::ByteBuffer request, EncodeRunRequest(model, inputs, options));
  CallScope scope(options);
  v1::RunResponse response;
  grpc::Status status;
  // An own queue: the calling thread itself polls the network, and no other has to be woken for the answer.
  grpc::CompletionQueue queue;
  const auto call = impl_->run.PrepareUnaryCall(&scope.context(), kRunMethod, request, &queue);
  call->StartCall();
  call->Finish(&response, &status, /*tag=*/nullptr);
  void* tag = nullptr;
  bool ok = false;
  queue.Next(&tag, &ok);
  if (!status.ok()) return FromGrpc(status);
  return TakeRunResult(response);
}

void Client::RunAsync(const std::string& model, const std::vector<Tensor>& inputs, const RunOptions& options,
                      RunCallback done) {
  absl::StatusOr<grpc::ByteBuffer> request = EncodeRunRequest(model, inputs, options);
  if (!request.ok()) {
    done(request.status());
    return;
  }

  struct Call {
    Call(const RunOptions& options, const std::stop_token& closing)
        : scope(options), on_closing(closing, [this] { scope.context().TryCancel(); }) {}
    CallScope scope;
    std::stop_callback<std::function<void()>> on_closing;
    grpc::ByteBuffer request;
    v1::RunResponse response;
    RunCallback done;
  };
  auto* call = new Call(options, impl_->closing.get_token());
  call->request = *std::move(request);
  call->done = std::move(done);
  {
    absl::MutexLock lock(&impl_->mutex);
    ++impl_->runs_in_flight;
  }
  impl_->run.UnaryCall(&call->scope.context(), kRunMethod, grpc::StubOptions(), &call->request,
                       &call->response, [call, impl = impl_.get()](const grpc::Status& status) {
                         call->done(status.ok() ? TakeRunResult(call->response) : FromGrpc(status));
                         delete call;
                         absl::MutexLock lock(&impl->mutex);
                         --impl->runs_in_flight;
                       });
}

}  // namespace omserve::client
