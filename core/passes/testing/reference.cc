#include "core/passes/testing/reference.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/container/flat_hash_map.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "core/base/status.h"

namespace omserve {
namespace {

template <typename T>
std::vector<double> Widened(const Tensor& tensor) {
  return {tensor.values<T>().begin(), tensor.values<T>().end()};
}

template <typename T>
Tensor Narrowed(const TensorDesc& desc, const std::vector<double>& values) {
  std::byte* writable = nullptr;
  Tensor tensor = Tensor::Allocate(desc, &writable);
  std::transform(values.begin(), values.end(), reinterpret_cast<T*>(writable),
                 [](double value) { return static_cast<T>(value); });
  return tensor;
}

// A tensor of doubles.
struct Array {
  Shape shape;
  std::vector<double> values;
};

using Index = std::vector<int64_t>;

// Calls `visit` with every index of a shape, in row-major order.
void ForEachIndex(const Shape& shape, const std::function<void(const Index&)>& visit) {
  Index index(shape.size(), 0);
  for (int64_t n = NumElements(shape); n > 0; --n) {
    visit(index);
    for (size_t d = shape.size(); d-- > 0;) {
      if (++index[d] < shape[d]) break;
      index[d] = 0;
    }
  }
}

// The element at the last dimensions of `index`; dimensions of size 1 repeat.
double At(const Array& array, const Index& index) {
  int64_t offset = 0;
  const size_t skip = index.size() - array.shape.size();
  for (size_t d = 0; d < array.shape.size(); ++d) {
    offset = offset * array.shape[d] + (array.shape[d] == 1 ? 0 : index[skip + d]);
  }
  return array.values[offset];
}

Array Fill(const Shape& shape, const std::function<double(const Index&)>& value) {
  Array array{shape, {}};
  ForEachIndex(shape, [&](const Index& index) { array.values.push_back(value(index)); });
  return array;
}

using Unary = double (*)(double);
using Binary = double (*)(double, double);

Unary FindUnary(const std::string& type) {
  static const auto* const kFunctions = new absl::flat_hash_map<std::string, Unary>{
      {"Neg", [](double x) { return -x; }},
      {"Abs", [](double x) { return std::abs(x); }},
      {"Square", [](double x) { return x * x; }},
      {"Sqrt", [](double x) { return std::sqrt(x); }},
      {"Rsqrt", [](double x) { return 1 / std::sqrt(x); }},
      {"Reciprocal", [](double x) { return 1 / x; }},
      {"Exp", [](double x) { return std::exp(x); }},
      {"Erf", [](double x) { return std::erf(x); }},
      {"Tanh", [](double x) { return std::tanh(x); }},
      {"Sigmoid", [](double x) { return 1 / (1 + std::exp(-x)); }},
      {"Relu", [](double x) { return std::max(x, 0.0); }},
      {"Relu6", [](double x) { return std::clamp(x, 0.0, 6.0); }},
      {"HardSwish", [](double x) { return x * std::clamp(x + 3, 0.0, 6.0) / 6; }},
      {"Gelu", [](double x) { return x * 0.5 * (1 + std::erf(x / std::sqrt(2.0))); }},
      {"GeluV2",
       [](double x) { return x * 0.5 * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x))); }},
  };
  auto it = kFunctions->find(type);
  return it == kFunctions->end() ? nullptr : it->second;
}

Binary FindBinary(const std::string& type) {
  static const auto* const kFunctions = new absl::flat_hash_map<std::string, Binary>{
      {"Add", [](double a, double b) { return a + b; }},
      {"AddV2", [](double a, double b) { return a + b; }},
      {"Sub", [](double a, double b) { return a - b; }},
      {"Mul", [](double a, double b) { return a * b; }},
      {"Div", [](double a, double b) { return a / b; }},
      {"RealDiv", [](double a, double b) { return a / b; }},
      {"TruncateDiv", [](double a, double b) { return std::trunc(a / b); }},
      {"Pow", [](double a, double b) { return std::pow(a, b); }},
      {"SquaredDifference", [](double a, double b) { return (a - b) * (a - b); }},
      {"Maximum", [](double a, double b) { return std::max(a, b); }},
      {"Minimum", [](double a, double b) { return std::min(a, b); }},
      {"Equal", [](double a, double b) { return a == b ? 1.0 : 0.0; }},
      {"LessEqual", [](double a, double b) { return a <= b ? 1.0 : 0.0; }},
  };
  auto it = kFunctions->find(type);
  return it == kFunctions->end() ? nullptr : it->second;
}

class Interpreter {
 public:
  Interpreter(const Node& node, std::vector<Array> inputs) : node_(node), in_(std::move(inputs)) {}

  absl::StatusOr<Array> Run() const {
    const std::string& type = node_.type();
    const Shape& shape = node_.output().shape;
    const Array& x = in_[0];
    if (Unary f = FindUnary(type)) return Fill(shape, [&](const Index& i) { return f(At(x, i)); });
    if (Binary f = FindBinary(type))
      return Fill(shape, [&](const Index& i) { return f(At(x, i), At(in_[1], i)); });
    if (type == "AddN") {
      return Fill(shape, [&](const Index& i) {
        return absl::c_accumulate(in_, 0.0, [&](double sum, const Array& term) { return sum + At(term, i); });
      });
    }
    if (type == "SelectV2") {
      return Fill(shape, [&](const Index& i) { return At(x, i) != 0 ? At(in_[1], i) : At(in_[2], i); });
    }
    if (type == "ClipByValue") {
      return Fill(shape, [&](const Index& i) { return std::clamp(At(x, i), At(in_[1], i), At(in_[2], i)); });
    }
    for (const char* view :
         {"Reshape", "Squeeze", "Unsqueeze", "ExpandDims", "Flatten", "Identity", "Dropout"}) {
      if (absl::StartsWith(type, view)) return Array{shape, x.values};
    }
    if (type == "Cast") {
      const bool truncates =
          node_.output().type == DataType::kInt64 || node_.output().type == DataType::kInt32;
      return Fill(shape, [&](const Index& i) { return truncates ? std::trunc(At(x, i)) : At(x, i); });
    }
    if (type == "Expand" || type == "BroadcastTo")
      return Fill(shape, [&](const Index& i) { return At(x, i); });
    if (type == "Fill") return Fill(shape, [&](const Index&) { return in_[1].values[0]; });
    if (type == "Range") {
      return Fill(shape, [&](const Index& i) { return x.values[0] + i[0] * in_[2].values[0]; });
    }
    if (type == "Tile") {
      return Fill(shape, [&](Index i) {
        for (size_t d = 0; d < i.size(); ++d) i[d] %= x.shape[d];
        return At(x, i);
      });
    }
    if (type == "Shape") return Array{shape, {x.shape.begin(), x.shape.end()}};
    if (type == "Transpose" || type == "TransposeD") {
      const std::vector<int64_t> by_attr = node_.AttrOr<std::vector<int64_t>>("perm", {});
      return Fill(shape, [&](const Index& i) {
        Index from(i.size());
        for (size_t d = 0; d < i.size(); ++d) {
          from[type == "Transpose" ? static_cast<size_t>(in_[1].values[d]) : by_attr[d]] = i[d];
        }
        return At(x, from);
      });
    }
    if (type == "Muls" || type == "Adds") {
      const double value = node_.AttrOr<float>("value", 0);
      return Fill(shape,
                  [&](const Index& i) { return type == "Muls" ? At(x, i) * value : At(x, i) + value; });
    }
    if (type == "Swish") {
      const double scale = node_.AttrOr<float>("scale", 1);
      return Fill(shape, [&](const Index& i) { return At(x, i) / (1 + std::exp(-scale * At(x, i))); });
    }
    if (type == "HardSigmoid") {
      const double alpha = node_.AttrOr<float>("alpha", 1.0f / 6), beta = node_.AttrOr<float>("beta", 0.5f);
      return Fill(shape, [&](const Index& i) { return std::clamp(alpha * At(x, i) + beta, 0.0, 1.0); });
    }
    if (type == "ConcatD" || type == "ConcatV2") return Concat(type == "ConcatD");
    if (type == "GatherV2") return Gather();
    if (type == "StridedSliceV2") return Slice();
    if (type == "Slice") {
      return Fill(shape, [&](Index i) {
        for (size_t d = 0; d < i.size(); ++d) i[d] += static_cast<int64_t>(in_[1].values[d]);
        return At(x, i);
      });
    }
    if (type == "Pad") return Pad();
    if (absl::StartsWith(type, "Reduce")) return Reduce();
    if (type == "SoftmaxV2") return Softmax();
    if (type == "LayerNormV4" || type == "RmsNorm") return Normalize();
    if (absl::StrContains(type, "MatMul")) return MatMul();
    if (type == "Conv2D") return Conv();
    if (type == "BatchNorm" || type == "BNInfer") return BatchNorm();
    return absl::UnimplementedError(absl::StrCat("the reference has no '", type, "'"));
  }

 private:
  Array Concat(bool by_attr) const {
    const size_t count = by_attr ? in_.size() : in_.size() - 1;
    const int64_t given =
        by_attr ? node_.AttrOr<int64_t>("concat_dim", 0) : static_cast<int64_t>(in_.back().values[0]);
    const int64_t axis = given < 0 ? given + static_cast<int64_t>(node_.output().shape.size()) : given;
    return Fill(node_.output().shape, [&](Index i) {
      size_t part = 0;
      while (part + 1 < count && i[axis] >= in_[part].shape[axis]) i[axis] -= in_[part++].shape[axis];
      return At(in_[part], i);
    });
  }

  Array Gather() const {
    const Array& x = in_[0];
    const Array& indices = in_[1];
    const int64_t given = static_cast<int64_t>(in_[2].values[0]);
    const size_t axis = static_cast<size_t>(given < 0 ? given + static_cast<int64_t>(x.shape.size()) : given);
    const int64_t rows = node_.AttrOr<int64_t>("all_rows", x.shape[axis]);
    return Fill(node_.output().shape, [&](const Index& i) {
      const auto middle = i.begin() + axis;
      const auto tail = middle + indices.shape.size();
      Index from(i.begin(), middle);
      const int64_t index = static_cast<int64_t>(At(indices, Index(middle, tail)));
      from.push_back(index < 0 ? index + rows : index);
      from.insert(from.end(), tail, i.end());
      return At(x, from);
    });
  }

  // Constants are 0.
  Array Pad() const {
    const Array& x = in_[0];
    return Fill(node_.output().shape, [&](Index i) {
      for (size_t d = 0; d < i.size(); ++d) {
        i[d] -= static_cast<int64_t>(in_[1].values[2 * d]);
        if (i[d] < 0 || i[d] >= x.shape[d]) return 0.0;
      }
      return At(x, i);
    });
  }

  Array Slice() const {
    const Array& x = in_[0];
    Index begin(x.shape.size(), 0), stride(x.shape.size(), 1);
    for (size_t k = 0; k < in_[1].values.size(); ++k) {
      const bool has_axes = in_.size() > 3 && !in_[3].values.empty();
      int64_t axis = has_axes ? static_cast<int64_t>(in_[3].values[k]) : static_cast<int64_t>(k);
      if (axis < 0) axis += static_cast<int64_t>(x.shape.size());
      if (in_.size() > 4 && !in_[4].values.empty()) stride[axis] = static_cast<int64_t>(in_[4].values[k]);
      const double from = in_[1].values[k] < 0 ? in_[1].values[k] + x.shape[axis] : in_[1].values[k];
      begin[axis] =
          static_cast<int64_t>(std::clamp<double>(from, 0, x.shape[axis] - (stride[axis] < 0 ? 1 : 0)));
    }
    return Fill(node_.output().shape, [&](Index i) {
      for (size_t d = 0; d < i.size(); ++d) i[d] = begin[d] + i[d] * stride[d];
      return At(x, i);
    });
  }

  Array Reduce() const {
    const Array& x = in_[0];
    const std::string& type = node_.type();
    Shape kept = x.shape;
    std::vector<int64_t> by_attr = node_.AttrOr<std::vector<int64_t>>("axes", {});
    std::vector<double> axes =
        in_.size() > 1 ? in_[1].values : std::vector<double>(by_attr.begin(), by_attr.end());
    for (double axis : axes) kept[static_cast<size_t>(axis < 0 ? axis + x.shape.size() : axis)] = 1;
    Array result{kept, std::vector<double>(static_cast<size_t>(NumElements(kept)), 0)};
    if (absl::StartsWith(type, "ReduceMax")) absl::c_fill(result.values, -INFINITY);
    const RowMajor offset_of(kept);
    ForEachIndex(x.shape, [&](const Index& i) {
      double& sum = result.values[offset_of(i)];
      sum = absl::StartsWith(type, "ReduceMax") ? std::max(sum, At(x, i)) : sum + At(x, i);
    });
    if (absl::StartsWith(type, "ReduceMean")) {
      for (double& value : result.values)
        value *= static_cast<double>(result.values.size()) / x.values.size();
    }
    return {node_.output().shape, result.values};
  }

  // Offset of an index whose dimensions of size 1 repeat.
  class RowMajor {
   public:
    explicit RowMajor(Shape shape) : shape_(std::move(shape)) {}
    size_t operator()(const Index& index) const {
      int64_t offset = 0;
      for (size_t d = 0; d < shape_.size(); ++d)
        offset = offset * shape_[d] + (shape_[d] == 1 ? 0 : index[d]);
      return static_cast<size_t>(offset);
    }

   private:
    Shape shape_;
  };

  // Over the last dimension, or the dimensions given by axes of size 1.
  Array Softmax() const {
    const Array& x = in_[0];
    const std::vector<int64_t> axes = node_.AttrOr<std::vector<int64_t>>("axes", {-1});
    Shape kept = x.shape;
    for (int64_t axis : axes) kept[axis < 0 ? axis + kept.size() : axis] = 1;
    Array sums{kept, std::vector<double>(static_cast<size_t>(NumElements(kept)), 0)};
    const RowMajor offset_of(kept);
    ForEachIndex(x.shape, [&](const Index& i) { sums.values[offset_of(i)] += std::exp(At(x, i)); });
    return Fill(x.shape, [&](const Index& i) { return std::exp(At(x, i)) / sums.values[offset_of(i)]; });
  }

  Array Normalize() const {
    const Array& x = in_[0];
    const bool layer = node_.is("LayerNormV4");
    const size_t dims = layer ? in_[1].values.size() : in_[1].shape.size();
    const double epsilon = node_.AttrOr<float>("epsilon", layer ? 1e-5f : 1e-6f);
    const auto has = [&](size_t i) { return i < in_.size() && !in_[i].values.empty(); };
    const int64_t row = NumElements(Shape(x.shape.end() - dims, x.shape.end()));
    Array y = x;
    for (size_t begin = 0; begin < y.values.size(); begin += static_cast<size_t>(row)) {
      double sum = 0, squares = 0;
      for (int64_t k = 0; k < row; ++k) sum += x.values[begin + k];
      const double mean = layer ? sum / row : 0;
      for (int64_t k = 0; k < row; ++k) squares += std::pow(x.values[begin + k] - mean, 2);
      for (int64_t k = 0; k < row; ++k) {
        double& value = y.values[begin + k];
        value = (x.values[begin + k] - mean) / std::sqrt(squares / row + epsilon);
        const size_t gamma = layer ? 2 : 1;
        if (has(gamma)) value *= in_[gamma].values[k];
        if (layer && has(3)) value += in_[3].values[k];
      }
    }
    return y;
  }

  Array MatMul() const {
    const bool batch = absl::StartsWith(node_.type(), "Batch");
    const bool swap1 = node_.AttrOr<bool>(batch ? "adj_x1" : "transpose_x1", false);
    const bool swap2 = node_.AttrOr<bool>(batch ? "adj_x2" : "transpose_x2", false);
    const int64_t depth = in_[0].shape[in_[0].shape.size() - (swap1 ? 2 : 1)];
    // The indices of both operands have the output's rank: batch dimensions repeat as At says.
    return Fill(node_.output().shape, [&](const Index& i) {
      const size_t m = i.size() - 2, n = i.size() - 1;
      double sum = in_.size() > 2 && !in_[2].values.empty() ? At(in_[2], i) : 0;
      for (int64_t k = 0; k < depth; ++k) {
        Index a = i, b = i;
        a[swap1 ? m : n] = k;
        a[swap1 ? n : m] = i[m];
        b[swap2 ? n : m] = k;
        b[swap2 ? m : n] = i[n];
        sum += At(in_[0], a) * At(in_[1], b);
      }
      return sum;
    });
  }

  // NCHW, stride 1, no padding, no dilation, one group.
  Array Conv() const {
    const Array& filter = in_[1];
    return Fill(node_.output().shape, [&](const Index& i) {
      double sum = in_.size() > 2 && !in_[2].values.empty() ? in_[2].values[i[1]] : 0;
      ForEachIndex({filter.shape[1], filter.shape[2], filter.shape[3]}, [&](const Index& k) {
        sum += At(in_[0], {i[0], k[0], i[2] + k[1], i[3] + k[2]}) * At(filter, {i[1], k[0], k[1], k[2]});
      });
      return sum;
    });
  }

  // NCHW
  Array BatchNorm() const {
    const double epsilon = node_.AttrOr<float>("epsilon", 1e-4f);
    return Fill(node_.output().shape, [&](const Index& i) {
      const int64_t c = i[1];
      const double scale = in_[1].values[c] / std::sqrt(in_[4].values[c] + epsilon);
      return (At(in_[0], i) - in_[3].values[c]) * scale + in_[2].values[c];
    });
  }

  const Node& node_;
  const std::vector<Array> in_;
};

}  // namespace

std::vector<double> ToDoubles(const Tensor& tensor) {
  switch (tensor.type()) {
    case DataType::kFloat:
      return Widened<float>(tensor);
    case DataType::kDouble:
      return Widened<double>(tensor);
    case DataType::kInt32:
      return Widened<int32_t>(tensor);
    case DataType::kInt64:
      return Widened<int64_t>(tensor);
    case DataType::kBool:
      return Widened<bool>(tensor);
    default:
      return {};
  }
}

Tensor FromDoubles(const TensorDesc& desc, const std::vector<double>& values) {
  switch (desc.type) {
    case DataType::kDouble:
      return Narrowed<double>(desc, values);
    case DataType::kInt32:
      return Narrowed<int32_t>(desc, values);
    case DataType::kInt64:
      return Narrowed<int64_t>(desc, values);
    case DataType::kBool:
      return Narrowed<bool>(desc, values);
    default:
      return Narrowed<float>(desc, values);
  }
}

namespace {

// The only operator here with several outputs that are all computed.
std::vector<Tensor> SplitV(const Node& node, const Array& x, int64_t axis) {
  std::vector<Tensor> outputs;
  const size_t dim = static_cast<size_t>(axis < 0 ? axis + static_cast<int64_t>(x.shape.size()) : axis);
  int64_t begin = 0;
  for (const TensorDesc& desc : node.outputs()) {
    const Array part = Fill(desc.shape, [&](Index i) {
      i[dim] += begin;
      return At(x, i);
    });
    outputs.push_back(FromDoubles(desc, part.values));
    begin += desc.shape[dim];
  }
  return outputs;
}

}  // namespace

absl::StatusOr<std::vector<Tensor>> EvaluateReference(const Graph& graph, const Node& node,
                                                      absl::Span<const Tensor> inputs) {
  std::vector<Array> arrays;
  for (const Tensor& input : inputs) arrays.push_back({input.shape(), ToDoubles(input)});
  if (node.is("SplitV")) return SplitV(node, arrays[0], static_cast<int64_t>(arrays[2].values[0]));
  ASSIGN_OR_RETURN(Array result, Interpreter(node, std::move(arrays)).Run());
  // Further outputs (statistics of normalisations) are not computed.
  std::vector<Tensor> outputs = {FromDoubles(node.output(), result.values)};
  for (int i = 1; i < node.num_outputs(); ++i) {
    outputs.push_back(
        FromDoubles(node.output(i), std::vector<double>(NumElements(node.output(i).shape), NAN)));
  }
  return outputs;
}

absl::StatusOr<std::vector<Tensor>> RunReference(const Graph& graph,
                                                 const std::map<std::string, Tensor>& inputs) {
  absl::flat_hash_map<ValueId, Tensor> values;
  ASSIGN_OR_RETURN(const std::vector<int32_t> order, graph.TopologicalOrder());
  for (int32_t id : order) {
    const Node& node = *graph.node(id);
    if (node.is_const()) {
      values[node.out()] = node.constant()->Materialize();
    } else if (node.is_data()) {
      auto it = inputs.find(node.name());
      if (it == inputs.end())
        return absl::InvalidArgumentError(absl::StrCat("no value for '", node.name(), "'"));
      values[node.out()] = it->second;
    } else {
      std::vector<Tensor> operands;
      for (ValueId input : node.inputs()) operands.push_back(input.valid() ? values[input] : Tensor());
      ASSIGN_OR_RETURN(std::vector<Tensor> results, EvaluateReference(graph, node, operands));
      for (int i = 0; i < node.num_outputs(); ++i) values[node.out(i)] = results[i];
    }
  }
  std::vector<Tensor> outputs;
  for (const GraphOutput& output : graph.outputs()) outputs.push_back(values[output.value]);
  return outputs;
}

}  // namespace omserve
