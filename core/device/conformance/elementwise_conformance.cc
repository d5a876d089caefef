// Elementwise operators: arithmetic, comparison, selection, functions, activations, casts.
#include <cmath>
#include <limits>

#include "core/device/conformance/harness.h"

namespace omserve::conformance {
namespace {

using Binary = double (*)(double, double);
using Unary = double (*)(double);

const std::vector<DataType> kNumeric = {DataType::kFloat, DataType::kDouble, DataType::kInt8, DataType::kInt16,
                                        DataType::kInt32, DataType::kInt64,  DataType::kUint8};

// Pairs that broadcast in every way: equal, scalar, row, column, both, zero elements, several dimensions merged.
const std::vector<std::pair<Shape, Shape>> kPairs = {
    {{}, {}},           {{7}, {7}},         {{3, 5}, {}},          {{}, {3, 5}},         {{4, 6}, {6}},
    {{6}, {4, 6}},      {{4, 6}, {4, 1}},   {{4, 1}, {1, 6}},      {{2, 3, 4}, {3, 1}},  {{2, 1, 4}, {5, 1}},
    {{0, 3}, {3}},      {{2, 0}, {1, 1}},   {{1, 0}, {4, 1}},      {{2, 3, 4, 5}, {1, 3, 1, 1}},
    {{3, 1, 5}, {2, 3, 4, 5}}, {{33, 70}, {33, 70}}, {{1, 1, 1}, {2}}, {{2, 1, 3, 1, 2}, {1, 4, 1, 5, 1}},
};

Shape BroadcastOf(const Shape& a, const Shape& b) { return *BroadcastShapes(a, b); }

Array ApplyBinary(const Array& a, const Array& b, Binary function) {
  Array y(BroadcastOf(a.shape, b.shape));
  ForEachIndex(y.shape, [&](const Ints& i) { y.at(i) = function(a.BroadcastAt(i), b.BroadcastAt(i)); });
  return y;
}

Array ApplyUnary(const Array& x, const std::function<double(double)>& function) {
  Array y = x;
  for (double& value : y.values) value = function(value);
  return y;
}

double FloorRemainder(double a, double b) {
  const double r = std::fmod(a, b);
  return r != 0 && (r < 0) != (b < 0) ? r + b : r;
}

struct BinaryCase {
  const char* type;
  Binary function;
  bool divides = false;
};

TEST_P(DeviceConformance, ArithmeticBroadcasts) {
  const std::vector<BinaryCase> cases = {
      {"Add", [](double a, double b) { return a + b; }},
      {"Sub", [](double a, double b) { return a - b; }},
      {"Mul", [](double a, double b) { return a * b; }},
      {"Maximum", [](double a, double b) { return std::max(a, b); }},
      {"Minimum", [](double a, double b) { return std::min(a, b); }},
      {"SquaredDifference", [](double a, double b) { return (a - b) * (a - b); }},
      {"FloorDiv", [](double a, double b) { return std::floor(a / b); }, true},
      {"FloorMod", FloorRemainder, true},
      {"Mod", [](double a, double b) { return std::fmod(a, b); }, true},
      {"TruncateDiv", [](double a, double b) { return std::trunc(a / b); }, true},
  };
  for (const BinaryCase& c : cases) {
    for (const auto& [left, right] : kPairs) {
      for (DataType type : {DataType::kFloat, DataType::kInt64}) {
        SCOPED_TRACE(testing::Message() << c.type << " " << ToString(left) << " " << ToString(right) << " " << Name(type));
        // Whole numbers: quotients near a whole number would round differently in float.
        const Array a = RandomInts(random(), left, -20, 20);
        const Array b = c.divides ? RandomInts(random(), right, 1, 7) : RandomInts(random(), right, -20, 20);
        ExpectExact(device(), OpCase(c.type).Data(ToTensor(a, type)).Data(ToTensor(b, type)),
                    ApplyBinary(a, b, c.function), type);
      }
    }
  }
}

TEST_P(DeviceConformance, ArithmeticInAllTypes) {
  for (DataType type : kNumeric) {
    SCOPED_TRACE(testing::Message() << Name(type));
    const Array a = RandomInts(random(), {3, 40}, 5, 11);
    const Array b = RandomInts(random(), {40}, 1, 5);
    const auto expect = [&](const char* op, Binary function) {
      ExpectExact(device(), OpCase(op).Data(ToTensor(a, type)).Data(ToTensor(b, type)), ApplyBinary(a, b, function), type);
    };
    expect("Add", [](double x, double y) { return x + y; });
    expect("Sub", [](double x, double y) { return x - y; });
    expect("Mul", [](double x, double y) { return x * y; });
    expect("Maximum", [](double x, double y) { return std::max(x, y); });
  }
}

TEST_P(DeviceConformance, NegativeIntegerDivision) {
  const Array a({6}, {7, -7, 7, -7, 6, -6}), b({6}, {2, 2, -2, -2, -3, 3});
  const auto run = [&](const char* op, Binary function) {
    SCOPED_TRACE(op);
    ExpectExact(device(), OpCase(op).Data(ToTensor(a, DataType::kInt32)).Data(ToTensor(b, DataType::kInt32)),
                ApplyBinary(a, b, function), DataType::kInt32);
  };
  run("FloorDiv", [](double x, double y) { return std::floor(x / y); });
  run("TruncateDiv", [](double x, double y) { return std::trunc(x / y); });
  run("RealDiv", [](double x, double y) { return std::trunc(x / y); });
  run("FloorMod", FloorRemainder);
  run("Mod", [](double x, double y) { return std::fmod(x, y); });
}

TEST_P(DeviceConformance, IntegerDivisionByZeroIsAnError) {
  const Array a({2}, {1, 2}), b({2}, {1, 0});
  for (const char* type : {"FloorDiv", "RealDiv", "FloorMod", "Mod", "TruncateDiv"}) {
    const auto outputs = OpCase(type).Data(ToTensor(a, DataType::kInt64)).Data(ToTensor(b, DataType::kInt64)).Run(device());
    ExpectError(outputs.status(), absl::StatusCode::kInvalidArgument, "division by zero");
  }
}

TEST_P(DeviceConformance, IntegersWrap) {
  const int64_t least = std::numeric_limits<int64_t>::min();
  const Tensor a = Tensor::Of<int64_t>({2}, {least, least});
  const Tensor b = Tensor::Of<int64_t>({2}, {-1, -1});
  const auto quotient = OpCase("FloorDiv").Data(a).Data(b).Run(device());
  ASSERT_TRUE(quotient.ok()) << quotient.status();
  EXPECT_EQ((*quotient)[0].values<int64_t>()[0], least);
  const auto difference = OpCase("Add").Data(a).Data(b).Run(device());
  ASSERT_TRUE(difference.ok()) << difference.status();
  EXPECT_EQ((*difference)[0].values<int64_t>()[0], std::numeric_limits<int64_t>::max());
}

TEST_P(DeviceConformance, RealDivAndPow) {
  for (const auto& [left, right] : kPairs) {
    SCOPED_TRACE(testing::Message() << ToString(left) << " " << ToString(right));
    const Array a = RandomArray(random(), left, 0.5, 3.0), b = RandomArray(random(), right, 0.5, 3.0);
    ExpectOutput(device(), OpCase("RealDiv").Data(a).Data(b), ApplyBinary(a, b, [](double x, double y) { return x / y; }));
    ExpectOutput(device(), OpCase("Pow").Data(a).Data(b), ApplyBinary(a, b, [](double x, double y) { return std::pow(x, y); }));
  }
  // Constant exponents may take a short cut.
  const Array x = RandomArray(random(), {5, 9}, -2.0, 2.0);
  for (double exponent : {0.0, 1.0, 2.0, 3.0, -1.0, 4.0}) {
    ExpectOutput(device(), OpCase("Pow").Data(x).Const(Array({}, {exponent})),
                 ApplyUnary(x, [&](double v) { return std::pow(v, exponent); }));
  }
  const Array base = RandomInts(random(), {8}, -3, 3), power = RandomInts(random(), {8}, 0, 5);
  ExpectExact(device(), OpCase("Pow").Data(ToTensor(base, DataType::kInt64)).Data(ToTensor(power, DataType::kInt64)),
              ApplyBinary(base, power, [](double a, double b) { return std::pow(a, b); }), DataType::kInt64);
}

TEST_P(DeviceConformance, Comparisons) {
  const std::vector<BinaryCase> cases = {
      {"Equal", [](double a, double b) { return double(a == b); }},
      {"NotEqual", [](double a, double b) { return double(a != b); }},
      {"Less", [](double a, double b) { return double(a < b); }},
      {"LessEqual", [](double a, double b) { return double(a <= b); }},
      {"Greater", [](double a, double b) { return double(a > b); }},
      {"GreaterEqual", [](double a, double b) { return double(a >= b); }},
  };
  for (const BinaryCase& c : cases) {
    for (const auto& [left, right] : kPairs) {
      for (DataType type : {DataType::kFloat, DataType::kInt32, DataType::kInt64}) {
        SCOPED_TRACE(testing::Message() << c.type << " " << ToString(left) << " " << ToString(right));
        const Array a = RandomInts(random(), left, -2, 2), b = RandomInts(random(), right, -2, 2);
        ExpectExact(device(), OpCase(c.type).Data(ToTensor(a, type)).Data(ToTensor(b, type)),
                    ApplyBinary(a, b, c.function), DataType::kBool);
      }
    }
  }
}

TEST_P(DeviceConformance, LogicAndSelect) {
  const auto logical = [&](const char* type, Binary function) {
    for (const auto& [left, right] : kPairs) {
      const Array a = RandomInts(random(), left, 0, 1), b = RandomInts(random(), right, 0, 1);
      ExpectExact(device(), OpCase(type).Data(ToTensor(a, DataType::kBool)).Data(ToTensor(b, DataType::kBool)),
                  ApplyBinary(a, b, function), DataType::kBool);
    }
  };
  logical("LogicalAnd", [](double a, double b) { return double(a != 0 && b != 0); });
  logical("LogicalOr", [](double a, double b) { return double(a != 0 || b != 0); });
  const Array flags = RandomInts(random(), {3, 4}, 0, 1);
  ExpectExact(device(), OpCase("LogicalNot").Data(ToTensor(flags, DataType::kBool)),
              ApplyUnary(flags, [](double v) { return double(v == 0); }), DataType::kBool);

  const std::vector<std::vector<Shape>> shapes = {{{3, 4}, {3, 4}, {3, 4}}, {{3, 4}, {}, {3, 4}}, {{3, 4}, {3, 4}, {}},
                                                  {{1, 4}, {3, 1}, {1}},    {{2, 1, 4}, {3, 1}, {4}}, {{0, 2}, {2}, {1}}};
  for (const auto& s : shapes) {
    for (DataType type : {DataType::kFloat, DataType::kInt64, DataType::kBool, DataType::kInt16}) {
      const Array condition = RandomInts(random(), s[0], 0, 1);
      const Array yes = RandomFor(random(), s[1], type), no = RandomFor(random(), s[2], type);
      Array y(BroadcastOf(BroadcastOf(s[0], s[1]), s[2]));
      ForEachIndex(y.shape, [&](const Ints& i) {
        y.at(i) = condition.BroadcastAt(i) != 0 ? yes.BroadcastAt(i) : no.BroadcastAt(i);
      });
      ExpectExact(device(),
                  OpCase("SelectV2").Data(ToTensor(condition, DataType::kBool)).Data(ToTensor(yes, type)).Data(ToTensor(no, type)),
                  y, type);
    }
  }
}

struct UnaryCase {
  const char* type;
  Unary function;
  double low = -6.0, high = 6.0;
  double tolerance = 2e-6;
};

TEST_P(DeviceConformance, Functions) {
  const std::vector<UnaryCase> cases = {
      {"Exp", std::exp, -20, 20}, {"Log", std::log, 0.01, 50}, {"Sqrt", std::sqrt, 0, 50},
      {"Rsqrt", [](double x) { return 1 / std::sqrt(x); }, 0.1, 50}, {"Reciprocal", [](double x) { return 1 / x; }, 0.1, 9},
      {"Sin", std::sin}, {"Cos", std::cos}, {"Tan", std::tan, -1, 1}, {"Asin", std::asin, -1, 1},
      {"Acos", std::acos, -1, 1}, {"Atan", std::atan}, {"Sinh", std::sinh}, {"Cosh", std::cosh},
      {"Asinh", std::asinh}, {"Acosh", std::acosh, 1, 9}, {"Atanh", std::atanh, -0.9, 0.9},
      {"Tanh", std::tanh, -12, 12}, {"Erf", std::erf, -6, 6}, {"Neg", [](double x) { return -x; }},
      {"Abs", [](double x) { return std::fabs(x); }}, {"Sign", [](double x) { return double((x > 0) - (x < 0)); }},
      {"Ceil", std::ceil}, {"Floor", std::floor}, {"Round", std::nearbyint}, {"Square", [](double x) { return x * x; }},
      {"Relu", [](double x) { return std::max(x, 0.0); }},
      {"Relu6", [](double x) { return std::min(std::max(x, 0.0), 6.0); }, -9, 9},
      {"Sigmoid", [](double x) { return 1 / (1 + std::exp(-x)); }, -20, 20},
      {"Softplus", [](double x) { return std::log1p(std::exp(x)); }, -20, 20},
      {"Softsign", [](double x) { return x / (1 + std::fabs(x)); }},
      {"HardSwish", [](double x) { return x * std::clamp(x / 6 + 0.5, 0.0, 1.0); }},
      {"Mish", [](double x) { return x * std::tanh(std::log1p(std::exp(x))); }},
      {"Gelu", [](double x) { return 0.5 * x * (1 + std::erf(x / std::sqrt(2.0))); }, -9, 9},
      {"FastGelu", [](double x) { return x / (1 + std::exp(-1.702 * x)); }, -9, 9},
      {"Swish", [](double x) { return x / (1 + std::exp(-x)); }, -20, 20},
      {"Selu", [](double x) { return 1.05070098735548 * (x > 0 ? x : 1.67326324235437 * std::expm1(x)); }},
      {"Elu", [](double x) { return x > 0 ? x : std::expm1(x); }},
  };
  for (const UnaryCase& c : cases) {
    for (const Shape& shape : {Shape{}, Shape{1}, Shape{37}, Shape{3, 0}, Shape{5, 129}}) {
      SCOPED_TRACE(testing::Message() << c.type << " " << ToString(shape));
      const Array x = RandomArray(random(), shape, c.low, c.high);
      ExpectOutput(device(), OpCase(c.type).Data(x), ApplyUnary(x, c.function), DataType::kFloat, c.tolerance);
    }
  }
}

TEST_P(DeviceConformance, FunctionsAtTheEdges) {
  const double inf = std::numeric_limits<double>::infinity(), nan = std::nan("");
  const Array x({6}, {0.0, -0.0, inf, -inf, nan, 1e-30});
  for (const auto& [type, function] : std::vector<std::pair<const char*, Unary>>{
           {"Exp", std::exp}, {"Tanh", std::tanh}, {"Erf", std::erf}, {"Sqrt", std::sqrt}, {"Abs", std::fabs},
           {"Sigmoid", [](double v) { return 1 / (1 + std::exp(-v)); }},
           {"Relu", [](double v) { return v != v ? v : std::max(v, 0.0); }}}) {
    SCOPED_TRACE(type);
    ExpectOutput(device(), OpCase(type).Data(x), ApplyUnary(x, function), DataType::kFloat, 1e-6);
  }
  // Beyond the range of float, and its smallest numbers.
  const Array far({6}, {89.5, 88.0, -87.0, -100.0, -110.0, 1000.0});
  ExpectOutput(device(), OpCase("Exp").Data(far), Array({6}, {inf, std::exp(88.0), std::exp(-87.0), std::exp(-100.0), 0.0, inf}),
               DataType::kFloat, 2e-6);
  const Array y({3}, {nan, 1.0, nan}), z({3}, {1.0, nan, nan});
  for (const char* type : {"Maximum", "Minimum"}) {
    ExpectOutput(device(), OpCase(type).Data(y).Data(z), Array({3}, {nan, nan, nan}));
  }
  ExpectExact(device(), OpCase("IsNan").Data(x), Array({6}, {0, 0, 0, 0, 1, 0}), DataType::kBool);
  ExpectExact(device(), OpCase("IsInf").Data(x), Array({6}, {0, 0, 1, 1, 0, 0}), DataType::kBool);
  ExpectExact(device(), OpCase("IsFinite").Data(x), Array({6}, {1, 1, 0, 0, 0, 1}), DataType::kBool);
}

TEST_P(DeviceConformance, FunctionsWithAttributes) {
  const Array x = RandomArray(random(), {4, 33}, -5.0, 5.0);
  const auto expect = [&](OpCase op, const std::function<double(double)>& function) {
    ExpectOutput(device(), op.Data(x), ApplyUnary(x, function), DataType::kFloat, 2e-6);
  };
  expect(OpCase("LeakyRelu").Attr("negative_slope", 0.2f), [](double v) { return v < 0 ? 0.2 * v : v; });
  expect(OpCase("Elu").Attr("alpha", 1.5f), [](double v) { return v > 0 ? v : 1.5 * std::expm1(v); });
  expect(OpCase("Swish").Attr("scale", 1.5f), [](double v) { return v / (1 + std::exp(-1.5 * v)); });
  expect(OpCase("HardSigmoid").Attr("alpha", 0.25f).Attr("beta", 0.4f),
         [](double v) { return std::clamp(0.25 * v + 0.4, 0.0, 1.0); });
  expect(OpCase("GeluV2").Attr("approximate", std::string("tanh")), [](double v) {
    return 0.5 * v * (1 + std::tanh(std::sqrt(2 / M_PI) * (v + 0.044715 * v * v * v)));
  });
  expect(OpCase("GeluV2").Attr("approximate", std::string("none")),
         [](double v) { return 0.5 * v * (1 + std::erf(v / std::sqrt(2.0))); });
  expect(OpCase("Muls").Attr("value", -1.5f), [](double v) { return v * -1.5; });
  expect(OpCase("Adds").Attr("value", 0.25f), [](double v) { return v + 0.25; });
  expect(OpCase("Exp").Attr("base", 2.0f).Attr("scale", 0.5f).Attr("shift", 1.0f),
         [](double v) { return std::pow(2.0, 0.5 * v + 1.0); });
}

TEST_P(DeviceConformance, ClipByValue) {
  const Array x = RandomArray(random(), {3, 50}, -5.0, 5.0);
  const Array low({}, {-1.25}), high({}, {2.5});
  ExpectOutput(device(), OpCase("ClipByValue").Data(x).Data(low).Data(high),
               ApplyUnary(x, [](double v) { return std::clamp(v, -1.25, 2.5); }));
  const Array n = RandomInts(random(), {9}, -9, 9);
  ExpectExact(device(),
              OpCase("ClipByValue").Data(ToTensor(n, DataType::kInt32)).Data(ToTensor(Array({}, {-3}), DataType::kInt32))
                  .Data(ToTensor(Array({}, {4}), DataType::kInt32)),
              ApplyUnary(n, [](double v) { return std::clamp(v, -3.0, 4.0); }), DataType::kInt32);
}

TEST_P(DeviceConformance, PRelu) {
  const Array x = RandomArray(random(), {2, 3, 4, 5});
  const Array per_channel = RandomArray(random(), {3});
  Array y = x;
  ForEachIndex(y.shape, [&](const Ints& i) {
    if (y.at(i) < 0) y.at(i) *= per_channel.values[static_cast<size_t>(i[1])];
  });
  ExpectOutput(device(), OpCase("PRelu").Data(x).Const(Array({3, 1, 1}, per_channel.values)), y);
}

TEST_P(DeviceConformance, Casts) {
  const std::vector<DataType> types = {DataType::kFloat, DataType::kDouble, DataType::kInt8, DataType::kInt32,
                                       DataType::kInt64, DataType::kUint8,  DataType::kBool};
  for (DataType from : types) {
    for (DataType to : types) {
      SCOPED_TRACE(testing::Message() << Name(from) << " to " << Name(to));
      const bool boolean = from == DataType::kBool;
      Array x = RandomInts(random(), {5, 7}, 0, boolean ? 1 : 100);
      Array y = x;
      if (from == DataType::kFloat && to != DataType::kFloat && to != DataType::kDouble) {
        for (double& value : x.values) value += 0.75;  // truncates
        if (to == DataType::kBool) y = x;
      }
      if (to == DataType::kBool) y = ApplyUnary(y, [](double v) { return double(v != 0); });
      ExpectExact(device(), OpCase("Cast").Data(ToTensor(x, from)).Attr("dst_type", int64_t{ToAclNumber(to)}), y, to);
    }
  }
}

TEST_P(DeviceConformance, CastsThroughSixteenBits) {
  // Exact in both formats, or rounded to the nearest even of the coarser one.
  for (const auto& [type, values, expected] :
       std::vector<std::tuple<DataType, std::vector<double>, std::vector<double>>>{
           {DataType::kFloat16,
            {0.0, 1.0, -2.5, 65504.0, 65520.0, 6.1035e-05, 5.9604645e-08, 1.0009765625, 1.00048828125, -INFINITY},
            {0.0, 1.0, -2.5, 65504.0, INFINITY, 6.1035156e-05, 5.9604645e-08, 1.0009765625, 1.0, -INFINITY}},
           {DataType::kBfloat16, {0.0, 1.0, -2.5, 3.3895314e38, 1.00390625, 1.01171875},
            {0.0, 1.0, -2.5, 3.3895314e38, 1.0, 1.015625}}}) {
    const Shape shape = {static_cast<int64_t>(values.size())};
    const auto narrow = OpCase("Cast").Data(Array(shape, values)).Attr("dst_type", int64_t{ToAclNumber(type)}).Run(device());
    ASSERT_TRUE(narrow.ok()) << narrow.status();
    ExpectOutput(device(), OpCase("Cast").Data((*narrow)[0]).Attr("dst_type", int64_t{ToAclNumber(DataType::kFloat)}),
                 Array(shape, expected), DataType::kFloat, 1e-6);
  }
}

}  // namespace
}  // namespace omserve::conformance
