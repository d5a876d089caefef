// Resize: each dimension in turn, every output coordinate being a weighted sum of a few input coordinates.
// Coordinates and weights as in the ONNX operator of that name.
#include <algorithm>
#include <array>
#include <cmath>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/base/checked.h"
#include "core/base/status.h"
#include "core/device/cpu/dispatch.h"
#include "core/device/cpu/kernel.h"
#include "core/device/cpu/memory_plan.h"
#include "core/device/cpu/parallel.h"

namespace omserve::cpu {

namespace {

using Made = absl::StatusOr<std::unique_ptr<Kernel>>;

constexpr int kMaxTaps = 4;

struct Taps {
  int count = 1;
  std::array<int64_t, kMaxTaps> index{};
  std::array<float, kMaxTaps> weight{};
};

// One dimension: a tensor [outer, in, inner] becomes [outer, out, inner].
struct Pass {
  int64_t outer = 1, in = 1, out = 1, inner = 1;
  std::vector<Taps> taps;  // by output coordinate
};

// Where output coordinate `i` lies in the input.
absl::StatusOr<double> SourceCoordinate(const KernelRequest& request, const std::string& mode, int64_t i, int64_t in,
                                        int64_t out, double scale) {
  const double x = static_cast<double>(i);
  if (mode == "half_pixel") return (x + 0.5) / scale - 0.5;
  if (mode == "asymmetric") return x / scale;
  if (mode == "align_corners") {
    return out == 1 ? 0.0 : x * static_cast<double>(in - 1) / static_cast<double>(out - 1);
  }
  if (mode == "pytorch_half_pixel") return out > 1 ? (x + 0.5) / scale - 0.5 : 0.0;
  if (mode == "half_pixel_symmetric") {
    const double adjustment = static_cast<double>(out) / (scale * static_cast<double>(in));
    const double center = static_cast<double>(in) / 2.0;
    return center * (1.0 - adjustment) + (x + 0.5) / scale - 0.5;
  }
  return request.Unsupported(absl::StrCat("coordinate_transformation_mode '", mode, "'"));
}

absl::StatusOr<int64_t> Nearest(const KernelRequest& request, const std::string& mode, double x) {
  if (mode == "round_prefer_floor") return static_cast<int64_t>(std::ceil(x - 0.5));
  if (mode == "round_prefer_ceil") return static_cast<int64_t>(std::floor(x + 0.5));
  if (mode == "floor") return static_cast<int64_t>(std::floor(x));
  if (mode == "ceil") return static_cast<int64_t>(std::ceil(x));
  return request.Unsupported(absl::StrCat("nearest_mode '", mode, "'"));
}

// Weights of the four neighbours of a point at `t` behind the second (Keys, with parameter a).
std::array<float, kMaxTaps> CubicWeights(double t, double a) {
  const auto near = [a](double d) { return ((a + 2) * d - (a + 3)) * d * d + 1; };
  const auto far = [a](double d) { return ((a * d - 5 * a) * d + 8 * a) * d - 4 * a; };
  return {static_cast<float>(far(t + 1)), static_cast<float>(near(t)), static_cast<float>(near(1 - t)),
          static_cast<float>(far(2 - t))};
}

absl::StatusOr<Taps> TapsFor(const KernelRequest& request, int64_t i, int64_t in, int64_t out, double scale) {
  const std::string mode = request.Attr<std::string>("mode");
  ASSIGN_OR_RETURN(const double x,
                   SourceCoordinate(request, request.Attr<std::string>("coordinate_transformation_mode"), i, in, out,
                                    scale));
  const auto clamp = [in](int64_t at) { return std::clamp<int64_t>(at, 0, in - 1); };
  Taps taps;
  if (mode == "nearest") {
    ASSIGN_OR_RETURN(const int64_t at, Nearest(request, request.Attr<std::string>("nearest_mode"), x));
    taps.index[0] = clamp(at);
    taps.weight[0] = 1.0f;
    return taps;
  }
  const double floor = std::floor(x);
  const int64_t base = static_cast<int64_t>(floor);
  if (mode == "linear") {
    taps.count = 2;
    taps.index = {clamp(base), clamp(base + 1)};
    taps.weight = {static_cast<float>(1.0 - (x - floor)), static_cast<float>(x - floor)};
    return taps;
  }
  if (mode != "cubic") return request.Unsupported(absl::StrCat("mode '", mode, "'"));
  taps.count = 4;
  taps.weight = CubicWeights(x - floor, request.Attr<float>("cubic_coeff_a"));
  float total = 0.0f;
  for (int k = 0; k < 4; ++k) {
    const int64_t at = base - 1 + k;
    if (request.Attr<int64_t>("exclude_outside") != 0 && at != clamp(at)) taps.weight[k] = 0.0f;
    taps.index[k] = clamp(at);
    total += taps.weight[k];
  }
  if (request.Attr<int64_t>("exclude_outside") != 0) {
    for (float& weight : taps.weight) weight /= total;
  }
  return taps;
}

// Nearest moves elements of any type; the others are sums of floats.
template <typename T, bool weighted>
class ResizeKernel : public Kernel {
 public:
  ResizeKernel(const KernelRequest& request, std::vector<Pass> passes)
      : passes_(std::move(passes)), threads_(request.threads) {
    for (size_t p = 0; p + 1 < passes_.size(); ++p) room_ = std::max(room_, Elements(passes_[p]) * sizeof(T));
    room_ = AlignUp(room_, kArenaAlignment);
  }

  // Between passes, two buffers take turns.
  size_t scratch_bytes() const override { return passes_.size() > 2 ? 2 * room_ : room_; }

  absl::Status Run(const void* const* inputs, void* const* outputs, KernelContext& context) override {
    const T* from = static_cast<const T*>(inputs[0]);
    for (size_t p = 0; p < passes_.size(); ++p) {
      T* to = p + 1 == passes_.size() ? static_cast<T*>(outputs[0])
                                      : reinterpret_cast<T*>(context.scratch + (p % 2) * room_);
      RunPass(passes_[p], from, to);
      from = to;
    }
    return absl::OkStatus();
  }

 private:
  static size_t Elements(const Pass& pass) { return static_cast<size_t>(pass.outer * pass.out * pass.inner); }

  void RunPass(const Pass& pass, const T* from, T* to) const {
    if (pass.inner == 1) return RunInnermost(pass, from, to);
    ParallelFor(threads_, pass.outer * pass.out, std::max<int64_t>(1, kElementGrain / std::max<int64_t>(1, pass.inner)),
                [&pass, from, to](int64_t begin, int64_t end) {
                  for (int64_t row = begin; row < end; ++row) {
                    const Taps& taps = pass.taps[static_cast<size_t>(row % pass.out)];
                    const T* plane = from + row / pass.out * pass.in * pass.inner;
                    T* target = to + row * pass.inner;
                    const T* first = plane + taps.index[0] * pass.inner;
                    if constexpr (!weighted) {
                      std::copy_n(first, pass.inner, target);
                    } else {
                      for (int64_t i = 0; i < pass.inner; ++i) target[i] = taps.weight[0] * first[i];
                      for (int k = 1; k < taps.count; ++k) {
                        const T* next = plane + taps.index[k] * pass.inner;
                        for (int64_t i = 0; i < pass.inner; ++i) target[i] += taps.weight[k] * next[i];
                      }
                    }
                  }
                });
  }

  void RunInnermost(const Pass& pass, const T* from, T* to) const {
    ParallelFor(threads_, pass.outer, std::max<int64_t>(1, kElementGrain / std::max<int64_t>(1, pass.out)),
                [&pass, from, to](int64_t begin, int64_t end) {
                  for (int64_t row = begin; row < end; ++row) {
                    const T* line = from + row * pass.in;
                    T* target = to + row * pass.out;
                    for (const Taps& taps : pass.taps) {
                      if constexpr (!weighted) {
                        *target++ = line[taps.index[0]];
                      } else {
                        T sum = taps.weight[0] * line[taps.index[0]];
                        for (int k = 1; k < taps.count; ++k) sum += taps.weight[k] * line[taps.index[k]];
                        *target++ = sum;
                      }
                    }
                  }
                });
  }

  const std::vector<Pass> passes_;
  const int threads_;
  size_t room_ = 0;
};

Made MakeResize(const KernelRequest& request) {
  constexpr int kScales = 2;
  const Shape& in = request.input_shape(0);
  const Shape& out = request.output_shape();
  const Tensor* scales = request.constant(kScales);
  if (scales != nullptr && scales->num_elements() != static_cast<int64_t>(in.size())) scales = nullptr;
  Shape shape = in;
  std::vector<Pass> passes;
  for (size_t d = 0; d < in.size(); ++d) {
    if (in[d] == out[d]) continue;
    if (in[d] == 0) return absl::InvalidArgumentError("an empty dimension cannot be resized");
    const double scale = scales != nullptr ? static_cast<double>(scales->values<float>()[d])
                                           : static_cast<double>(out[d]) / static_cast<double>(in[d]);
    const absl::Span<const int64_t> dims = shape;
    Pass pass{NumElements(dims.first(d)), in[d], out[d], NumElements(dims.subspan(d + 1)), {}};
    for (int64_t i = 0; i < out[d]; ++i) {
      ASSIGN_OR_RETURN(Taps taps, TapsFor(request, i, in[d], out[d], scale));
      pass.taps.push_back(taps);
    }
    shape[d] = out[d];
    passes.push_back(std::move(pass));
  }
  if (passes.empty()) return MakeView(0);
  if (request.Attr<std::string>("mode") != "nearest") {
    if (request.inputs[0].type != DataType::kFloat) return request.UnsupportedType(0);
    return std::make_unique<ResizeKernel<float, true>>(request, std::move(passes));
  }
  std::unique_ptr<Kernel> kernel;
  DispatchSize(request.inputs[0].type, [&](auto tag) {
    kernel = std::make_unique<ResizeKernel<typename decltype(tag)::type, false>>(request, std::move(passes));
  });
  if (kernel == nullptr) return request.UnsupportedType(0);
  return kernel;
}

}  // namespace

void AddResizeKernels(KernelTable& table) { table.Add({"Resize"}, MakeResize); }

}  // namespace omserve::cpu
