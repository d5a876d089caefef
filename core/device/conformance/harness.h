// What the conformance tests share: arrays of double with which references are written, and a builder that runs one
// operator on the device under test.
#ifndef OMSERVE_CORE_DEVICE_CONFORMANCE_HARNESS_H_
#define OMSERVE_CORE_DEVICE_CONFORMANCE_HARNESS_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "core/device/device.h"
#include "core/graph/graph.h"
#include "core/tensor/tensor.h"

namespace omserve::conformance {

// Makes a device that may use `memory_bytes` (0: as much as it likes).
using DeviceFactory = std::function<std::unique_ptr<Device>(size_t memory_bytes)>;

// A device joins by instantiating this suite (see cpu/conformance_test.cc).
class DeviceConformance : public testing::TestWithParam<DeviceFactory> {
 protected:
  void SetUp() override { device_ = GetParam()(0); }
  Device& device() { return *device_; }
  std::mt19937& random() { return random_; }

 private:
  std::unique_ptr<Device> device_;
  std::mt19937 random_{20240817};  // the same cases in every run
};

using Ints = std::vector<int64_t>;

// A tensor as numbers, row-major. Exact for integers up to 2^53.
struct Array {
  Shape shape;
  std::vector<double> values;

  Array() = default;
  explicit Array(Shape s) : shape(std::move(s)), values(static_cast<size_t>(NumElements(shape)), 0.0) {}
  Array(Shape s, std::vector<double> v) : shape(std::move(s)), values(std::move(v)) {}

  double& at(absl::Span<const int64_t> index);
  double at(absl::Span<const int64_t> index) const { return const_cast<Array*>(this)->at(index); }
  // With numpy broadcasting: trailing dimensions align, size 1 repeats.
  double BroadcastAt(absl::Span<const int64_t> index) const;
};

// Calls visit(index) for all indices of a shape in row-major order.
void ForEachIndex(const Shape& shape, const std::function<void(const Ints&)>& visit);

Tensor ToTensor(const Array& array, DataType type);
Array ToArray(const Tensor& tensor);

Array RandomArray(std::mt19937& random, Shape shape, double low = -2.0, double high = 2.0);
// Whole numbers in [low, high].
Array RandomInts(std::mt19937& random, Shape shape, int low = -4, int high = 4);
Array RandomFor(std::mt19937& random, const Shape& shape, DataType type);

// One node with its inputs.
//
//   EXPECT_EQ(..., OpCase("Add").Data(x).Data(y).Run(device()));
class OpCase {
 public:
  explicit OpCase(std::string type) : type_(std::move(type)) {}

  // An input given at run time, a constant, an absent optional input.
  OpCase& Data(Tensor tensor);
  OpCase& Const(Tensor tensor);
  OpCase& Absent();
  OpCase& Data(const Array& array) { return Data(ToTensor(array, DataType::kFloat)); }
  OpCase& Const(const Array& array) { return Const(ToTensor(array, DataType::kFloat)); }
  OpCase& ConstInts(const Ints& values) { return Const(Tensor::Int64s(values)); }
  OpCase& Attr(const std::string& name, AttrValue value);

  // The graph with all outputs of the node as outputs; outputs are inferred.
  absl::StatusOr<Graph> Build() const;
  absl::StatusOr<std::vector<Tensor>> Run(Device& device, const RunContext& context = {}) const;
  std::vector<Tensor> inputs() const;

 private:
  enum class Kind { kData, kConst, kAbsent };
  struct Input {
    Kind kind;
    Tensor tensor;
  };
  const std::string type_;
  std::vector<Input> inputs_;
  AttrMap attrs_;
};

// Runs the case and compares output `output` with the reference: shape, type, and values within
// tolerance * (1 + |expected|); NaN and infinities must agree.
void ExpectOutput(Device& device, const OpCase& op, const Array& expected, DataType type = DataType::kFloat,
                  double tolerance = 1e-5, int output = 0);
// Integers and moved data: exact.
void ExpectExact(Device& device, const OpCase& op, const Array& expected, DataType type, int output = 0);
void ExpectNear(const Tensor& actual, const Array& expected, DataType type, double tolerance, const std::string& what);

// Checks code and that the message contains `text`.
void ExpectError(const absl::Status& status, absl::StatusCode code, const std::string& text);

}  // namespace omserve::conformance

#endif  // OMSERVE_CORE_DEVICE_CONFORMANCE_HARNESS_H_
