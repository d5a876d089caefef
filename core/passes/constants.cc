#include "core/passes/constants.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace omserve {
namespace {

constexpr double kExactIntegers = 9007199254740992.0;  // 2^53

template <typename T>
std::optional<double> Uniform(const Tensor& tensor) {
  const absl::Span<const T> values = tensor.values<T>();
  const T first = values[0];
  if (!std::all_of(values.begin(), values.end(), [first](T value) { return value == first; }))
    return std::nullopt;
  const double result = static_cast<double>(first);
  if (std::numeric_limits<T>::is_integer && std::abs(result) > kExactIntegers) return std::nullopt;
  return result;
}

template <typename T>
std::optional<Tensor> IntegerScalar(double value) {
  if (value != std::floor(value) || std::abs(value) > kExactIntegers ||
      value < static_cast<double>(std::numeric_limits<T>::min()) ||
      value > static_cast<double>(std::numeric_limits<T>::max())) {
    return std::nullopt;
  }
  return Tensor::Scalar<T>(static_cast<T>(value));
}

}  // namespace

bool IsFloating(DataType type) {
  return type == DataType::kFloat || type == DataType::kDouble || type == DataType::kFloat16 ||
         type == DataType::kBfloat16;
}

std::optional<double> UniformValue(const Graph& graph, ValueId value) {
  const TensorSlice* constant = graph.ConstantOf(value);
  if (constant == nullptr) return std::nullopt;
  const int64_t elements = NumElements(constant->shape());
  if (elements == 0 || elements > kMaxUniformElements) return std::nullopt;
  const Tensor tensor = constant->Materialize();
  switch (tensor.type()) {
    case DataType::kFloat:
      return Uniform<float>(tensor);
    case DataType::kDouble:
      return Uniform<double>(tensor);
    case DataType::kInt32:
      return Uniform<int32_t>(tensor);
    case DataType::kInt64:
      return Uniform<int64_t>(tensor);
    case DataType::kBool:
      return Uniform<bool>(tensor);
    default:
      return std::nullopt;
  }
}

bool IsUniform(const Graph& graph, ValueId value, double expected) {
  const std::optional<double> uniform = UniformValue(graph, value);
  if (!uniform) return false;
  if (!IsFloating(graph.desc(value).type)) return *uniform == expected;
  return std::abs(*uniform - expected) <= 1e-5 * std::abs(expected);
}

std::optional<std::vector<int64_t>> ConstantInts(const Graph& graph, ValueId value) {
  const TensorSlice* constant = graph.ConstantOf(value);
  if (constant == nullptr) return std::nullopt;
  absl::StatusOr<std::vector<int64_t>> ints = constant->Materialize().AsInt64s();
  if (!ints.ok()) return std::nullopt;
  return *std::move(ints);
}

std::optional<std::vector<float>> ConstantFloats(const Graph& graph, ValueId value) {
  const TensorSlice* constant = graph.ConstantOf(value);
  if (constant == nullptr || constant->desc().type != DataType::kFloat) return std::nullopt;
  const Tensor tensor = constant->Materialize();
  const absl::Span<const float> values = tensor.values<float>();
  return std::vector<float>(values.begin(), values.end());
}

std::optional<Tensor> ScalarOf(DataType type, double value) {
  switch (type) {
    case DataType::kFloat:
      return Tensor::Scalar<float>(static_cast<float>(value));
    case DataType::kDouble:
      return Tensor::Scalar<double>(value);
    case DataType::kInt32:
      return IntegerScalar<int32_t>(value);
    case DataType::kInt64:
      return IntegerScalar<int64_t>(value);
    default:
      return std::nullopt;
  }
}

}  // namespace omserve
