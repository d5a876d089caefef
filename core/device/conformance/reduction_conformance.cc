// Reductions, running sums, searching.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/device/conformance/harness.h"

namespace omserve::conformance {
namespace {

using Fold = std::function<double(const std::vector<double>&)>;

// Gathers what falls together over `axes`, then folds it.
Array Reduce(const Array& x, const Ints& axes, bool keep, const Fold& fold) {
  const int64_t rank = static_cast<int64_t>(x.shape.size());
  std::vector<bool> reduced(x.shape.size(), false);
  for (int64_t axis : axes) reduced[static_cast<size_t>(axis < 0 ? axis + rank : axis)] = true;
  Shape kept = x.shape, squeezed;
  for (size_t d = 0; d < kept.size(); ++d) {
    if (reduced[d]) kept[d] = 1;
    else squeezed.push_back(kept[d]);
  }
  Array y(kept);
  std::vector<std::vector<double>> groups(y.values.size());
  ForEachIndex(x.shape, [&](Ints i) {
    const double value = x.at(i);
    for (size_t d = 0; d < i.size(); ++d) {
      if (reduced[d]) i[d] = 0;
    }
    groups[static_cast<size_t>(&y.at(i) - y.values.data())].push_back(value);
  });
  for (size_t g = 0; g < groups.size(); ++g) y.values[g] = fold(groups[g]);
  if (!keep) y.shape = squeezed;
  return y;
}

double Sum(const std::vector<double>& v) { return std::accumulate(v.begin(), v.end(), 0.0); }

const std::vector<std::pair<Shape, Ints>> kReductions = {
    {{7}, {0}},           {{4, 100}, {1}},      {{4, 100}, {0}},       {{3, 4, 5}, {1}},        {{3, 4, 5}, {0, 2}},
    {{3, 4, 5}, {-1, -2}}, {{2, 3, 4, 5}, {1, 3}}, {{2, 3, 4, 5}, {0, 1, 2, 3}}, {{2, 3, 40}, {0, 1}}, {{1, 5, 1}, {1}},
    {{5, 1, 3}, {1}},     {{0, 3}, {1}},        {{65, 3}, {0}}};

TEST_P(DeviceConformance, Reductions) {
  const std::vector<std::pair<const char*, Fold>> folds = {
      {"ReduceSum", Sum},
      {"ReduceProd", [](const std::vector<double>& v) { return std::accumulate(v.begin(), v.end(), 1.0, std::multiplies<>()); }},
      {"ReduceMax", [](const std::vector<double>& v) { return *std::max_element(v.begin(), v.end()); }},
      {"ReduceMin", [](const std::vector<double>& v) { return *std::min_element(v.begin(), v.end()); }},
  };
  for (const auto& [type, fold] : folds) {
    for (const auto& [shape, axes] : kReductions) {
      for (bool keep : {false, true}) {
        for (DataType data : {DataType::kFloat, DataType::kInt64, DataType::kInt32}) {
          SCOPED_TRACE(testing::Message() << type << " " << ToString(shape) << " " << ToString(axes) << Name(data));
          const bool product = std::string(type) == "ReduceProd";
          const Array x = product ? RandomInts(random(), shape, -1, 1) : RandomInts(random(), shape, -50, 50);
          ExpectExact(device(), OpCase(type).Data(ToTensor(x, data)).ConstInts(axes).Attr("keep_dims", keep),
                      Reduce(x, axes, keep, fold), data);
        }
      }
    }
  }
}

TEST_P(DeviceConformance, FloatReductions) {
  const std::vector<std::pair<const char*, Fold>> folds = {
      {"ReduceMean", [](const std::vector<double>& v) { return Sum(v) / static_cast<double>(v.size()); }},
      {"ReduceLogSum", [](const std::vector<double>& v) { return std::log(Sum(v)); }},
      {"ReduceLogSumExp", [](const std::vector<double>& v) {
         double total = 0;
         for (double x : v) total += std::exp(x);
         return std::log(total);
       }},
  };
  for (const auto& [type, fold] : folds) {
    for (const auto& [shape, axes] : kReductions) {
      SCOPED_TRACE(testing::Message() << type << " " << ToString(shape) << " " << ToString(axes));
      const Array x = RandomArray(random(), shape, 0.5, 3.0);
      ExpectOutput(device(), OpCase(type).Data(x).ConstInts(axes).Attr("keep_dims", true), Reduce(x, axes, true, fold));
    }
  }
  const Array x = RandomArray(random(), {3, 7, 5});
  ExpectOutput(device(), OpCase("SquareSumV1").Data(x).Attr("axis", Ints{1}).Attr("keep_dims", false),
               Reduce(x, {1}, false, [](const std::vector<double>& v) {
                 return std::inner_product(v.begin(), v.end(), v.begin(), 0.0);
               }));
  ExpectOutput(device(), OpCase("LpNormV2").Data(x).Attr("p", 2.0f).Attr("axes", Ints{2}).Attr("keepdim", true),
               Reduce(x, {2}, true, [](const std::vector<double>& v) {
                 return std::sqrt(std::inner_product(v.begin(), v.end(), v.begin(), 0.0));
               }));
}

TEST_P(DeviceConformance, ReductionsOfNothing) {
  const Array empty({0, 3});
  ExpectExact(device(), OpCase("ReduceSum").Data(empty).ConstInts({0}), Array({3}, {0, 0, 0}), DataType::kFloat);
  ExpectExact(device(), OpCase("ReduceProd").Data(empty).ConstInts({0}), Array({3}, {1, 1, 1}), DataType::kFloat);
}

TEST_P(DeviceConformance, LongSumsKeepPrecision) {
  const Array x = RandomArray(random(), {3, 100000}, 0.0, 1.0);
  ExpectOutput(device(), OpCase("ReduceMean").Data(x).ConstInts({1}),
               Reduce(x, {1}, false, [](const std::vector<double>& v) { return Sum(v) / static_cast<double>(v.size()); }),
               DataType::kFloat, 1e-5);
}

TEST_P(DeviceConformance, Cumsum) {
  for (int variant = 0; variant < 4; ++variant) {
    const bool exclusive = variant & 1, reverse = variant & 2;
    for (int64_t axis : {0, 1, -1}) {
      const Array x = RandomInts(random(), {3, 4, 5});
      Array y(x.shape);
      const size_t d = static_cast<size_t>(axis < 0 ? axis + 3 : axis);
      ForEachIndex(x.shape, [&](const Ints& i) {
        Ints j = i;
        double sum = 0;
        for (j[d] = 0; j[d] < x.shape[d]; ++j[d]) {
          const int64_t distance = reverse ? j[d] - i[d] : i[d] - j[d];
          if (distance > 0 || (distance == 0 && !exclusive)) sum += x.at(j);
        }
        y.at(i) = sum;
      });
      for (DataType type : {DataType::kFloat, DataType::kInt64}) {
        ExpectExact(device(),
                    OpCase("Cumsum").Data(ToTensor(x, type)).ConstInts({axis}).Attr("exclusive", exclusive).Attr("reverse", reverse),
                    y, type);
      }
    }
  }
}

TEST_P(DeviceConformance, ArgMaxAndArgMin) {
  for (int64_t axis : {0, 1, 2, -1}) {
    const Array x = RandomInts(random(), {3, 7, 4}, -3, 3);  // with ties: the first wins
    for (bool largest : {true, false}) {
      const Array y = Reduce(x, {axis}, false, [&](const std::vector<double>& v) {
        const auto at = largest ? std::max_element(v.begin(), v.end()) : std::min_element(v.begin(), v.end());
        return static_cast<double>(at - v.begin());
      });
      ExpectExact(device(), OpCase(largest ? "ArgMaxV2" : "ArgMin").Data(x).Const(Tensor::Scalar<int64_t>(axis)), y,
                  DataType::kInt64);
    }
  }
}

TEST_P(DeviceConformance, TopK) {
  for (int64_t axis : {0, 1, -1}) {
    for (bool largest : {true, false}) {
      const Array x = RandomInts(random(), {6, 5, 4}, -5, 5);
      const size_t d = static_cast<size_t>(axis < 0 ? axis + 3 : axis);
      const int64_t k = 3;
      Shape shape = x.shape;
      shape[d] = k;
      Array values(shape), indices(shape);
      Shape rows = x.shape;
      rows[d] = 1;
      ForEachIndex(rows, [&](Ints i) {
        std::vector<std::pair<double, int64_t>> row;
        for (i[d] = 0; i[d] < x.shape[d]; ++i[d]) row.push_back({largest ? -x.at(i) : x.at(i), i[d]});
        std::sort(row.begin(), row.end());
        for (i[d] = 0; i[d] < k; ++i[d]) {
          values.at(i) = largest ? -row[static_cast<size_t>(i[d])].first : row[static_cast<size_t>(i[d])].first;
          indices.at(i) = static_cast<double>(row[static_cast<size_t>(i[d])].second);
        }
      });
      const OpCase op = OpCase("TopK").Data(x).Const(Tensor::Scalar<int32_t>(3)).Attr("dim", axis).Attr("largest", largest);
      ExpectExact(device(), op, values, DataType::kFloat, 0);
      ExpectExact(device(), op, indices, DataType::kInt32, 1);
    }
  }
}

}  // namespace
}  // namespace omserve::conformance
