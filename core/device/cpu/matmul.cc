// Matrix products. Float products with constant weights run on oneDNN with the weights packed once; others on its
// sgemm, batch by batch; other types on plain loops.
#include <algorithm>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/status.h"
#include "core/device/cpu/dispatch.h"
#include "core/device/cpu/epilogue.h"
#include "core/device/cpu/kernel.h"
#include "core/device/cpu/matmul.h"
#include "core/device/cpu/onednn.h"
#include "core/device/cpu/parallel.h"

namespace omserve::cpu {

absl::StatusOr<MatMulProblem> MatMulProblem::Of(const KernelRequest& request) {
  const bool batched = request.type().rfind("Batch", 0) == 0;
  MatMulProblem problem;
  problem.transpose_a = request.Attr<bool>(batched ? "adj_x1" : "transpose_x1");
  problem.transpose_b = request.Attr<bool>(batched ? "adj_x2" : "transpose_x2");
  const Shape& a = request.input_shape(0);
  const Shape& b = request.input_shape(1);
  if (a.size() < 2 || b.size() < 2) return request.Unsupported("fewer than two dimensions");
  if (request.has_input(3)) return request.Unsupported("input 'offset_w'");
  problem.m = a[a.size() - (problem.transpose_a ? 1 : 2)];
  problem.k = a[a.size() - (problem.transpose_a ? 2 : 1)];
  problem.n = b[b.size() - (problem.transpose_b ? 2 : 1)];
  problem.bias = request.has_input(2);
  problem.epilogue = Epilogue::Of(request.view.node());
  const Shape& output = request.output_shape();
  const absl::Span<const int64_t> a_batch = absl::MakeConstSpan(a).first(a.size() - 2);
  const absl::Span<const int64_t> b_batch = absl::MakeConstSpan(b).first(b.size() - 2);
  if (NumElements(b_batch) == 1 && !problem.transpose_a) {
    // One matrix on the right: all rows on the left in one product.
    problem.m *= NumElements(a_batch);
    problem.a_offsets = problem.b_offsets = {0};
    return problem;
  }
  const Shape batch(output.begin(), output.end() - 2);
  const Broadcast<2> broadcast = [&] {
    const Shape left(a_batch.begin(), a_batch.end()), right(b_batch.begin(), b_batch.end());
    return Broadcast<2>(batch, {&left, &right});
  }();
  broadcast.ForEachRow(1, [&](int64_t, const std::array<int64_t, 2>& from, int64_t count) {
    for (int64_t i = 0; i < count; ++i) {
      problem.a_offsets.push_back((from[0] + i * broadcast.step(0)) * problem.m * problem.k);
      problem.b_offsets.push_back((from[1] + i * broadcast.step(1)) * problem.k * problem.n);
    }
  });
  return problem;
}

namespace {

using Made = absl::StatusOr<std::unique_ptr<Kernel>>;

// Rows of the result through the epilogue.
void Finish(const MatMulProblem& problem, float* y, const float* bias, const float* residual, int threads) {
  if (bias == nullptr && problem.epilogue.empty()) return;
  const int64_t n = problem.n;
  ParallelFor(threads, problem.m * problem.batch(), std::max<int64_t>(1, kElementGrain / 4 / n),
              [&, y](int64_t begin, int64_t end) {
                for (int64_t row = begin; row < end; ++row) {
                  problem.epilogue.Apply(y + row * n, bias, residual == nullptr ? nullptr : residual + row * n, n);
                }
              });
}

// The residual is input 4, behind bias and offset_w.
constexpr int kBias = 2;
constexpr int kResidual = 4;

// oneDNN matmul with the right side packed.
class PackedMatMul : public Kernel {
 public:
  static Made Make(const KernelRequest& request, MatMulProblem problem) {
    auto kernel = std::make_unique<PackedMatMul>(request, std::move(problem));
    RETURN_IF_ERROR(CatchOneDnn("matmul", [&] { kernel->Build(); }));
    return kernel;
  }

  PackedMatMul(const KernelRequest& request, MatMulProblem problem)
      : problem_(std::move(problem)), weights_(*request.constant(1)), threads_(request.threads) {}

  absl::Status Prepare() override {
    std::byte* packed = nullptr;
    packed_ = Buffer::Allocate(packed_desc_.get_size(), &packed);
    RETURN_IF_ERROR(Reorder(plain_desc_, weights_.data(), packed_desc_, packed));
    weights_ = Tensor();
    return CatchOneDnn("matmul", [&] { call_.Set(weights_at_, packed); });
  }

  absl::Status Run(const void* const* inputs, void* const* outputs, KernelContext& context) override {
    float* y = static_cast<float*>(outputs[0]);
    call_.Set(source_at_, inputs[0]);
    call_.Set(result_at_, y);
    // A bias of its own can be added by oneDNN; with more to do, one pass does all.
    if (bias_at_ >= 0) call_.Set(bias_at_, inputs[kBias]);
    RETURN_IF_ERROR(call_.Run(context.scratch));
    const float* bias = problem_.bias && bias_at_ < 0 ? static_cast<const float*>(inputs[kBias]) : nullptr;
    const float* residual = problem_.epilogue.residual ? static_cast<const float*>(inputs[kResidual]) : nullptr;
    Finish(problem_, y, bias, residual, threads_);
    return absl::OkStatus();
  }

  size_t scratch_bytes() const override { return call_.scratch_bytes(); }
  size_t weight_bytes() const override { return packed_desc_.get_size(); }
  bool ReadsInput(int input) const override { return input != 1; }

 private:
  using Desc = dnnl::memory::desc;
  static constexpr auto kFloat = dnnl::memory::data_type::f32;

  void Build() {
    const int64_t m = problem_.m, n = problem_.n, k = problem_.k;
    const Desc source({m, k}, kFloat, problem_.transpose_a ? dnnl::memory::dims{1, m} : dnnl::memory::dims{k, 1});
    const Desc result({m, n}, kFloat, dnnl::memory::dims{n, 1});
    plain_desc_ = Desc({k, n}, kFloat, problem_.transpose_b ? dnnl::memory::dims{1, k} : dnnl::memory::dims{n, 1});
    const bool with_bias = problem_.bias && problem_.epilogue.empty();
    const Desc bias = with_bias ? Desc({1, n}, kFloat, dnnl::memory::dims{n, 1}) : Desc();
    const auto describe = [&](const Desc& weights) {
      return dnnl::matmul::primitive_desc(
          with_bias ? dnnl::matmul::desc(source, weights, bias, result) : dnnl::matmul::desc(source, weights, result),
          UserScratchpad(), OneDnnEngine());
    };
    dnnl::matmul::primitive_desc primitive = describe(Desc({k, n}, kFloat, dnnl::memory::format_tag::any));
    if (std::string_view(primitive.impl_info_str()).substr(0, 3) != "brg") {
      // Below AVX-512 "any" is a plain layout, and a row of 4 KiB times a whole number makes all rows compete for the
      // same cache sets: 64 bytes more between rows cure it.
      primitive = describe(Desc({k, n}, kFloat, dnnl::memory::dims{(n + 15) / 16 * 16 + 16, 1}));
    }
    packed_desc_ = primitive.weights_desc();
    call_ = OneDnnCall(dnnl::matmul(primitive), primitive.scratchpad_desc());
    source_at_ = call_.AddArgument(DNNL_ARG_SRC, source);
    weights_at_ = call_.AddArgument(DNNL_ARG_WEIGHTS, packed_desc_);
    result_at_ = call_.AddArgument(DNNL_ARG_DST, result);
    if (with_bias) bias_at_ = call_.AddArgument(DNNL_ARG_BIAS, bias);
  }

  const MatMulProblem problem_;
  Tensor weights_;  // until Prepare
  const int threads_;
  Buffer packed_;
  Desc plain_desc_, packed_desc_;
  OneDnnCall call_;
  int source_at_ = 0, weights_at_ = 0, result_at_ = 0, bias_at_ = -1;
};

// sgemm on each matrix of the batch: many small ones side by side, few large ones with all threads on each.
class GemmMatMul : public Kernel {
 public:
  GemmMatMul(const KernelRequest& request, MatMulProblem problem)
      : problem_(std::move(problem)), threads_(request.threads) {}

  absl::Status Run(const void* const* inputs, void* const* outputs, KernelContext&) override {
    const float* a = static_cast<const float*>(inputs[0]);
    const float* b = static_cast<const float*>(inputs[1]);
    float* y = static_cast<float*>(outputs[0]);
    const float* bias = problem_.bias ? static_cast<const float*>(inputs[kBias]) : nullptr;
    const float* residual = problem_.epilogue.residual ? static_cast<const float*>(inputs[kResidual]) : nullptr;
    const MatMulProblem& p = problem_;
    if (p.m == 0 || p.n == 0 || p.batch() == 0) return absl::OkStatus();
    const auto product = [&](int64_t i) {
      return dnnl_sgemm(p.transpose_a ? 'T' : 'N', p.transpose_b ? 'T' : 'N', p.m, p.n, p.k, 1.0f,
                        a + p.a_offsets[i], p.transpose_a ? p.m : p.k, b + p.b_offsets[i],
                        p.transpose_b ? p.k : p.n, 0.0f, y + i * p.m * p.n, p.n);
    };
    dnnl_status_t failure = dnnl_success;
    if (p.k == 0) {
      std::fill_n(y, p.batch() * p.m * p.n, 0.0f);
    } else if (p.batch() >= threads_) {
      const int64_t grain = std::max<int64_t>(1, kElementGrain * 4 / (p.m * p.n * p.k));
      ParallelFor(threads_, p.batch(), grain, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
          if (const dnnl_status_t status = product(i); status != dnnl_success) {
#pragma omp atomic write
            failure = status;
          }
        }
      });
    } else {
      for (int64_t i = 0; i < p.batch() && failure == dnnl_success; ++i) failure = product(i);
    }
    if (failure != dnnl_success) return absl::InternalError(absl::StrCat("oneDNN: sgemm failed with ", failure));
    Finish(problem_, y, bias, residual, threads_);
    return absl::OkStatus();
  }

 private:
  const MatMulProblem problem_;
  const int threads_;
};

// Integers (int8 sums in int32) and double: rows of the right side times elements of the left.
template <typename T, typename Sum>
class PlainMatMul : public Kernel {
 public:
  PlainMatMul(const KernelRequest& request, MatMulProblem problem)
      : problem_(std::move(problem)), threads_(request.threads) {}

  absl::Status Run(const void* const* inputs, void* const* outputs, KernelContext&) override {
    const T* a = static_cast<const T*>(inputs[0]);
    const T* b = static_cast<const T*>(inputs[1]);
    const Sum* bias = problem_.bias ? static_cast<const Sum*>(inputs[kBias]) : nullptr;
    Sum* y = static_cast<Sum*>(outputs[0]);
    const MatMulProblem& p = problem_;
    const int64_t a_row = p.transpose_a ? 1 : p.k, a_step = p.transpose_a ? p.m : 1;
    const int64_t b_row = p.transpose_b ? 1 : p.n, b_step = p.transpose_b ? p.k : 1;
    ParallelFor(threads_, p.batch() * p.m, std::max<int64_t>(1, kElementGrain / std::max<int64_t>(1, p.n * p.k)),
                [=, &p](int64_t begin, int64_t end) {
                  for (int64_t row = begin; row < end; ++row) {
                    const T* left = a + p.a_offsets[row / p.m] + row % p.m * a_row;
                    const T* right = b + p.b_offsets[row / p.m];
                    Sum* to = y + row * p.n;
                    for (int64_t j = 0; j < p.n; ++j) to[j] = bias != nullptr ? bias[j] : Sum{0};
                    for (int64_t i = 0; i < p.k; ++i) {
                      const Sum factor = static_cast<Sum>(left[i * a_step]);
                      for (int64_t j = 0; j < p.n; ++j) {
                        to[j] += factor * static_cast<Sum>(right[i * b_row + j * b_step]);
                      }
                    }
                  }
                });
    return absl::OkStatus();
  }

 private:
  const MatMulProblem problem_;
  const int threads_;
};

Made MakeMatMul(const KernelRequest& request) {
  ASSIGN_OR_RETURN(MatMulProblem problem, MatMulProblem::Of(request));
  switch (request.inputs[0].type) {
    case DataType::kFloat: break;
    case DataType::kDouble: return std::make_unique<PlainMatMul<double, double>>(request, std::move(problem));
    // Unsigned, so that sums wrap.
    case DataType::kInt32: return std::make_unique<PlainMatMul<uint32_t, uint32_t>>(request, std::move(problem));
    case DataType::kInt64: return std::make_unique<PlainMatMul<uint64_t, uint64_t>>(request, std::move(problem));
    case DataType::kInt8:
      if (request.outputs[0].type == DataType::kInt32) {
        return std::make_unique<PlainMatMul<int8_t, int32_t>>(request, std::move(problem));
      }
      return request.UnsupportedType(0);
    default: return request.UnsupportedType(0);
  }
  const bool has_work = problem.m > 0 && problem.n > 0 && problem.k > 0;
  if (request.constant(1) != nullptr && problem.batch() == 1 && has_work && !request.once) {
    return PackedMatMul::Make(request, std::move(problem));
  }
  return std::make_unique<GemmMatMul>(request, std::move(problem));
}

}  // namespace

void AddMatMulKernels(KernelTable& table) {
  table.Add({"MatMul", "MatMulV2", "BatchMatMul", "BatchMatMulV2"}, MakeMatMul);
}

}  // namespace omserve::cpu
