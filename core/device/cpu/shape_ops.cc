// Operators that make tensors from shapes and numbers: Shape, Range, Fill, one-hot, triangles.
#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include "core/base/status.h"
#include "core/device/cpu/arithmetic.h"
#include "core/device/cpu/dispatch.h"
#include "core/device/cpu/kernel.h"
#include "core/device/cpu/parallel.h"

namespace omserve::cpu {

namespace {

using Made = absl::StatusOr<std::unique_ptr<Kernel>>;
using Ints = std::vector<int64_t>;

// An output known when the kernel is made.
class ValueKernel : public Kernel {
 public:
  explicit ValueKernel(Tensor value) : value_(std::move(value)) {}
  absl::Status Run(const void* const*, void* const* outputs, KernelContext&) override {
    if (value_.byte_size() > 0) std::memcpy(outputs[0], value_.data(), value_.byte_size());
    return absl::OkStatus();
  }
  size_t weight_bytes() const override { return value_.byte_size(); }
  bool ReadsInput(int) const override { return false; }

 private:
  const Tensor value_;
};

// Integers as a tensor of output 0's type, int32 or int64.
Made MakeInts(const KernelRequest& request, const Ints& values) {
  const TensorDesc& output = request.outputs[0];
  if (NumElements(output.shape) != static_cast<int64_t>(values.size())) {
    return absl::InvalidArgumentError(absl::StrCat("the result has ", values.size(), " elements, the graph says ",
                                                   ToString(output)));
  }
  if (output.type == DataType::kInt64) return std::make_unique<ValueKernel>(Tensor::Of<int64_t>(output.shape, values));
  if (output.type == DataType::kInt32) {
    return std::make_unique<ValueKernel>(
        Tensor::Of<int32_t>(output.shape, std::vector<int32_t>(values.begin(), values.end())));
  }
  return request.Unsupported("this output type");
}

Made MakeShape(const KernelRequest& request) { return MakeInts(request, request.input_shape(0)); }
Made MakeSizeOf(const KernelRequest& request) { return MakeInts(request, {NumElements(request.input_shape(0))}); }
Made MakeRank(const KernelRequest& request) {
  return MakeInts(request, {static_cast<int64_t>(request.input_shape(0).size())});
}

// start + i * delta; the number of elements is in the output's shape.
template <typename T>
class RangeKernel : public Kernel {
 public:
  explicit RangeKernel(const KernelRequest& request) : count_(NumElements(request.output_shape())) {}
  absl::Status Run(const void* const* inputs, void* const* outputs, KernelContext&) override {
    const T start = *static_cast<const T*>(inputs[0]);
    const T delta = *static_cast<const T*>(inputs[2]);
    T* y = static_cast<T*>(outputs[0]);
    for (int64_t i = 0; i < count_; ++i) y[i] = WrappingAdd(start, WrappingMul(static_cast<T>(i), delta));
    return absl::OkStatus();
  }

 private:
  const int64_t count_;
};

Made MakeRange(const KernelRequest& request) {
  std::unique_ptr<Kernel> kernel;
  Dispatch<float, double, int16_t, int32_t, int64_t>(request.inputs[0].type, [&](auto tag) {
    kernel = std::make_unique<RangeKernel<typename decltype(tag)::type>>(request);
  });
  if (kernel == nullptr) return request.UnsupportedType(0);
  return kernel;
}

// Every element is element 0 of an input.
template <typename U>
class FillKernel : public Kernel {
 public:
  FillKernel(const KernelRequest& request, int input)
      : input_(input), count_(NumElements(request.output_shape())), threads_(request.threads) {}
  absl::Status Run(const void* const* inputs, void* const* outputs, KernelContext&) override {
    const U value = *static_cast<const U*>(inputs[input_]);
    U* y = static_cast<U*>(outputs[0]);
    ParallelFor(threads_, count_, kElementGrain,
                [=](int64_t begin, int64_t end) { std::fill(y + begin, y + end, value); });
    return absl::OkStatus();
  }
  bool ReadsInput(int input) const override { return input == input_; }

 private:
  const int input_;
  const int64_t count_;
  const int threads_;
};

Made MakeFill(const KernelRequest& request) {
  if (NumElements(request.input_shape(1)) != 1) {
    return absl::InvalidArgumentError("value is not one element");
  }
  std::unique_ptr<Kernel> kernel;
  DispatchSize(request.inputs[1].type, [&](auto tag) {
    kernel = std::make_unique<FillKernel<typename decltype(tag)::type>>(request, 1);
  });
  if (kernel == nullptr) return request.UnsupportedType(1);
  return kernel;
}

// Zeros or ones in the type of the output.
template <typename T>
class NumberKernel : public Kernel {
 public:
  NumberKernel(const KernelRequest& request, T value) : value_(value), count_(NumElements(request.output_shape())) {}
  absl::Status Run(const void* const*, void* const* outputs, KernelContext&) override {
    std::fill_n(static_cast<T*>(outputs[0]), count_, value_);
    return absl::OkStatus();
  }

 private:
  const T value_;
  const int64_t count_;
};

template <int value>
Made MakeLike(const KernelRequest& request) {
  std::unique_ptr<Kernel> kernel;
  const DataType type = request.outputs[0].type == DataType::kBool ? DataType::kUint8 : request.outputs[0].type;
  DispatchNumeric(type, [&](auto tag) {
    using T = typename decltype(tag)::type;
    kernel = std::make_unique<NumberKernel<T>>(request, static_cast<T>(value));
  });
  if (kernel == nullptr) return request.UnsupportedType(0);
  return kernel;
}

// y[outer, k, inner] = x[outer, inner] == k ? on : off. An index out of range gives a row of off values; a negative
// one counts from the end, as in ONNX.
template <typename U, typename Index>
class OneHotKernel : public Kernel {
 public:
  OneHotKernel(const KernelRequest& request, int axis, int on_input, int off_input)
      : on_input_(on_input), off_input_(off_input) {
    const absl::Span<const int64_t> shape = request.output_shape();
    outer_ = NumElements(shape.first(axis));
    depth_ = shape[axis];
    inner_ = NumElements(shape.subspan(axis + 1));
  }
  absl::Status Run(const void* const* inputs, void* const* outputs, KernelContext&) override {
    const Index* x = static_cast<const Index*>(inputs[0]);
    const U on = *static_cast<const U*>(inputs[on_input_]);
    const U off = *static_cast<const U*>(inputs[off_input_]);
    U* y = static_cast<U*>(outputs[0]);
    std::fill_n(y, outer_ * depth_ * inner_, off);
    for (int64_t outer = 0; outer < outer_; ++outer) {
      for (int64_t i = 0; i < inner_; ++i) {
        int64_t k = static_cast<int64_t>(x[outer * inner_ + i]);
        if (k < 0) k += depth_;
        if (k >= 0 && k < depth_) y[(outer * depth_ + k) * inner_ + i] = on;
      }
    }
    return absl::OkStatus();
  }

 private:
  const int on_input_, off_input_;
  int64_t outer_, depth_, inner_;
};

Made MakeOneHot(const KernelRequest& request) {
  const int first = request.type() == "OneHot" ? 2 : 1;  // OneHot has the depth as input 1
  ASSIGN_OR_RETURN(const int axis,
                   NormalizeAxis(request.Attr<int64_t>("axis"), static_cast<int>(request.output_shape().size())));
  for (int i : {first, first + 1}) {
    if (NumElements(request.input_shape(i)) != 1) return absl::InvalidArgumentError("on and off are not one element");
  }
  std::unique_ptr<Kernel> kernel;
  DispatchSize(request.outputs[0].type, [&](auto tag) {
    using U = typename decltype(tag)::type;
    Dispatch<int32_t, int64_t, uint8_t>(request.inputs[0].type, [&](auto index) {
      kernel = std::make_unique<OneHotKernel<U, typename decltype(index)::type>>(request, axis, first, first + 1);
    });
  });
  if (kernel == nullptr) return request.UnsupportedType(0);
  return kernel;
}

// Keeps the elements of each matrix on one side of a diagonal.
template <typename U>
class TriangleKernel : public Kernel {
 public:
  TriangleKernel(const KernelRequest& request, bool upper, int64_t diagonal)
      : upper_(upper), diagonal_(diagonal) {
    const Shape& shape = request.input_shape(0);
    rows_ = shape[shape.size() - 2];
    columns_ = shape.back();
    all_rows_ = columns_ == 0 ? 0 : NumElements(shape) / columns_;
  }
  absl::Status Run(const void* const* inputs, void* const* outputs, KernelContext&) override {
    const U* x = static_cast<const U*>(inputs[0]);
    U* y = static_cast<U*>(outputs[0]);
    for (int64_t row = 0; row < all_rows_; ++row) {
      // Columns [cut, end) are kept of an upper triangle, [0, cut) of a lower one.
      const int64_t edge = row % rows_ + diagonal_ + (upper_ ? 0 : 1);
      const int64_t cut = std::clamp<int64_t>(edge, 0, columns_);
      for (int64_t column = 0; column < columns_; ++column) {
        const bool keep = upper_ ? column >= cut : column < cut;
        y[row * columns_ + column] = keep ? x[row * columns_ + column] : U{0};
      }
    }
    return absl::OkStatus();
  }
  bool MayOverwrite(int) const override { return true; }

 private:
  const bool upper_;
  const int64_t diagonal_;
  int64_t rows_, columns_, all_rows_;
};

Made MakeTriangle(const KernelRequest& request) {
  if (request.input_shape(0).size() < 2) return request.Unsupported("fewer than two dimensions");
  bool upper = request.type() == "Triu";
  int64_t diagonal = 0;
  if (request.type() == "Trilu") {
    upper = request.view.node().AttrOr<int64_t>("upper", 1) != 0;
    if (const bool* flag = request.view.node().FindAttr<bool>("upper")) upper = *flag;
    if (request.has_input(1)) {
      ASSIGN_OR_RETURN(const Ints k, request.ConstantInts(1));
      if (k.size() != 1) return absl::InvalidArgumentError("k is not one number");
      diagonal = k[0];
    }
  } else {
    diagonal = request.Attr<int64_t>("diagonal");
  }
  // Far beyond any dimension there is no difference, and sums cannot overflow.
  diagonal = std::clamp<int64_t>(diagonal, -(int64_t{1} << 40), int64_t{1} << 40);
  std::unique_ptr<Kernel> kernel;
  DispatchSize(request.inputs[0].type, [&](auto tag) {
    kernel = std::make_unique<TriangleKernel<typename decltype(tag)::type>>(request, upper, diagonal);
  });
  if (kernel == nullptr) return request.UnsupportedType(0);
  return kernel;
}

}  // namespace

void AddShapeKernels(KernelTable& table) {
  table.Add({"Shape"}, MakeShape);
  table.Add({"Size"}, MakeSizeOf);
  table.Add({"Rank"}, MakeRank);
  table.Add({"Range"}, MakeRange);
  table.Add({"Fill"}, MakeFill);
  table.Add({"ZerosLike"}, MakeLike<0>);
  table.Add({"OnesLike"}, MakeLike<1>);
  table.Add({"OneHot", "OneHotD"}, MakeOneHot);
  table.Add({"Tril", "Triu", "Trilu"}, MakeTriangle);
}

}  // namespace omserve::cpu
