#include "core/custom/kernel.h"

#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "core/base/status.h"
#include "core/custom/call.h"
#include "core/device/cpu/packaged_kernels.h"

namespace omserve {
namespace {

constexpr int64_t kMaxScratch = int64_t{1} << 40;

// Kernel factories are plain functions, so the operator is found by its type.
struct Operators {
  absl::Mutex mutex;
  absl::flat_hash_map<std::string, const omserve_op*> by_type ABSL_GUARDED_BY(mutex);
};

Operators& Registered() {
  static Operators* const operators = new Operators;
  return *operators;
}

class CustomKernel : public cpu::Kernel {
 public:
  CustomKernel(const omserve_op& op, const OpDef& def, const cpu::KernelRequest& request)
      : op_(op), title_(absl::StrCat("operator '", op.type, "' (node '", request.view.node().name(), "')")),
        call_(request.view, def, request.inputs, request.outputs) {
    call_.raw().threads = request.threads;
    for (int i = 0; i < request.num_inputs(); ++i) {
      // What the value says may matter for scratch, as it does for inference.
      if (const Tensor* constant = request.constant(i)) {
        call_.input(i).data = const_cast<std::byte*>(constant->data());
      }
    }
  }

  absl::Status AskScratch() {
    if (op_.scratch_bytes == nullptr) return absl::OkStatus();
    int64_t bytes = 0;
    RETURN_IF_ERROR_WITH(
        call_.Run([&](omserve_call* raw) { return op_.scratch_bytes(raw, &bytes); }, "scratch_bytes"), title_);
    if (bytes < 0 || bytes > kMaxScratch) {
      return absl::InternalError(absl::StrCat(title_, ": it wants ", bytes,
                                              " bytes of scratch memory; it may have 0 to ", kMaxScratch));
    }
    scratch_bytes_ = static_cast<size_t>(bytes);
    return absl::OkStatus();
  }

  size_t scratch_bytes() const override { return scratch_bytes_; }

  absl::Status Run(const void* const* inputs, void* const* outputs, cpu::KernelContext& context) override {
    omserve_call& raw = call_.raw();
    for (int32_t i = 0; i < raw.num_inputs; ++i) call_.input(i).data = const_cast<void*>(inputs[i]);
    for (int32_t i = 0; i < raw.num_outputs; ++i) call_.output(i).data = outputs[i];
    raw.scratch = context.scratch;
    return Annotate(call_.Run(op_.compute, "compute"), title_);
  }

 private:
  const omserve_op& op_;
  const std::string title_;
  CustomCall call_;
  size_t scratch_bytes_ = 0;
};

absl::StatusOr<std::unique_ptr<cpu::Kernel>> MakeCustomKernel(const cpu::KernelRequest& request) {
  const OpDef* def = OpRegistry::Get().Find(request.type());
  const omserve_op* op = nullptr;
  {
    Operators& operators = Registered();
    absl::MutexLock lock(&operators.mutex);
    auto it = operators.by_type.find(request.type());
    if (it != operators.by_type.end()) op = it->second;
  }
  if (def == nullptr || op == nullptr) return request.Unsupported("this operator");
  auto kernel = std::make_unique<CustomKernel>(*op, *def, request);
  RETURN_IF_ERROR(kernel->AskScratch());
  return kernel;
}

}  // namespace

void RegisterCustomKernel(const omserve_op& op) {
  {
    Operators& operators = Registered();
    absl::MutexLock lock(&operators.mutex);
    operators.by_type.emplace(op.type, &op);
  }
  cpu::RegisterPackagedKernel(op.type, MakeCustomKernel);
}

}  // namespace omserve
