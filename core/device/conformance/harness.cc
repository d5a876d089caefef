#include "core/device/conformance/harness.h"

#include <cmath>
#include <cstring>

#include <gmock/gmock.h>

#include "absl/strings/str_cat.h"
#include "core/base/status.h"
#include "core/ops/op.h"

namespace omserve::conformance {

double& Array::at(absl::Span<const int64_t> index) {
  int64_t offset = 0;
  for (size_t d = 0; d < shape.size(); ++d) offset = offset * shape[d] + index[d];
  return values[static_cast<size_t>(offset)];
}

double Array::BroadcastAt(absl::Span<const int64_t> index) const {
  Ints own(shape.size());
  const size_t lead = index.size() - shape.size();
  for (size_t d = 0; d < shape.size(); ++d) own[d] = shape[d] == 1 ? 0 : index[lead + d];
  return at(own);
}

void ForEachIndex(const Shape& shape, const std::function<void(const Ints&)>& visit) {
  if (NumElements(shape) == 0) return;
  Ints index(shape.size(), 0);
  while (true) {
    visit(index);
    size_t d = shape.size();
    while (d > 0 && ++index[d - 1] == shape[d - 1]) index[--d] = 0;
    if (d == 0) return;
  }
}

namespace {

template <typename T>
void Store(const Array& array, std::byte* to) {
  T* out = reinterpret_cast<T*>(to);
  for (double value : array.values) *out++ = static_cast<T>(value);
}

template <typename T>
void Load(const Tensor& tensor, Array* array) {
  const T* from = reinterpret_cast<const T*>(tensor.data());
  for (double& value : array->values) value = static_cast<double>(*from++);
}

}  // namespace

Tensor ToTensor(const Array& array, DataType type) {
  std::byte* to = nullptr;
  Tensor tensor = Tensor::Allocate({type, array.shape}, &to);
  switch (type) {
    case DataType::kFloat: Store<float>(array, to); break;
    case DataType::kDouble: Store<double>(array, to); break;
    case DataType::kInt8: Store<int8_t>(array, to); break;
    case DataType::kInt16: Store<int16_t>(array, to); break;
    case DataType::kInt32: Store<int32_t>(array, to); break;
    case DataType::kInt64: Store<int64_t>(array, to); break;
    case DataType::kUint8: Store<uint8_t>(array, to); break;
    case DataType::kBool: Store<bool>(array, to); break;
    default: ADD_FAILURE() << "no such test data: " << Name(type);
  }
  return tensor;
}

Array ToArray(const Tensor& tensor) {
  Array array(tensor.shape());
  switch (tensor.type()) {
    case DataType::kFloat: Load<float>(tensor, &array); break;
    case DataType::kDouble: Load<double>(tensor, &array); break;
    case DataType::kInt8: Load<int8_t>(tensor, &array); break;
    case DataType::kInt16: Load<int16_t>(tensor, &array); break;
    case DataType::kInt32: Load<int32_t>(tensor, &array); break;
    case DataType::kInt64: Load<int64_t>(tensor, &array); break;
    case DataType::kUint8: Load<uint8_t>(tensor, &array); break;
    case DataType::kBool: Load<uint8_t>(tensor, &array); break;
    default: ADD_FAILURE() << "cannot compare " << Name(tensor.type());
  }
  return array;
}

Array RandomArray(std::mt19937& random, Shape shape, double low, double high) {
  std::uniform_real_distribution<double> distribution(low, high);
  Array array(std::move(shape));
  // Rounded to float, so that references see what the device sees.
  for (double& value : array.values) value = static_cast<double>(static_cast<float>(distribution(random)));
  return array;
}

Array RandomInts(std::mt19937& random, Shape shape, int low, int high) {
  std::uniform_int_distribution<int> distribution(low, high);
  Array array(std::move(shape));
  for (double& value : array.values) value = distribution(random);
  return array;
}

Array RandomFor(std::mt19937& random, const Shape& shape, DataType type) {
  if (type == DataType::kFloat || type == DataType::kDouble) return RandomArray(random, shape);
  if (type == DataType::kBool) return RandomInts(random, shape, 0, 1);
  if (type == DataType::kUint8) return RandomInts(random, shape, 0, 9);
  return RandomInts(random, shape, -9, 9);
}

OpCase& OpCase::Data(Tensor tensor) {
  inputs_.push_back({Kind::kData, std::move(tensor)});
  return *this;
}
OpCase& OpCase::Const(Tensor tensor) {
  inputs_.push_back({Kind::kConst, std::move(tensor)});
  return *this;
}
OpCase& OpCase::Absent() {
  inputs_.push_back({Kind::kAbsent, Tensor()});
  return *this;
}
OpCase& OpCase::Attr(const std::string& name, AttrValue value) {
  attrs_[name] = std::move(value);
  return *this;
}

absl::StatusOr<Graph> OpCase::Build() const {
  Graph graph("case");
  std::vector<ValueId> values;
  for (size_t i = 0; i < inputs_.size(); ++i) {
    const std::string name = absl::StrCat("input", i);
    switch (inputs_[i].kind) {
      case Kind::kData: values.push_back(graph.AddData(name, inputs_[i].tensor.desc())->out()); break;
      case Kind::kConst: values.push_back(graph.AddConst(name, inputs_[i].tensor)->out()); break;
      case Kind::kAbsent: values.push_back(ValueId{}); break;
    }
  }
  Node* node = graph.AddNode(type_, "node", std::move(values));
  for (const auto& [name, value] : attrs_) node->SetAttr(name, value);
  RETURN_IF_ERROR(InferGraph(graph));
  for (int i = 0; i < node->num_outputs(); ++i) graph.AddOutput(absl::StrCat("output", i), node->out(i));
  return graph;
}

std::vector<Tensor> OpCase::inputs() const {
  std::vector<Tensor> tensors;
  for (const Input& input : inputs_) {
    if (input.kind == Kind::kData) tensors.push_back(input.tensor);
  }
  return tensors;
}

absl::StatusOr<std::vector<Tensor>> OpCase::Run(Device& device, const RunContext& context) const {
  ASSIGN_OR_RETURN(const Graph graph, Build());
  ASSIGN_OR_RETURN(const std::unique_ptr<Executable> executable, device.Compile(graph));
  return executable->Run(inputs(), context);
}

void ExpectNear(const Tensor& actual, const Array& expected, DataType type, double tolerance,
                const std::string& what) {
  ASSERT_EQ(ToString(actual.desc()), ToString(TensorDesc{type, expected.shape})) << what;
  const Array array = ToArray(actual);
  for (size_t i = 0; i < expected.values.size(); ++i) {
    const double want = expected.values[i], got = array.values[i];
    if (std::isnan(want)) {
      ASSERT_TRUE(std::isnan(got)) << what << " element " << i << " is " << got << ", expected NaN";
    } else if (std::isinf(want) || tolerance == 0.0) {
      ASSERT_EQ(got, want) << what << " element " << i;
    } else {
      ASSERT_NEAR(got, want, tolerance * (1.0 + std::abs(want))) << what << " element " << i;
    }
  }
}

void ExpectOutput(Device& device, const OpCase& op, const Array& expected, DataType type, double tolerance,
                  int output) {
  const absl::StatusOr<std::vector<Tensor>> outputs = op.Run(device);
  ASSERT_TRUE(outputs.ok()) << outputs.status();
  ASSERT_GT(outputs->size(), static_cast<size_t>(output));
  ExpectNear((*outputs)[static_cast<size_t>(output)], expected, type, tolerance, "");
}

void ExpectExact(Device& device, const OpCase& op, const Array& expected, DataType type, int output) {
  ExpectOutput(device, op, expected, type, 0.0, output);
}

void ExpectError(const absl::Status& status, absl::StatusCode code, const std::string& text) {
  EXPECT_EQ(status.code(), code) << status;
  EXPECT_THAT(std::string(status.message()), testing::HasSubstr(text));
}

}  // namespace omserve::conformance
