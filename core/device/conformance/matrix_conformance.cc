// Matrix products.
#include "core/device/conformance/harness.h"

namespace omserve::conformance {
namespace {

// y[..., m, n] = a[..., m, k] b[..., k, n] + bias, batch dimensions broadcast.
Array MatMul(const Array& a, bool transpose_a, const Array& b, bool transpose_b, const Array* bias) {
  const auto part = [](const Shape& s, size_t from_end) { return s[s.size() - from_end]; };
  const int64_t m = part(a.shape, transpose_a ? 1 : 2), k = part(a.shape, transpose_a ? 2 : 1);
  const int64_t n = part(b.shape, transpose_b ? 2 : 1);
  Shape shape = *BroadcastShapes(absl::MakeConstSpan(a.shape).first(a.shape.size() - 2),
                                 absl::MakeConstSpan(b.shape).first(b.shape.size() - 2));
  shape.push_back(m);
  shape.push_back(n);
  Array y(shape);
  ForEachIndex(shape, [&](const Ints& index) {
    const auto element = [&](const Array& x, int64_t row, int64_t column) {
      Ints at(x.shape.size());
      const size_t lead = index.size() - x.shape.size();
      for (size_t d = 0; d + 2 < x.shape.size(); ++d) at[d] = x.shape[d] == 1 ? 0 : index[lead + d];
      at[at.size() - 2] = row;
      at[at.size() - 1] = column;
      return x.at(at);
    };
    const int64_t row = index[index.size() - 2], column = index.back();
    double sum = bias != nullptr ? bias->values[static_cast<size_t>(column)] : 0.0;
    for (int64_t i = 0; i < k; ++i) {
      sum += (transpose_a ? element(a, i, row) : element(a, row, i)) *
             (transpose_b ? element(b, column, i) : element(b, i, column));
    }
    y.at(index) = sum;
  });
  return y;
}

Shape WithMatrix(Shape batch, int64_t rows, int64_t columns, bool transposed) {
  batch.push_back(transposed ? columns : rows);
  batch.push_back(transposed ? rows : columns);
  return batch;
}

TEST_P(DeviceConformance, MatMul) {
  struct Size {
    int64_t m, k, n;
  };
  // One row (decoding) to many, sizes around register and cache blocks, empty ones.
  const std::vector<Size> sizes = {{1, 1, 1},   {1, 64, 48},  {1, 300, 257}, {2, 17, 33}, {4, 64, 64},  {6, 40, 100},
                                   {7, 129, 65}, {16, 96, 80}, {17, 31, 16},  {33, 64, 192}, {64, 128, 96}, {3, 0, 5},
                                   {0, 4, 5},   {3, 4, 0}};
  for (const Size& size : sizes) {
    for (int variant = 0; variant < 16; ++variant) {
      const bool ta = variant & 1, tb = variant & 2, constant = variant & 4, with_bias = variant & 8;
      SCOPED_TRACE(testing::Message() << size.m << "x" << size.k << "x" << size.n << " variant " << variant);
      // Whole numbers, so that any order of summation is exact.
      const Array a = RandomInts(random(), WithMatrix({}, size.m, size.k, ta));
      const Array b = RandomInts(random(), WithMatrix({}, size.k, size.n, tb));
      const Array bias = RandomInts(random(), {size.n});
      OpCase op("MatMulV2");
      op.Attr("transpose_x1", ta).Attr("transpose_x2", tb).Data(a);
      constant ? op.Const(b) : op.Data(b);
      if (with_bias) constant ? op.Const(bias) : op.Data(bias);
      ExpectExact(device(), op, MatMul(a, ta, b, tb, with_bias ? &bias : nullptr), DataType::kFloat);
    }
  }
}

TEST_P(DeviceConformance, MatMulOfRealNumbers) {
  const Array a = RandomArray(random(), {19, 133}), b = RandomArray(random(), {133, 45});
  ExpectOutput(device(), OpCase("MatMulV2").Data(a).Const(b), MatMul(a, false, b, false, nullptr), DataType::kFloat, 1e-5);
  ExpectOutput(device(), OpCase("MatMulV2").Data(a).Data(b), MatMul(a, false, b, false, nullptr), DataType::kFloat, 1e-5);
}

TEST_P(DeviceConformance, BatchMatMulBroadcasts) {
  const std::vector<std::pair<Shape, Shape>> batches = {{{2}, {2}},       {{2, 3}, {2, 3}}, {{2, 3}, {}},  {{}, {2, 3}},
                                                        {{2, 3}, {3}},    {{2, 1}, {1, 3}}, {{1}, {4}},    {{2, 1, 2}, {3, 1}},
                                                        {{0}, {1}},       {{1, 1}, {1, 1}}, {{2, 3}, {1, 1}}};
  for (const auto& [left, right] : batches) {
    for (int variant = 0; variant < 8; ++variant) {
      const bool ta = variant & 1, tb = variant & 2, constant = variant & 4;
      SCOPED_TRACE(testing::Message() << ToString(left) << " " << ToString(right) << " variant " << variant);
      const Array a = RandomInts(random(), WithMatrix(left, 5, 7, ta));
      const Array b = RandomInts(random(), WithMatrix(right, 7, 6, tb));
      OpCase op("BatchMatMulV2");
      op.Attr("adj_x1", ta).Attr("adj_x2", tb).Data(a);
      constant ? op.Const(b) : op.Data(b);
      ExpectExact(device(), op, MatMul(a, ta, b, tb, nullptr), DataType::kFloat);
    }
  }
}

TEST_P(DeviceConformance, BatchMatMulLikeAttention) {
  // Twelve heads, a cache of any length including none.
  for (int64_t keys : {0, 1, 5, 64}) {
    const Array q = RandomInts(random(), {1, 12, 1, 16}), k = RandomInts(random(), {1, 12, keys, 16});
    ExpectExact(device(), OpCase("BatchMatMulV2").Attr("adj_x2", true).Data(q).Data(k), MatMul(q, false, k, true, nullptr),
                DataType::kFloat);
    const Array p = RandomInts(random(), {1, 12, 1, keys}), v = RandomInts(random(), {1, 12, keys, 16});
    ExpectExact(device(), OpCase("BatchMatMulV2").Data(p).Data(v), MatMul(p, false, v, false, nullptr), DataType::kFloat);
  }
}

TEST_P(DeviceConformance, MatMulOfOtherTypes) {
  const Array a = RandomInts(random(), {3, 4, 5}), b = RandomInts(random(), {5, 6});
  for (DataType type : {DataType::kInt32, DataType::kInt64, DataType::kDouble}) {
    ExpectExact(device(), OpCase("BatchMatMulV2").Data(ToTensor(a, type)).Data(ToTensor(b, type)),
                MatMul(a, false, b, false, nullptr), type);
  }
}

}  // namespace
}  // namespace omserve::conformance
