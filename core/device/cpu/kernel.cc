#include "core/device/cpu/kernel.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "core/base/status.h"
#include "core/device/cpu/packaged_kernels.h"

namespace omserve::cpu {

ElementwiseLayouts::ElementwiseLayouts(const KernelRequest& request) {
  for (const TensorDesc& input : request.inputs) {
    whole_.push_back(input.shape == request.output_shape());
    any_ = any_ && (whole_.back() || (input.type != DataType::kUndefined && NumElements(input.shape) == 1));
  }
}

namespace {

class ViewKernel : public Kernel {
 public:
  explicit ViewKernel(View view) : view_(view) {}
  absl::Status Run(const void* const*, void* const*, KernelContext&) override {
    return absl::InternalError("a view has nothing to run");
  }
  std::optional<View> ViewOf(int output) const override { return view_; }

 private:
  const View view_;
};

}  // namespace

std::unique_ptr<Kernel> MakeView(int input, size_t offset) {
  return std::make_unique<ViewKernel>(View{input, offset});
}

absl::StatusOr<std::vector<int64_t>> KernelRequest::ConstantInts(int i) const {
  const Tensor* tensor = constant(i);
  if (tensor == nullptr) {
    return absl::FailedPreconditionError(absl::StrCat("operator '", type(), "' (node '", view.node().name(),
                                                      "'): input ", i, " must be constant on this device"));
  }
  return tensor->AsInt64s();
}

absl::Status KernelRequest::Unsupported(absl::string_view what) const {
  return absl::UnimplementedError(
      absl::StrCat("operator '", type(), "' (node '", view.node().name(), "'): no CPU kernel for ", what));
}

absl::Status KernelRequest::UnsupportedType(int input) const {
  const std::string_view name = Name(inputs[input].type);
  return Unsupported(absl::StrCat("type ", absl::string_view(name.data(), name.size())));
}

const KernelTable& KernelTable::Get() {
  static const KernelTable& table = *[] {
    auto* made = new KernelTable;
    AddMatMulKernels(*made);
    AddEinsumKernels(*made);
    AddConvolutionKernels(*made);
    AddPoolingKernels(*made);
    AddResizeKernels(*made);
    AddElementwiseBinaryKernels(*made);
    AddElementwiseUnaryKernels(*made);
    AddComparisonKernels(*made);
    AddCastKernels(*made);
    AddActivationKernels(*made);
    AddNormalizationKernels(*made);
    AddSoftmaxKernels(*made);
    AddReductionKernels(*made);
    AddSearchKernels(*made);
    AddDataMovementKernels(*made);
    AddGatherScatterKernels(*made);
    AddShapeKernels(*made);
    AddCollectiveKernels(*made);
    return made;
  }();
  return table;
}

absl::StatusOr<std::unique_ptr<Kernel>> KernelTable::Make(const KernelRequest& request) const {
  auto it = factories_.find(request.type());
  const KernelFactory factory = it != factories_.end() ? it->second : FindPackagedKernel(request.type());
  return factory == nullptr ? request.Unsupported("this operator") : factory(request);
}

void KernelTable::Add(std::initializer_list<absl::string_view> types, KernelFactory factory) {
  for (absl::string_view type : types) factories_.emplace(std::string(type), factory);
}

}  // namespace omserve::cpu
