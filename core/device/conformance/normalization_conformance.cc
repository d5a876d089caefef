// Softmax and normalisations.
#include <algorithm>
#include <cmath>
#include <limits>

#include "core/device/conformance/harness.h"

namespace omserve::conformance {
namespace {

// exp(x - max) / sum over `axes`; or its logarithm.
Array Softmax(const Array& x, const std::vector<int>& axes, bool logarithm) {
  Shape kept = x.shape;
  for (int axis : axes) kept[static_cast<size_t>(axis)] = 1;
  Array most(kept), sum(kept), y = x;
  std::fill(most.values.begin(), most.values.end(), -std::numeric_limits<double>::infinity());
  const auto group = [&](Ints index) {
    for (int axis : axes) index[static_cast<size_t>(axis)] = 0;
    return index;
  };
  ForEachIndex(x.shape, [&](const Ints& i) { most.at(group(i)) = std::max(most.at(group(i)), x.at(i)); });
  ForEachIndex(x.shape, [&](const Ints& i) { sum.at(group(i)) += std::exp(x.at(i) - most.at(group(i))); });
  ForEachIndex(x.shape, [&](const Ints& i) {
    const double shifted = x.at(i) - most.at(group(i));
    y.at(i) = logarithm ? shifted - std::log(sum.at(group(i))) : std::exp(shifted) / sum.at(group(i));
  });
  return y;
}

TEST_P(DeviceConformance, Softmax) {
  const std::vector<std::pair<Shape, std::vector<int>>> cases = {
      {{5}, {0}}, {{3, 1}, {1}}, {{4, 77}, {1}}, {{4, 77}, {0}}, {{2, 3, 129}, {2}}, {{2, 5, 130}, {1}},
      {{2, 3, 4, 5}, {1}}, {{2, 3, 4}, {1, 2}}, {{0, 7}, {1}}, {{3, 0}, {1}}};
  for (const auto& [shape, axes] : cases) {
    SCOPED_TRACE(ToString(shape));
    const Array x = RandomArray(random(), shape, -9.0, 9.0);
    const Ints list(axes.begin(), axes.end());
    ExpectOutput(device(), OpCase("SoftmaxV2").Data(x).Attr("axes", list), Softmax(x, axes, false), DataType::kFloat, 2e-6);
    ExpectOutput(device(), OpCase("LogSoftmaxV2").Data(x).Attr("axes", list), Softmax(x, axes, true), DataType::kFloat, 2e-6);
  }
  // Masked scores: -infinity gives 0; large numbers do not overflow.
  const double inf = std::numeric_limits<double>::infinity();
  ExpectOutput(device(), OpCase("SoftmaxV2").Data(Array({2, 3}, {0, -inf, 0, 1000, 1000, -inf})),
               Array({2, 3}, {0.5, 0, 0.5, 0.5, 0.5, 0}));
}

struct Normalized {
  Array y, mean, variance;
};

// Over dimensions [begin, rank); statistics keep them as 1.
Normalized LayerNorm(const Array& x, size_t begin, const Array* gamma, const Array* beta, double epsilon, bool rms) {
  Shape kept = x.shape;
  int64_t n = 1;
  for (size_t d = begin; d < kept.size(); ++d) {
    n *= kept[d];
    kept[d] = 1;
  }
  Normalized result{x, Array(kept), Array(kept)};
  const auto row = [&](Ints index) {
    std::fill(index.begin() + static_cast<int64_t>(begin), index.end(), 0);
    return index;
  };
  if (!rms) ForEachIndex(x.shape, [&](const Ints& i) { result.mean.at(row(i)) += x.at(i) / static_cast<double>(n); });
  ForEachIndex(x.shape, [&](const Ints& i) {
    const double centred = x.at(i) - result.mean.at(row(i));
    result.variance.at(row(i)) += centred * centred / static_cast<double>(n);
  });
  ForEachIndex(x.shape, [&](const Ints& i) {
    const Ints inner(i.begin() + static_cast<int64_t>(begin), i.end());
    double value = (x.at(i) - result.mean.at(row(i))) / std::sqrt(result.variance.at(row(i)) + epsilon);
    if (gamma != nullptr) value *= gamma->at(inner);
    if (beta != nullptr) value += beta->at(inner);
    result.y.at(i) = value;
  });
  return result;
}

Array Rstd(const Array& variance, double epsilon) {
  Array y = variance;
  for (double& value : y.values) value = 1.0 / std::sqrt(value + epsilon);
  return y;
}

TEST_P(DeviceConformance, LayerNorm) {
  const std::vector<std::pair<Shape, int>> cases = {{{4, 64}, 1}, {{2, 3, 33}, 2}, {{2, 3, 5}, 1}, {{7, 1}, 1}, {{0, 8}, 1}};
  for (const auto& [shape, begin] : cases) {
    SCOPED_TRACE(ToString(shape));
    const Array x = RandomArray(random(), shape, -3.0, 5.0);
    const Shape inner(shape.begin() + begin, shape.end());
    const Array gamma = RandomArray(random(), inner), beta = RandomArray(random(), inner);
    const double epsilon = 1e-5;
    const Normalized expected = LayerNorm(x, static_cast<size_t>(begin), &gamma, &beta, epsilon, false);
    for (const char* type : {"LayerNorm", "LayerNormV3"}) {
      const OpCase op = OpCase(type).Data(x).Const(gamma).Const(beta).Attr("begin_norm_axis", int64_t{begin})
                            .Attr("begin_params_axis", int64_t{begin}).Attr("epsilon", 1e-5f);
      ExpectOutput(device(), op, expected.y);
      ExpectOutput(device(), op, expected.mean, DataType::kFloat, 1e-5, 1);
      const bool variance = std::string(type) == "LayerNorm";
      ExpectOutput(device(), op, variance ? expected.variance : Rstd(expected.variance, epsilon), DataType::kFloat, 1e-4, 2);
    }
    ExpectOutput(device(), OpCase("LayerNormV4").Data(x).ConstInts(inner).Const(gamma).Const(beta), expected.y);
    const Normalized plain = LayerNorm(x, static_cast<size_t>(begin), nullptr, nullptr, epsilon, false);
    ExpectOutput(device(), OpCase("LayerNormV4").Data(x).ConstInts(inner), plain.y);
  }
}

TEST_P(DeviceConformance, RmsNorm) {
  for (const Shape& shape : {Shape{4, 64}, Shape{2, 3, 33}, Shape{1, 1, 5}, Shape{0, 8}}) {
    const Array x = RandomArray(random(), shape, -3.0, 5.0), gamma = RandomArray(random(), {shape.back()});
    const Normalized expected = LayerNorm(x, shape.size() - 1, &gamma, nullptr, 1e-6, true);
    const OpCase op = OpCase("RmsNorm").Data(x).Const(gamma).Attr("epsilon", 1e-6f);
    ExpectOutput(device(), op, expected.y);
    ExpectOutput(device(), op, Rstd(expected.variance, 1e-6), DataType::kFloat, 1e-5, 1);
    const Array x2 = RandomArray(random(), shape);
    Array sum = x;
    for (size_t i = 0; i < sum.values.size(); ++i) sum.values[i] += x2.values[i];
    const Normalized added = LayerNorm(sum, shape.size() - 1, &gamma, nullptr, 1e-6, true);
    const OpCase add = OpCase("AddRmsNorm").Data(x).Data(x2).Const(gamma).Attr("epsilon", 1e-6f);
    ExpectOutput(device(), add, added.y);
    ExpectOutput(device(), add, sum, DataType::kFloat, 1e-6, 2);
  }
}

TEST_P(DeviceConformance, BatchNorm) {
  for (const Shape& shape : {Shape{2, 3, 4, 5}, Shape{2, 3}, Shape{1, 3, 0, 2}, Shape{2, 3, 7}}) {
    SCOPED_TRACE(ToString(shape));
    const Array x = RandomArray(random(), shape), scale = RandomArray(random(), {3}), offset = RandomArray(random(), {3});
    const Array mean = RandomArray(random(), {3}), variance = RandomArray(random(), {3}, 0.5, 2.0);
    Array y = x;
    ForEachIndex(shape, [&](const Ints& i) {
      const size_t c = static_cast<size_t>(i[1]);
      y.at(i) = (x.at(i) - mean.values[c]) / std::sqrt(variance.values[c] + 1e-3) * scale.values[c] + offset.values[c];
    });
    ExpectOutput(device(),
                 OpCase("BNInfer").Data(x).Const(scale).Const(offset).Const(mean).Const(variance).Attr("epsilon", 1e-3f), y);
  }
}

TEST_P(DeviceConformance, InstanceAndGroupNorm) {
  const Shape shape = {2, 6, 3, 5};
  const Array x = RandomArray(random(), shape), gamma = RandomArray(random(), {6}), beta = RandomArray(random(), {6});
  const auto reference = [&](int64_t groups) {
    // Groups of channels as rows of a layer norm without scale.
    const Array rows({2 * groups, 6 / groups * 15}, x.values);
    Array y(shape, LayerNorm(rows, 1, nullptr, nullptr, 1e-5, false).y.values);
    ForEachIndex(shape, [&](const Ints& i) {
      y.at(i) = y.at(i) * gamma.values[static_cast<size_t>(i[1])] + beta.values[static_cast<size_t>(i[1])];
    });
    return y;
  };
  ExpectOutput(device(),
               OpCase("InstanceNorm").Data(x).Const(gamma).Const(beta).Attr("data_format", std::string("NCHW"))
                   .Attr("epsilon", 1e-5f),
               reference(6));
  ExpectOutput(device(),
               OpCase("GroupNorm").Data(x).Const(gamma).Const(beta).Attr("data_format", std::string("NCHW"))
                   .Attr("eps", 1e-5f).Attr("num_groups", int64_t{2}).Attr("is_training", false),
               reference(2));
}

}  // namespace
}  // namespace omserve::conformance
