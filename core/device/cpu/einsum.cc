// Einsum: products of two operands as matrix products, the rest by plain sums over the labels.
#include <algorithm>
#include <array>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_split.h"
#include "core/base/checked.h"
#include "core/base/status.h"
#include "core/device/cpu/arithmetic.h"
#include "core/device/cpu/dispatch.h"
#include "core/device/cpu/kernel.h"
#include "core/device/cpu/memory_plan.h"
#include "core/device/cpu/onednn.h"
#include "core/device/cpu/parallel.h"
#include "core/device/cpu/strided_copy.h"

namespace omserve::cpu {

namespace {

using Made = absl::StatusOr<std::unique_ptr<Kernel>>;
using Ints = std::vector<int64_t>;

// One letter per dimension of each operand. Shape inference has checked the text: letters only, none twice in one
// operand, sizes agree.
struct Equation {
  std::vector<std::string> operands;
  std::string output;
  std::map<char, int64_t> sizes;
};

Equation EquationOf(const KernelRequest& request) {
  std::string text = request.Attr<std::string>("equation");
  text.erase(std::remove(text.begin(), text.end(), ' '), text.end());
  const std::vector<std::string> sides = absl::StrSplit(text, "->");
  Equation equation;
  equation.operands = absl::StrSplit(sides[0], ',');
  std::map<char, int> occurrences;
  for (size_t i = 0; i < equation.operands.size(); ++i) {
    for (size_t d = 0; d < equation.operands[i].size(); ++d) {
      equation.sizes[equation.operands[i][d]] = request.input_shape(static_cast<int>(i))[d];
      ++occurrences[equation.operands[i][d]];
    }
  }
  if (sides.size() == 2) {
    equation.output = sides[1];
  } else {
    for (const auto& [label, count] : occurrences) {
      if (count == 1) equation.output += label;
    }
  }
  return equation;
}

bool Contains(const std::string& labels, char label) { return labels.find(label) != std::string::npos; }

Ints DimsOf(const Equation& equation, const std::string& labels) {
  Ints dims;
  for (char label : labels) dims.push_back(equation.sizes.at(label));
  return dims;
}

// Strides of `order` in a dense tensor with the labels `layout`; 0 where it lacks the label.
Ints StridesIn(const Equation& equation, const std::string& layout, const std::string& order) {
  const Ints dense = RowMajorStrides(DimsOf(equation, layout));
  Ints strides;
  for (char label : order) {
    const size_t at = layout.find(label);
    strides.push_back(at == std::string::npos ? 0 : dense[at]);
  }
  return strides;
}

// Two operands whose labels are each shared, summed or kept: [batch, m, k] x [batch, k, n] after bringing the operands
// into that order where they are not in it already.
class ProductKernel : public Kernel {
 public:
  ProductKernel(const KernelRequest& request, const Equation& equation, const std::string& batch, const std::string& m,
                const std::string& n, const std::string& k)
      : threads_(request.threads),
        a_(Copy(equation, equation.operands[0], batch + m + k)),
        b_(Copy(equation, equation.operands[1], batch + k + n)),
        y_(Copy(equation, batch + m + n, equation.output)) {
    batch_ = NumElements(DimsOf(equation, batch));
    m_ = NumElements(DimsOf(equation, m));
    n_ = NumElements(DimsOf(equation, n));
    k_ = NumElements(DimsOf(equation, k));
  }

  size_t scratch_bytes() const override { return Room(a_) + Room(b_) + Room(y_); }

  absl::Status Run(const void* const* inputs, void* const* outputs, KernelContext& context) override {
    std::byte* scratch = context.scratch;
    const float* a = Arranged(a_, inputs[0], scratch);
    const float* b = Arranged(b_, inputs[1], scratch + Room(a_));
    float* y = static_cast<float*>(outputs[0]);
    if (!y_.is_contiguous()) y = reinterpret_cast<float*>(scratch + Room(a_) + Room(b_));
    if (k_ == 0) std::fill_n(y, batch_ * m_ * n_, 0.0f);
    for (int64_t i = 0; i < batch_ && k_ > 0 && m_ > 0 && n_ > 0; ++i) {
      const dnnl_status_t status = dnnl_sgemm('N', 'N', m_, n_, k_, 1.0f, a + i * m_ * k_, k_, b + i * k_ * n_, n_,
                                              0.0f, y + i * m_ * n_, n_);
      if (status != dnnl_success) return absl::InternalError(absl::StrCat("oneDNN: sgemm failed with ", status));
    }
    if (!y_.is_contiguous()) y_.Run(threads_, y, outputs[0]);
    return absl::OkStatus();
  }

 private:
  static StridedCopy Copy(const Equation& equation, const std::string& from, const std::string& to) {
    const Ints dims = DimsOf(equation, to);
    return StridedCopy(sizeof(float), dims, StridesIn(equation, from, to), RowMajorStrides(dims));
  }
  static size_t Room(const StridedCopy& copy) {
    return copy.is_contiguous() ? 0 : AlignUp(static_cast<size_t>(copy.total_bytes()), kArenaAlignment);
  }
  const float* Arranged(const StridedCopy& copy, const void* input, std::byte* room) const {
    if (copy.is_contiguous()) return static_cast<const float*>(input);
    copy.Run(threads_, input, room);
    return reinterpret_cast<const float*>(room);
  }

  const int threads_;
  const StridedCopy a_, b_, y_;
  int64_t batch_, m_, n_, k_;
};

// Any number of operands and any element type: for each output element, the sum over all other labels of the product.
template <typename T>
class SumKernel : public Kernel {
 public:
  SumKernel(const KernelRequest& request, const Equation& equation) : threads_(request.threads) {
    std::string summed;
    for (const auto& [label, size] : equation.sizes) {
      if (!Contains(equation.output, label)) summed += label;
    }
    kept_dims_ = DimsOf(equation, equation.output);
    summed_dims_ = DimsOf(equation, summed);
    for (const std::string& operand : equation.operands) {
      kept_strides_.push_back(StridesIn(equation, operand, equation.output));
      summed_strides_.push_back(StridesIn(equation, operand, summed));
    }
  }

  absl::Status Run(const void* const* inputs, void* const* outputs, KernelContext&) override {
    T* y = static_cast<T*>(outputs[0]);
    const int64_t terms = NumElements(summed_dims_);
    ParallelFor(threads_, NumElements(kept_dims_), std::max<int64_t>(1, kElementGrain / std::max<int64_t>(1, terms)),
                [&](int64_t begin, int64_t end) {
                  for (int64_t i = begin; i < end; ++i) {
                    T sum{0};
                    for (int64_t k = 0; k < terms; ++k) {
                      T product{1};
                      for (size_t o = 0; o < kept_strides_.size(); ++o) {
                        const int64_t at = Offset(i, kept_dims_, kept_strides_[o]) + Offset(k, summed_dims_, summed_strides_[o]);
                        product = WrappingMul(product, static_cast<const T*>(inputs[o])[at]);
                      }
                      sum = WrappingAdd(sum, product);
                    }
                    y[i] = sum;
                  }
                });
    return absl::OkStatus();
  }

 private:
  static int64_t Offset(int64_t index, const Ints& dims, const Ints& strides) {
    int64_t offset = 0;
    for (size_t d = dims.size(); d-- > 0;) {
      offset += index % dims[d] * strides[d];
      index /= dims[d];
    }
    return offset;
  }

  const int threads_;
  Ints kept_dims_, summed_dims_;
  std::vector<Ints> kept_strides_, summed_strides_;  // by operand
};

Made MakeEinsum(const KernelRequest& request) {
  const Equation equation = EquationOf(request);
  if (request.inputs[0].type == DataType::kFloat && equation.operands.size() == 2) {
    std::string batch, m, n, k;
    bool plain = true;
    for (const auto& [label, size] : equation.sizes) {
      const bool in_a = Contains(equation.operands[0], label), in_b = Contains(equation.operands[1], label);
      const bool kept = Contains(equation.output, label);
      if (in_a && in_b) (kept ? batch : k) += label;
      else if (kept) (in_a ? m : n) += label;
      else plain = false;  // summed within one operand
    }
    // The order of the output's labels, so that the result needs no rearranging where that is possible.
    const auto by_output = [&](char a, char b) { return equation.output.find(a) < equation.output.find(b); };
    for (std::string* labels : {&batch, &m, &n}) std::sort(labels->begin(), labels->end(), by_output);
    if (plain) return std::make_unique<ProductKernel>(request, equation, batch, m, n, k);
  }
  std::unique_ptr<Kernel> kernel;
  DispatchNumeric(request.inputs[0].type, [&](auto tag) {
    kernel = std::make_unique<SumKernel<typename decltype(tag)::type>>(request, equation);
  });
  if (kernel == nullptr) return request.UnsupportedType(0);
  return kernel;
}

}  // namespace

void AddEinsumKernels(KernelTable& table) { table.Add({"Einsum"}, MakeEinsum); }

}  // namespace omserve::cpu
