// What the calls of the client share: deadline and cancellation, and the two streamed calls.
#ifndef OMSERVE_CLIENT_CPP_CALL_H_
#define OMSERVE_CLIENT_CPP_CALL_H_

#include <functional>
#include <stop_token>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "grpcpp/client_context.h"
#include "omserve/client.h"
#include "omserve/v1/build.grpc.pb.h"
#include "omserve/v1/model.grpc.pb.h"

namespace omserve::client {

// The context of one call, which ends at the options' timeout (counted from here) or stop. A stop that was
// requested before ends the call as it begins.
class CallScope {
 public:
  explicit CallScope(const CallOptions& options) : on_stop_(options.stop, [this] { context_.TryCancel(); }) {
    if (options.timeout != absl::InfiniteDuration()) {
      context_.set_deadline(absl::ToChronoTime(absl::Now() + options.timeout));
    }
  }

  grpc::ClientContext& context() { return context_; }

 private:
  grpc::ClientContext context_;
  std::stop_callback<std::function<void()>> on_stop_;
};

absl::StatusOr<BuildResult> CallBuild(v1::BuildService::Stub& stub, const std::string& model_path,
                                      const std::string& om_path, const BuildOptions& options,
                                      const ProgressCallback& progress);

absl::StatusOr<LoadResult> CallLoad(v1::ModelService::Stub& stub, const std::string& om_path,
                                    const LoadOptions& options, const ProgressCallback& progress);

}  // namespace omserve::client

#endif  // OMSERVE_CLIENT_CPP_CALL_H_
