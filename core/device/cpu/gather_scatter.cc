// Gathering and scattering by index. Indices come at run time and are checked: a negative index counts from the end,
// one out of range is INVALID_ARGUMENT.
#include <algorithm>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "core/base/status.h"
#include "core/device/cpu/arithmetic.h"
#include "core/device/cpu/dispatch.h"
#include "core/device/cpu/kernel.h"
#include "core/device/cpu/parallel.h"
#include "core/device/cpu/strided_copy.h"

namespace omserve::cpu {

namespace {

using Made = absl::StatusOr<std::unique_ptr<Kernel>>;
using Ints = std::vector<int64_t>;

absl::Status OutOfRange(int64_t index, int64_t size) {
  return absl::InvalidArgumentError(absl::StrCat("index ", index, " is outside [", -size, ", ", size, ")"));
}

// The index as a position, or -1 when it is out of range.
template <typename Index>
int64_t Resolve(Index index, int64_t size) {
  const int64_t position = index < 0 ? static_cast<int64_t>(index) + size : static_cast<int64_t>(index);
  return position >= 0 && position < size ? position : -1;
}

template <typename Index>
absl::Status CheckIndices(const Index* indices, int64_t count, int64_t size) {
  for (int64_t i = 0; i < count; ++i) {
    if (Resolve(indices[i], size) < 0) return OutOfRange(indices[i], size);
  }
  return absl::OkStatus();
}

int64_t Span(const Shape& shape, size_t begin, size_t end) {
  return NumElements(absl::MakeConstSpan(shape).subspan(begin, end - begin));
}

// x [batch, outer, n, inner], indices [batch, count] -> y [batch, outer, count, inner]. x has rows [first, first + n) of the
// `all` that indices may name; others are zeros.
struct GatherShape {
  int64_t batch = 1, outer = 1, n = 1, inner = 1, count = 1;
  int64_t all = 1, first = 0;

  bool has(int64_t row) const { return row >= first && row - first < n; }
};

template <typename Index>
class GatherKernel : public Kernel {
 public:
  GatherKernel(const KernelRequest& request, GatherShape shape)
      : shape_(shape), inner_bytes_(static_cast<size_t>(shape.inner) * SizeOf(request.inputs[0].type)),
        threads_(request.threads) {}

  absl::Status Run(const void* const* inputs, void* const* outputs, KernelContext&) override {
    const std::byte* x = static_cast<const std::byte*>(inputs[0]);
    const Index* indices = static_cast<const Index*>(inputs[1]);
    std::byte* y = static_cast<std::byte*>(outputs[0]);
    const GatherShape s = shape_;
    RETURN_IF_ERROR(CheckIndices(indices, s.batch * s.count, s.all));
    const int64_t row_bytes = static_cast<int64_t>(inner_bytes_);
    ParallelFor(threads_, s.batch * s.outer * s.count,
                std::max<int64_t>(1, 4 * kElementGrain / std::max<int64_t>(1, row_bytes)),
                [=](int64_t begin, int64_t end) {
                  for (int64_t i = begin; i < end; ++i) {
                    const int64_t block = i / s.count;  // batch and outer
                    const int64_t batch = block / s.outer;
                    const int64_t row = Resolve(indices[batch * s.count + i % s.count], s.all);
                    if (s.has(row)) {
                      std::memcpy(y + i * row_bytes, x + (block * s.n + row - s.first) * row_bytes,
                                  static_cast<size_t>(row_bytes));
                    } else {
                      std::memset(y + i * row_bytes, 0, static_cast<size_t>(row_bytes));
                    }
                  }
                });
    return absl::OkStatus();
  }

 private:
  const GatherShape shape_;
  const size_t inner_bytes_;
  const int threads_;
};

// Calls make(std::type_identity<Index>) for an int32 or int64 input.
template <typename Make>
Made ByIndexType(const KernelRequest& request, int input, const Make& make) {
  if (SizeOf(request.inputs[0].type) == 0) return request.UnsupportedType(0);
  if (request.inputs[input].type == DataType::kInt64) return make(std::type_identity<int64_t>{});
  if (request.inputs[input].type == DataType::kInt32) return make(std::type_identity<int32_t>{});
  return request.UnsupportedType(input);
}

Made MakeGather(const KernelRequest& request) {
  const Shape& x = request.input_shape(0);
  const Shape& indices = request.input_shape(1);
  int64_t axis_value = 0;
  if (request.type() == "GatherV2") {
    ASSIGN_OR_RETURN(const Ints value, request.ConstantInts(2));
    if (value.size() != 1) return absl::InvalidArgumentError("axis is not one number");
    axis_value = value[0];
  } else if (request.type() == "GatherV2D") {
    axis_value = request.Attr<int64_t>("axis");
  }
  ASSIGN_OR_RETURN(const int axis, NormalizeAxis(axis_value, static_cast<int>(x.size())));
  int64_t batch_dims = request.type() == "GatherV2D" ? 0 : request.Attr<int64_t>("batch_dims");
  if (batch_dims < 0) batch_dims += static_cast<int64_t>(indices.size());
  if (batch_dims < 0 || batch_dims > axis || batch_dims > static_cast<int64_t>(indices.size())) {
    return absl::InvalidArgumentError(absl::StrCat("attribute 'batch_dims' is ", batch_dims));
  }
  const size_t batch = static_cast<size_t>(batch_dims), at = static_cast<size_t>(axis);
  const int64_t all = request.Attr<int64_t>("all_rows");
  const GatherShape shape{Span(x, 0, batch), Span(x, batch, at), x[at], Span(x, at + 1, x.size()),
                          Span(indices, batch, indices.size()), all > 0 ? all : x[at], request.Attr<int64_t>("first_row")};
  // One constant index is a slice.
  if (const Tensor* index = request.constant(1); index != nullptr && shape.batch == 1 && shape.count == 1) {
    ASSIGN_OR_RETURN(const Ints value, index->AsInt64s());
    const int64_t row = Resolve(value[0], shape.all);
    if (row < 0) return OutOfRange(value[0], shape.all);
    const size_t element = SizeOf(request.inputs[0].type);
    if (shape.outer == 1 && element != 0 && shape.has(row)) {
      return MakeView(0, static_cast<size_t>((row - shape.first) * shape.inner) * element);
    }
  }
  return ByIndexType(request, 1, [&](auto tag) -> Made {
    return std::make_unique<GatherKernel<typename decltype(tag)::type>>(request, shape);
  });
}

// --- By element -----------------------------------------------------------------------------------------------------

// Where elements of an index tensor point in a data tensor of the same rank, along `axis`.
class ElementWalk {
 public:
  ElementWalk(const Shape& data, const Shape& indices, int axis)
      : indices_(indices), strides_(RowMajorStrides(data)), axis_(axis), size_(data[static_cast<size_t>(axis)]) {}

  int64_t count() const { return NumElements(indices_); }
  int64_t size() const { return size_; }
  // Offset in the data tensor of index element `i`, whose value is `position`.
  int64_t Offset(int64_t i, int64_t position) const {
    int64_t offset = position * strides_[axis_];
    for (int d = static_cast<int>(indices_.size()) - 1; d >= 0; --d) {
      if (d != axis_) offset += i % indices_[d] * strides_[d];
      i /= indices_[d];
    }
    return offset;
  }

 private:
  const Shape indices_;
  const Ints strides_;
  const int axis_;
  const int64_t size_;
};

template <typename U, typename Index>
class GatherElementsKernel : public Kernel {
 public:
  GatherElementsKernel(const KernelRequest& request, int index_input, ElementWalk walk)
      : index_input_(index_input), walk_(std::move(walk)) {}

  absl::Status Run(const void* const* inputs, void* const* outputs, KernelContext&) override {
    const U* x = static_cast<const U*>(inputs[0]);
    const Index* indices = static_cast<const Index*>(inputs[index_input_]);
    U* y = static_cast<U*>(outputs[0]);
    RETURN_IF_ERROR(CheckIndices(indices, walk_.count(), walk_.size()));
    for (int64_t i = 0; i < walk_.count(); ++i) y[i] = x[walk_.Offset(i, Resolve(indices[i], walk_.size()))];
    return absl::OkStatus();
  }

 private:
  const int index_input_;
  const ElementWalk walk_;
};

absl::Status CheckElementShapes(const Shape& data, const Shape& indices, int axis) {
  bool fits = data.size() == indices.size();
  for (size_t d = 0; fits && d < data.size(); ++d) fits = static_cast<int>(d) == axis || indices[d] <= data[d];
  if (fits) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("indices of shape ", ToString(indices), " do not fit data of shape ", ToString(data)));
}

Made MakeGatherElements(const KernelRequest& request) {
  const bool has_dim_input = request.type() == "GatherD";
  int64_t dim = request.Attr<int64_t>("dim");
  if (has_dim_input) {
    ASSIGN_OR_RETURN(const Ints value, request.ConstantInts(1));
    if (value.size() != 1) return absl::InvalidArgumentError("dim is not one number");
    dim = value[0];
  }
  const int index_input = has_dim_input ? 2 : 1;
  ASSIGN_OR_RETURN(const int axis, NormalizeAxis(dim, static_cast<int>(request.input_shape(0).size())));
  RETURN_IF_ERROR(CheckElementShapes(request.input_shape(0), request.input_shape(index_input), axis));
  ElementWalk walk(request.input_shape(0), request.input_shape(index_input), axis);
  return ByIndexType(request, index_input, [&](auto index_tag) {
    std::unique_ptr<Kernel> kernel;
    DispatchSize(request.inputs[0].type, [&](auto tag) {
      kernel = std::make_unique<GatherElementsKernel<typename decltype(tag)::type, typename decltype(index_tag)::type>>(
          request, index_input, walk);
    });
    return kernel;
  });
}

// --- Scatter --------------------------------------------------------------------------------------------------------

struct Assign {
  template <typename T>
  static T Apply(T, T update) { return update; }
};
struct Accumulate {
  template <typename T>
  static T Apply(T old, T update) { return WrappingAdd(old, update); }
};
struct Subtract {
  template <typename T>
  static T Apply(T old, T update) { return WrappingSub(old, update); }
};
struct Multiply {
  template <typename T>
  static T Apply(T old, T update) { return WrappingMul(old, update); }
};
struct Highest {
  template <typename T>
  static T Apply(T old, T update) { return update > old ? update : old; }
};
struct Lowest {
  template <typename T>
  static T Apply(T old, T update) { return update < old ? update : old; }
};

template <typename Op, typename T, typename Index>
class ScatterElementsKernel : public Kernel {
 public:
  ScatterElementsKernel(const KernelRequest& request, ElementWalk walk)
      : walk_(std::move(walk)), bytes_(ByteSize(request.outputs[0])) {}

  absl::Status Run(const void* const* inputs, void* const* outputs, KernelContext&) override {
    const Index* indices = static_cast<const Index*>(inputs[1]);
    const T* updates = static_cast<const T*>(inputs[2]);
    T* y = static_cast<T*>(outputs[0]);
    RETURN_IF_ERROR(CheckIndices(indices, walk_.count(), walk_.size()));
    if (outputs[0] != inputs[0] && bytes_ > 0) std::memcpy(y, inputs[0], bytes_);
    for (int64_t i = 0; i < walk_.count(); ++i) {
      T& element = y[walk_.Offset(i, Resolve(indices[i], walk_.size()))];
      element = Op::Apply(element, updates[i]);
    }
    return absl::OkStatus();
  }
  bool MayOverwrite(int input) const override { return input == 0; }

 private:
  const ElementWalk walk_;
  const size_t bytes_;
};

// Calls make with the operation and an element type: moves are by size, arithmetic by type.
template <typename Make>
Made ByReduction(const KernelRequest& request, const std::string& reduction, const Make& make) {
  std::unique_ptr<Kernel> kernel;
  const auto arithmetic = [&](auto op) {
    Dispatch<float, double, int32_t, int64_t>(request.inputs[0].type, [&](auto tag) { kernel = make(op, tag); });
  };
  if (reduction == "none" || reduction == "update" || reduction.empty()) {
    DispatchSize(request.inputs[0].type, [&](auto tag) { kernel = make(Assign{}, tag); });
  } else if (reduction == "add") {
    arithmetic(Accumulate{});
  } else if (reduction == "sub") {
    arithmetic(Subtract{});
  } else if (reduction == "mul") {
    arithmetic(Multiply{});
  } else if (reduction == "max") {
    arithmetic(Highest{});
  } else if (reduction == "min") {
    arithmetic(Lowest{});
  } else {
    return request.Unsupported(absl::StrCat("reduction '", reduction, "'"));
  }
  if (kernel == nullptr) return request.UnsupportedType(0);
  return kernel;
}

Made MakeScatterElements(const KernelRequest& request) {
  const Shape& data = request.input_shape(0);
  const Shape& indices = request.input_shape(1);
  ASSIGN_OR_RETURN(const int axis, NormalizeAxis(request.Attr<int64_t>("axis"), static_cast<int>(data.size())));
  RETURN_IF_ERROR(CheckElementShapes(data, indices, axis));
  if (request.input_shape(2) != indices) return absl::InvalidArgumentError("indices and updates differ in shape");
  ElementWalk walk(data, indices, axis);
  return ByIndexType(request, 1, [&](auto index_tag) {
    return ByReduction(request, request.Attr<std::string>("reduction"),
                       [&](auto op, auto tag) -> std::unique_ptr<Kernel> {
                         return std::make_unique<ScatterElementsKernel<
                             decltype(op), typename decltype(tag)::type, typename decltype(index_tag)::type>>(request,
                                                                                                           walk);
                       });
  });
}

// --- By coordinates -------------------------------------------------------------------------------------------------

// Index tuples [batch, count, depth] that address slices of `slice` elements in data [batch, ...].
struct NdShape {
  int64_t batch = 1, count = 0, slice = 1, batch_stride = 0;
  Ints dims, strides;  // of the addressed dimensions
};

absl::StatusOr<NdShape> NdShapeOf(const Shape& data, const Shape& indices, int64_t batch_dims, bool one_each) {
  const size_t depth = one_each ? 1 : indices.empty() ? 0 : static_cast<size_t>(indices.back());
  const size_t batch = static_cast<size_t>(batch_dims);
  if (indices.empty() || batch + depth > data.size() || batch >= indices.size() + (one_each ? 1 : 0)) {
    return absl::InvalidArgumentError(
        absl::StrCat("indices of shape ", ToString(indices), " do not address data of shape ", ToString(data)));
  }
  const std::vector<int64_t> strides = RowMajorStrides(data);
  NdShape shape;
  shape.batch = Span(data, 0, batch);
  shape.batch_stride = Span(data, batch, data.size());
  shape.count = Span(indices, batch, indices.size() - (one_each ? 0 : 1));
  shape.slice = Span(data, batch + depth, data.size());
  for (size_t d = batch; d < batch + depth; ++d) {
    shape.dims.push_back(data[d]);
    shape.strides.push_back(strides[d]);
  }
  return shape;
}

// Element offset of the tuple; negative when out of range (the caller reports it).
template <typename Index>
absl::StatusOr<int64_t> NdOffset(const NdShape& shape, const Index* tuple) {
  int64_t offset = 0;
  for (size_t d = 0; d < shape.dims.size(); ++d) {
    const int64_t position = Resolve(tuple[d], shape.dims[d]);
    if (position < 0) return OutOfRange(tuple[d], shape.dims[d]);
    offset += position * shape.strides[d];
  }
  return offset;
}

template <typename Index>
class GatherNdKernel : public Kernel {
 public:
  GatherNdKernel(const KernelRequest& request, NdShape shape)
      : shape_(std::move(shape)), element_(SizeOf(request.inputs[0].type)) {}

  absl::Status Run(const void* const* inputs, void* const* outputs, KernelContext&) override {
    const std::byte* x = static_cast<const std::byte*>(inputs[0]);
    const Index* indices = static_cast<const Index*>(inputs[1]);
    std::byte* y = static_cast<std::byte*>(outputs[0]);
    const size_t bytes = static_cast<size_t>(shape_.slice) * element_;
    const int64_t depth = static_cast<int64_t>(shape_.dims.size());
    for (int64_t i = 0; i < shape_.batch * shape_.count; ++i) {
      ASSIGN_OR_RETURN(int64_t offset, NdOffset(shape_, indices + i * depth));
      offset += i / shape_.count * shape_.batch_stride;
      std::memcpy(y + static_cast<size_t>(i) * bytes, x + static_cast<size_t>(offset) * element_, bytes);
    }
    return absl::OkStatus();
  }

 private:
  const NdShape shape_;
  const size_t element_;
};

Made MakeGatherNd(const KernelRequest& request) {
  const int64_t batch_dims = request.view.node().AttrOr<int64_t>("batch_dims", 0);
  if (batch_dims < 0) return absl::InvalidArgumentError("attribute 'batch_dims' is negative");
  ASSIGN_OR_RETURN(NdShape shape, NdShapeOf(request.input_shape(0), request.input_shape(1), batch_dims, false));
  return ByIndexType(request, 1, [&](auto tag) -> Made {
    return std::make_unique<GatherNdKernel<typename decltype(tag)::type>>(request, shape);
  });
}

template <typename Op, typename T, typename Index>
class ScatterNdKernel : public Kernel {
 public:
  ScatterNdKernel(const KernelRequest& request, NdShape shape)
      : shape_(std::move(shape)), bytes_(ByteSize(request.outputs[0])) {}

  absl::Status Run(const void* const* inputs, void* const* outputs, KernelContext&) override {
    const Index* indices = static_cast<const Index*>(inputs[1]);
    const T* updates = static_cast<const T*>(inputs[2]);
    T* y = static_cast<T*>(outputs[0]);
    if (outputs[0] != inputs[0] && bytes_ > 0) std::memcpy(y, inputs[0], bytes_);
    const int64_t depth = static_cast<int64_t>(shape_.dims.size());
    for (int64_t i = 0; i < shape_.count; ++i) {
      ASSIGN_OR_RETURN(const int64_t offset, NdOffset(shape_, indices + i * depth));
      for (int64_t k = 0; k < shape_.slice; ++k) {
        y[offset + k] = Op::Apply(y[offset + k], updates[i * shape_.slice + k]);
      }
    }
    return absl::OkStatus();
  }
  bool MayOverwrite(int input) const override { return input == 0; }

 private:
  const NdShape shape_;
  const size_t bytes_;
};

Made MakeScatterNd(const KernelRequest& request, const std::string& reduction, bool one_each) {
  ASSIGN_OR_RETURN(NdShape shape, NdShapeOf(request.input_shape(0), request.input_shape(1), 0, one_each));
  if (NumElements(request.input_shape(2)) != shape.count * shape.slice) {
    return absl::InvalidArgumentError(absl::StrCat("updates of shape ", ToString(request.input_shape(2)), " for ",
                                                   shape.count, " slices of ", shape.slice, " elements"));
  }
  return ByIndexType(request, 1, [&](auto index_tag) {
    return ByReduction(request, reduction, [&](auto op, auto tag) -> std::unique_ptr<Kernel> {
      return std::make_unique<
          ScatterNdKernel<decltype(op), typename decltype(tag)::type, typename decltype(index_tag)::type>>(request,
                                                                                                          shape);
    });
  });
}

Made MakeTensorScatter(const KernelRequest& request) {
  const std::string& type = request.type();
  const std::string reduction = type.ends_with("Add") ? "add" : type.ends_with("Sub") ? "sub"
                              : type.ends_with("Max") ? "max" : type.ends_with("Min") ? "min" : "none";
  return MakeScatterNd(request, reduction, type == "ScatterUpdate");
}

}  // namespace

void AddGatherScatterKernels(KernelTable& table) {
  table.Add({"Gather", "GatherV2", "GatherV2D"}, MakeGather);
  table.Add({"GatherElements", "GatherD"}, MakeGatherElements);
  table.Add({"GatherNd"}, MakeGatherNd);
  table.Add({"ScatterElements"}, MakeScatterElements);
  table.Add({"TensorScatterUpdate", "TensorScatterAdd", "TensorScatterSub", "TensorScatterMax", "TensorScatterMin",
             "ScatterNdUpdate", "ScatterNdAdd", "ScatterNdMax", "ScatterNdMin", "ScatterUpdate"},
            MakeTensorScatter);
}

}  // namespace omserve::cpu
