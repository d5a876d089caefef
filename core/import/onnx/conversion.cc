#include "core/import/onnx/conversion.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/base/status.h"

namespace omserve {
namespace {

// Axes, pads, sizes of a split, … are shorter than this. It keeps hostile models from having long lists copied often.
constexpr int64_t kMaxParameterElements = 4096;

// IEEE 754 binary16 of a value; rounds to nearest even.
uint16_t ToFloat16(float value) {
  const uint16_t sign = std::signbit(value) ? 0x8000 : 0;
  const float magnitude = std::abs(value);
  if (std::isnan(value)) return sign | 0x7e00;
  if (magnitude == 0.0f) return sign;
  // Half of the last place above the largest finite value, 65504.
  if (magnitude >= 65520.0f) return sign | 0x7c00;
  int exponent = 0;
  std::frexp(magnitude, &exponent);
  // Steps of 2^-24 below 2^-14 (denormal), of 2^(exponent - 11) above.
  const int step = std::max(exponent - 11, -24);
  const uint32_t steps = static_cast<uint32_t>(std::nearbyint(std::ldexp(magnitude, -step)));
  // A mantissa that rounds up to 2048 carries into the exponent by this addition.
  return static_cast<uint16_t>(sign | (steps + (static_cast<uint32_t>(step + 24) << 10)));
}

// bfloat16 of a value; rounds to nearest even.
uint16_t ToBfloat16(float value) {
  uint32_t bits = 0;
  std::memcpy(&bits, &value, sizeof(bits));
  if (std::isnan(value)) return static_cast<uint16_t>(bits >> 16 | 0x40);
  return static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

Tensor ScalarOfBits(DataType type, uint16_t bits) {
  std::byte* writable = nullptr;
  Tensor tensor = Tensor::Allocate({type, {}}, &writable);
  std::memcpy(writable, &bits, sizeof(bits));
  return tensor;
}

template <typename T>
absl::StatusOr<Tensor> IntegerScalar(double value) {
  const T integer = static_cast<T>(value);
  if (static_cast<double>(integer) != value) {
    return absl::InvalidArgumentError(
        absl::StrCat("the value ", value, " does not fit the type ", std::string(Name(DataTypeOf<T>()))));
  }
  return Tensor::Scalar<T>(integer);
}

absl::StatusOr<Tensor> ScalarOf(double value, DataType type) {
  // Larger magnitudes may not be cast to an integer at all.
  if (IsInteger(type) && !(std::abs(value) < 9.0e18)) {
    return absl::InvalidArgumentError(absl::StrCat("the value ", value, " does not fit an integer"));
  }
  switch (type) {
    case DataType::kUndefined:
    case DataType::kFloat: return Tensor::Scalar(static_cast<float>(value));
    case DataType::kDouble: return Tensor::Scalar(value);
    case DataType::kFloat16: return ScalarOfBits(type, ToFloat16(static_cast<float>(value)));
    case DataType::kBfloat16: return ScalarOfBits(type, ToBfloat16(static_cast<float>(value)));
    case DataType::kInt64: return IntegerScalar<int64_t>(value);
    case DataType::kInt32:
    case DataType::kInt16:
    case DataType::kInt8:
    case DataType::kUint8:
    case DataType::kUint16:
    case DataType::kUint32:
    case DataType::kUint64: break;
    default:
      return absl::UnimplementedError(absl::StrCat("it needs numbers, not ", std::string(Name(type))));
  }
  ASSIGN_OR_RETURN(Tensor wide, IntegerScalar<int64_t>(value));
  const int64_t integer = wide.values<int64_t>()[0];
  auto narrow = [&]<typename T>(T) -> absl::StatusOr<Tensor> {
    if (!std::in_range<T>(integer)) {
      return absl::InvalidArgumentError(
          absl::StrCat("the value ", integer, " does not fit the type ", std::string(Name(type))));
    }
    return Tensor::Scalar<T>(static_cast<T>(integer));
  };
  switch (type) {
    case DataType::kInt32: return narrow(int32_t{});
    case DataType::kInt16: return narrow(int16_t{});
    case DataType::kInt8: return narrow(int8_t{});
    case DataType::kUint8: return narrow(uint8_t{});
    case DataType::kUint16: return narrow(uint16_t{});
    case DataType::kUint32: return narrow(uint32_t{});
    default: return narrow(uint64_t{});
  }
}

}  // namespace

ValueInfo BroadcastInfo(const ValueInfo& a, const ValueInfo& b) {
  ValueInfo info{a.type == DataType::kUndefined ? b.type : a.type};
  if (a.rank >= 0 && b.rank >= 0) info.rank = std::max(a.rank, b.rank);
  return info;
}

bool IsFloatingPoint(DataType type) {
  return type == DataType::kFloat || type == DataType::kDouble || type == DataType::kFloat16 ||
         type == DataType::kBfloat16;
}

bool IsInteger(DataType type) {
  return type == DataType::kInt8 || type == DataType::kInt16 || type == DataType::kInt32 ||
         type == DataType::kInt64 || type == DataType::kUint8 || type == DataType::kUint16 ||
         type == DataType::kUint32 || type == DataType::kUint64;
}

ValueId Conversion::input(int i) {
  if (!has_input(i)) Fail(absl::InvalidArgumentError(absl::StrCat("its input ", i, " is missing")));
  return optional_input(i);
}

std::vector<ValueId> Conversion::inputs() {
  for (int i = 0; i < num_inputs(); ++i) input(i);
  return inputs_;
}

ValueInfo Conversion::info(ValueId value) const {
  auto it = infos_.find(value);
  return it == infos_.end() ? ValueInfo{} : it->second;
}

std::optional<std::vector<int64_t>> Conversion::ConstantInts(ValueId value) const {
  const TensorSlice* constant = this->constant(value);
  if (constant == nullptr || NumElements(constant->shape()) > kMaxParameterElements) return std::nullopt;
  absl::StatusOr<std::vector<int64_t>> values = constant->Materialize().AsInt64s();
  if (!values.ok()) return std::nullopt;
  return *std::move(values);
}

std::optional<std::vector<double>> Conversion::ConstantFloats(ValueId value) const {
  const TensorSlice* constant = this->constant(value);
  if (constant == nullptr || NumElements(constant->shape()) > kMaxParameterElements) return std::nullopt;
  const Tensor tensor = constant->Materialize();
  if (tensor.type() == DataType::kDouble) {
    return std::vector<double>(tensor.values<double>().begin(), tensor.values<double>().end());
  }
  if (tensor.type() != DataType::kFloat) return std::nullopt;
  return std::vector<double>(tensor.values<float>().begin(), tensor.values<float>().end());
}

bool Conversion::ConstantBool(int input, bool fallback) {
  if (!has_input(input)) return fallback;
  const TensorSlice* constant = this->constant(inputs_[input]);
  if (constant == nullptr || constant->desc().type != DataType::kBool || constant->byte_size() != 1) {
    Fail(absl::UnimplementedError(absl::StrCat("its input ", input, " must be a constant bool scalar")));
    return fallback;
  }
  return constant->Materialize().data()[0] != std::byte{0};
}

bool Conversion::HasAttr(const std::string& name) {
  return Find(name, onnx::AttributeProto::UNDEFINED) != nullptr;
}

const onnx::AttributeProto* Conversion::Find(const std::string& name, onnx::AttributeProto::AttributeType type) {
  read_.insert(name);
  for (const onnx::AttributeProto& attribute : proto_.attribute()) {
    if (attribute.name() != name) continue;
    // Models of IR 1 need not say the type; all that are accepted here must.
    if (type != onnx::AttributeProto::UNDEFINED && attribute.type() != type) {
      Fail(absl::InvalidArgumentError(
          absl::StrCat("its attribute '", name, "' has type ", static_cast<int>(attribute.type()),
                       " of onnx.AttributeProto; it must be ", static_cast<int>(type))));
      return nullptr;
    }
    return &attribute;
  }
  return nullptr;
}

int64_t Conversion::Int(const std::string& name, int64_t fallback) {
  const onnx::AttributeProto* attribute = Find(name, onnx::AttributeProto::INT);
  return attribute == nullptr ? fallback : attribute->i();
}

int64_t Conversion::Axis(const std::string& name, int64_t fallback) {
  const int64_t axis = Int(name, fallback);
  if (axis >= -kMaxRank && axis <= kMaxRank) return axis;
  Fail(absl::InvalidArgumentError(absl::StrCat("its attribute ", name, " = ", axis, " is outside [-", kMaxRank, ", ",
                                               kMaxRank, "]")));
  return fallback;
}

float Conversion::Float(const std::string& name, float fallback) {
  const onnx::AttributeProto* attribute = Find(name, onnx::AttributeProto::FLOAT);
  return attribute == nullptr ? fallback : attribute->f();
}

std::string Conversion::String(const std::string& name, const std::string& fallback) {
  const onnx::AttributeProto* attribute = Find(name, onnx::AttributeProto::STRING);
  return attribute == nullptr ? fallback : attribute->s();
}

std::vector<int64_t> Conversion::Ints(const std::string& name, std::vector<int64_t> fallback) {
  const onnx::AttributeProto* attribute = Find(name, onnx::AttributeProto::INTS);
  if (attribute == nullptr) return fallback;
  return {attribute->ints().begin(), attribute->ints().end()};
}

std::vector<float> Conversion::Floats(const std::string& name) {
  const onnx::AttributeProto* attribute = Find(name, onnx::AttributeProto::FLOATS);
  if (attribute == nullptr) return {};
  return {attribute->floats().begin(), attribute->floats().end()};
}

std::optional<Tensor> Conversion::TensorAttr(const std::string& name) {
  const onnx::AttributeProto* attribute = Find(name, onnx::AttributeProto::TENSOR);
  if (attribute == nullptr) return std::nullopt;
  absl::StatusOr<Tensor> tensor = weights_.Load(attribute->t());
  if (!tensor.ok()) {
    Fail(Annotate(tensor.status(), absl::StrCat("its attribute '", name, "'")));
    return std::nullopt;
  }
  return *std::move(tensor);
}

void Conversion::RequireInt(const std::string& name, int64_t value) {
  const int64_t given = Int(name, value);
  if (given != value) {
    Fail(absl::UnimplementedError(
        absl::StrCat("its attribute ", name, " = ", given, " is not supported; only ", value, " is")));
  }
}

void Conversion::RequireString(const std::string& name, const std::string& value) {
  const std::string given = String(name, value);
  if (given != value) {
    Fail(absl::UnimplementedError(
        absl::StrCat("its attribute ", name, " = '", given, "' is not supported; only '", value, "' is")));
  }
}

void Conversion::SetOutput(int i, ValueId value) {
  if (i < num_outputs()) outputs_[i] = value;
}

ValueId Conversion::AddNode(const std::string& type, const std::string& name, std::vector<ValueId> inputs,
                            AttrMap attrs, ValueInfo info, int outputs) {
  // Trailing absent inputs say nothing; without them nodes look the same however the model was written.
  while (!inputs.empty() && !inputs.back().valid()) inputs.pop_back();
  omserve::Node* node = graph_.AddNode(type, name, std::move(inputs));
  for (auto& [key, value] : attrs) node->SetAttr(key, std::move(value));
  node->SetOutputs(std::vector<TensorDesc>(static_cast<size_t>(outputs)));
  // No tensor can have such a rank; forgetting it here leaves the complaint to shape inference.
  if (info.rank > kMaxRank) info.rank = -1;
  infos_[node->out()] = info;
  return node->out();
}

ValueId Conversion::Node(const std::string& type, std::vector<ValueId> inputs, AttrMap attrs, ValueInfo info,
                         int outputs) {
  return AddNode(type, name_, std::move(inputs), std::move(attrs), info, outputs);
}

ValueId Conversion::Helper(const std::string& type, std::vector<ValueId> inputs, AttrMap attrs, ValueInfo info,
                           int outputs) {
  return AddNode(type, absl::StrCat(name_, "_", type), std::move(inputs), std::move(attrs), info, outputs);
}

ValueId Conversion::AddConst(const std::string& name, TensorSlice value) {
  const TensorDesc desc = value.desc();
  const ValueId id = graph_.AddConst(name, std::move(value))->out();
  infos_[id] = {desc.type, static_cast<int>(desc.shape.size())};
  return id;
}

ValueId Conversion::NodeConst(TensorSlice value) { return AddConst(name_, std::move(value)); }

ValueId Conversion::Const(const std::string& role, TensorSlice value) {
  return AddConst(absl::StrCat(name_, "_", role), std::move(value));
}

ValueId Conversion::Ints64(const std::string& role, const std::vector<int64_t>& values) {
  return Const(role, TensorSlice(Tensor::Int64s(values)));
}

ValueId Conversion::Int64(const std::string& role, int64_t value) {
  return Const(role, TensorSlice(Tensor::Scalar(value)));
}

ValueId Conversion::Int32(const std::string& role, int32_t value) {
  return Const(role, TensorSlice(Tensor::Scalar(value)));
}

ValueId Conversion::Scalar(const std::string& role, double value, DataType type) {
  absl::StatusOr<Tensor> tensor = ScalarOf(value, type);
  if (!tensor.ok()) {
    Fail(Annotate(tensor.status(), role));
    tensor = Tensor::Scalar(0.0f);
  }
  return Const(role, TensorSlice(*std::move(tensor)));
}

ValueId Conversion::Cast(ValueId value, DataType type) {
  const ValueInfo from = info(value);
  if (from.type == type) return value;
  return Helper("Cast", {value}, {{"dst_type", int64_t{ToAclNumber(type)}}}, from.As(type));
}

ValueId Conversion::ShapeOf(ValueId value) {
  if (const TensorSlice* constant = this->constant(value)) return Ints64("shape", constant->shape());
  return Helper("Shape", {value}, {{"dtype", int64_t{ToAclNumber(DataType::kInt64)}}}, {DataType::kInt64, 1});
}

ValueId Conversion::SliceVector(ValueId vector, int64_t begin, int64_t end) {
  return Helper("StridedSliceV2",
                {vector, Ints64("begin", {begin}), Ints64("end", {end}), Ints64("axes", {0}), Ints64("strides", {1})},
                {}, info(vector));
}

ValueId Conversion::RankOf(ValueId value) {
  const int rank = info(value).rank;
  if (rank >= 0) return Int64("rank", rank);
  return Helper("Size", {ShapeOf(value)}, {{"dtype", int64_t{ToAclNumber(DataType::kInt64)}}},
                {DataType::kInt64, 0});
}

ValueId Conversion::VectorMath(const std::string& type, std::vector<ValueId> operands) {
  return Helper(type, std::move(operands), {}, {DataType::kInt64, 1});
}

ValueId Conversion::ConcatVectors(std::vector<ValueId> vectors) {
  const ValueInfo first = info(vectors.front());
  const int64_t count = static_cast<int64_t>(vectors.size());
  return Helper("ConcatD", std::move(vectors), {{"concat_dim", 0}, {"N", count}}, first);
}

ValueId Conversion::Unsqueeze(ValueId value, std::vector<int64_t> axes) {
  const ValueInfo from = info(value);
  const int added = static_cast<int>(axes.size());
  return Helper("Unsqueeze", {value}, {{"axes", std::move(axes)}},
                from.OfRank(from.rank < 0 ? -1 : from.rank + added));
}

ValueId Conversion::Squeeze(ValueId value, std::vector<int64_t> axes) {
  const ValueInfo from = info(value);
  const int removed = static_cast<int>(axes.size());
  return Helper("Squeeze", {value}, {{"axis", std::move(axes)}},
                from.OfRank(from.rank < removed ? -1 : from.rank - removed));
}

}  // namespace omserve
