// Operators that move elements: layout, slices, joining, padding, indexing, making tensors.
#include <algorithm>
#include <numeric>

#include "core/device/conformance/harness.h"

namespace omserve::conformance {
namespace {

const std::vector<DataType> kSizes = {DataType::kFloat, DataType::kInt64, DataType::kBool, DataType::kInt16};

// An array built from the source index of each element.
Array From(const Array& x, const Shape& shape, const std::function<Ints(const Ints&)>& source) {
  Array y(shape);
  ForEachIndex(shape, [&](const Ints& i) { y.at(i) = x.at(source(i)); });
  return y;
}

TEST_P(DeviceConformance, Transpose) {
  const std::vector<std::pair<Shape, Ints>> cases = {
      {{3, 5}, {1, 0}}, {{2, 3, 4}, {2, 0, 1}}, {{2, 3, 4}, {0, 2, 1}}, {{2, 3, 4, 5}, {0, 2, 1, 3}},
      {{2, 3, 4, 5}, {3, 2, 1, 0}}, {{1, 3, 1, 4}, {2, 1, 0, 3}}, {{33, 70}, {1, 0}}, {{4, 40, 33}, {0, 2, 1}},
      {{2, 0, 3}, {2, 1, 0}}, {{2, 2, 2, 2, 2, 2}, {5, 3, 1, 0, 2, 4}}, {{}, {}}};
  for (const auto& [shape, perm] : cases) {
    for (DataType type : kSizes) {
      SCOPED_TRACE(testing::Message() << ToString(shape) << " " << ToString(perm) << " " << Name(type));
      const Array x = RandomFor(random(), shape, type);
      Shape output;
      for (int64_t axis : perm) output.push_back(shape[static_cast<size_t>(axis)]);
      const Array y = From(x, output, [&](const Ints& i) {
        Ints source(i.size());
        for (size_t d = 0; d < perm.size(); ++d) source[static_cast<size_t>(perm[d])] = i[d];
        return source;
      });
      ExpectExact(device(), OpCase("Transpose").Data(ToTensor(x, type)).ConstInts(perm), y, type);
    }
  }
}

TEST_P(DeviceConformance, Reshapes) {
  const Array x = RandomArray(random(), {2, 3, 4});
  const auto expect = [&](OpCase op, Shape shape) { ExpectExact(device(), op, Array(std::move(shape), x.values), DataType::kFloat); };
  expect(OpCase("Reshape").Data(x).ConstInts({6, -1}), {6, 4});
  expect(OpCase("Reshape").Data(x).ConstInts({0, 12}), {2, 12});
  expect(OpCase("Unsqueeze").Data(x).Attr("axes", Ints{0, 2}), {1, 2, 1, 3, 4});
  expect(OpCase("FlattenV2").Data(x).Attr("axis", int64_t{1}).Attr("end_axis", int64_t{-1}), {2, 12});
  expect(OpCase("Identity").Data(x), {2, 3, 4});
  const Array y({1, 3, 1}, {1, 2, 3});
  ExpectExact(device(), OpCase("Squeeze").Data(y).Attr("axis", Ints{0}), Array({3, 1}, {1, 2, 3}), DataType::kFloat);
  ExpectExact(device(), OpCase("Reshape").Data(Array({0, 4})).ConstInts({0, 2, 2}), Array({0, 2, 2}), DataType::kFloat);
}

TEST_P(DeviceConformance, BroadcastAndTile) {
  const std::vector<std::pair<Shape, Shape>> cases = {{{}, {3}}, {{3, 1}, {3, 4}}, {{4}, {3, 4}}, {{1, 5}, {2, 3, 5}},
                                                      {{3, 1, 2}, {3, 4, 2}}, {{1}, {0, 3}}, {{2, 3}, {2, 3}}};
  for (const auto& [from, to] : cases) {
    SCOPED_TRACE(testing::Message() << ToString(from) << " " << ToString(to));
    const Array x = RandomArray(random(), from);
    Array y(to);
    ForEachIndex(to, [&](const Ints& i) { y.at(i) = x.BroadcastAt(i); });
    ExpectExact(device(), OpCase("BroadcastTo").Data(x).ConstInts(to), y, DataType::kFloat);
    ExpectExact(device(), OpCase("Expand").Data(x).ConstInts(to), y, DataType::kFloat);
  }
  const std::vector<std::pair<Shape, Ints>> tiles = {{{3}, {2}}, {{2, 3}, {2, 2}}, {{2, 3}, {1, 4}}, {{2, 1, 3}, {3, 2, 1}}, {{2, 3}, {0, 1}}};
  for (const auto& [shape, repeats] : tiles) {
    const Array x = RandomArray(random(), shape);
    Shape output = shape;
    for (size_t d = 0; d < output.size(); ++d) output[d] *= repeats[d];
    const Array y = From(x, output, [&](Ints i) {
      for (size_t d = 0; d < i.size(); ++d) i[d] %= shape[d];
      return i;
    });
    ExpectExact(device(), OpCase("Tile").Data(x).ConstInts(repeats), y, DataType::kFloat);
  }
}

TEST_P(DeviceConformance, Slice) {
  const Array x = RandomArray(random(), {4, 5, 6});
  for (const auto& [begin, size] : std::vector<std::pair<Ints, Shape>>{
           {{0, 0, 0}, {4, 5, 6}}, {{1, 0, 0}, {2, 5, 6}}, {{0, 2, 3}, {4, 1, 3}}, {{3, 4, 5}, {1, 1, 1}}, {{1, 1, 1}, {0, 2, 3}}}) {
    const Array y = From(x, size, [&](Ints i) {
      for (size_t d = 0; d < i.size(); ++d) i[d] += begin[d];
      return i;
    });
    ExpectExact(device(), OpCase("Slice").Data(x).ConstInts(begin).ConstInts(size), y, DataType::kFloat);
  }
}

TEST_P(DeviceConformance, StridedSlice) {
  struct Case {
    Ints begin, end, axes, strides;
  };
  const int64_t far = std::numeric_limits<int64_t>::max(), low = std::numeric_limits<int64_t>::min();
  const std::vector<Case> cases = {{{1}, {3}, {0}, {1}},        {{0, 1}, {far, -1}, {0, 2}, {1, 2}}, {{-1}, {low}, {1}, {-1}},
                                   {{-2}, {far}, {2}, {1}},     {{4}, {0}, {1}, {-2}},              {{9}, {20}, {0}, {1}},
                                   {{0}, {far}, {-1}, {3}},     {{5}, {low + 1}, {2}, {-3}},        {{1, 1, 1}, {2, 2, 2}, {0, 1, 2}, {1, 1, 1}}};
  const Array x = RandomArray(random(), {4, 5, 6});
  for (const Case& c : cases) {
    SCOPED_TRACE(testing::Message() << ToString(c.begin) << " " << ToString(c.end) << " " << ToString(c.strides));
    std::vector<Ints> picked(3);
    for (size_t d = 0; d < 3; ++d) {
      picked[d].resize(static_cast<size_t>(x.shape[d]));
      std::iota(picked[d].begin(), picked[d].end(), 0);
    }
    for (size_t k = 0; k < c.axes.size(); ++k) {
      const size_t d = static_cast<size_t>(c.axes[k] < 0 ? c.axes[k] + 3 : c.axes[k]);
      const int64_t n = x.shape[d], step = c.strides[k];
      int64_t begin = c.begin[k] < 0 ? c.begin[k] + n : c.begin[k];
      int64_t end = c.end[k] < 0 ? std::max(c.end[k], low / 2) + n : c.end[k];
      begin = step > 0 ? std::clamp<int64_t>(begin, 0, n) : std::clamp<int64_t>(begin, 0, n - 1);
      end = step > 0 ? std::clamp<int64_t>(end, 0, n) : std::clamp<int64_t>(end, -1, n - 1);
      picked[d].clear();
      for (int64_t i = begin; step > 0 ? i < end : i > end; i += step) picked[d].push_back(i);
    }
    const Shape shape = {static_cast<int64_t>(picked[0].size()), static_cast<int64_t>(picked[1].size()),
                         static_cast<int64_t>(picked[2].size())};
    const Array y = From(x, shape, [&](Ints i) {
      for (size_t d = 0; d < 3; ++d) i[d] = picked[d][static_cast<size_t>(i[d])];
      return i;
    });
    ExpectExact(device(),
                OpCase("StridedSliceV2").Data(x).ConstInts(c.begin).ConstInts(c.end).ConstInts(c.axes).ConstInts(c.strides),
                y, DataType::kFloat);
  }
}

TEST_P(DeviceConformance, ConcatAndSplit) {
  // A zero-length cache is joined like any other.
  const std::vector<std::pair<std::vector<Shape>, int64_t>> cases = {
      {{{2, 3}, {2, 3}}, 0}, {{{2, 3}, {2, 1}, {2, 4}}, 1}, {{{2, 0, 3}, {2, 1, 3}}, 1}, {{{2, 3}, {0, 3}}, 0},
      {{{2, 2, 3}, {2, 2, 5}}, -1}, {{{4}}, 0}, {{{0}, {0}}, 0}};
  for (const auto& [shapes, axis] : cases) {
    for (DataType type : kSizes) {
      const size_t d = static_cast<size_t>(axis < 0 ? axis + static_cast<int64_t>(shapes[0].size()) : axis);
      std::vector<Array> parts;
      Shape shape = shapes[0];
      shape[d] = 0;
      Ints sizes;
      for (const Shape& s : shapes) {
        parts.push_back(RandomFor(random(), s, type));
        shape[d] += s[d];
        sizes.push_back(s[d]);
      }
      Array y(shape);
      int64_t begin = 0;
      for (const Array& part : parts) {
        ForEachIndex(part.shape, [&](const Ints& i) {
          Ints to = i;
          to[d] += begin;
          y.at(to) = part.at(i);
        });
        begin += part.shape[d];
      }
      OpCase join("ConcatV2");
      for (const Array& part : parts) join.Data(ToTensor(part, type));
      join.Const(Tensor::Scalar<int32_t>(static_cast<int32_t>(axis))).Attr("N", static_cast<int64_t>(parts.size()));
      ExpectExact(device(), join, y, type);
      const OpCase split = OpCase("SplitV").Data(ToTensor(y, type)).ConstInts(sizes).Const(Tensor::Scalar<int64_t>(axis))
                               .Attr("num_split", static_cast<int64_t>(parts.size()));
      for (size_t i = 0; i < parts.size(); ++i) ExpectExact(device(), split, parts[i], type, static_cast<int>(i));
    }
  }
}

TEST_P(DeviceConformance, PackAndUnpack) {
  for (int64_t axis : {0, 1, 2}) {
    const Array a = RandomArray(random(), {2, 3}), b = RandomArray(random(), {2, 3});
    Shape shape = {2, 3};
    shape.insert(shape.begin() + axis, 2);
    Array y(shape);
    ForEachIndex(shape, [&](const Ints& i) {
      Ints from = i;
      from.erase(from.begin() + axis);
      y.at(i) = i[static_cast<size_t>(axis)] == 0 ? a.at(from) : b.at(from);
    });
    ExpectExact(device(), OpCase("Pack").Data(a).Data(b).Attr("axis", axis).Attr("N", int64_t{2}), y, DataType::kFloat);
    const OpCase unpack = OpCase("Unpack").Data(y).Attr("axis", axis).Attr("num", int64_t{2});
    ExpectExact(device(), unpack, a, DataType::kFloat, 0);
    ExpectExact(device(), unpack, b, DataType::kFloat, 1);
  }
}

TEST_P(DeviceConformance, Pad) {
  const Array x = RandomArray(random(), {3, 4});
  for (const char* mode : {"constant", "reflect", "edge"}) {
    const Ints before = {1, 2}, after = {2, 0};
    const Shape shape = {6, 6};
    Array y(shape);
    ForEachIndex(shape, [&](const Ints& i) {
      Ints from(2);
      bool outside = false;
      for (size_t d = 0; d < 2; ++d) {
        int64_t at = i[d] - before[d];
        const int64_t n = x.shape[d];
        outside = outside || at < 0 || at >= n;
        if (std::string(mode) == "edge") at = std::clamp<int64_t>(at, 0, n - 1);
        else at = at < 0 ? -at : at >= n ? 2 * (n - 1) - at : at;
        from[d] = at;
      }
      y.at(i) = outside && std::string(mode) == "constant" ? 7.5 : x.at(from);
    });
    ExpectExact(device(),
                OpCase("PadV3").Data(x).ConstInts({before[0], before[1], after[0], after[1]}).Const(Array({}, {7.5}))
                    .Attr("mode", std::string(mode)).Attr("paddings_contiguous", false),
                y, DataType::kFloat);
  }
  ExpectExact(device(), OpCase("Pad").Data(Array({0})).Const(Tensor::Of<int64_t>({1, 2}, {1, 1})), Array({2}, {0, 0}),
              DataType::kFloat);
}

TEST_P(DeviceConformance, Gather) {
  const std::vector<std::pair<Shape, Shape>> cases = {{{7}, {3}}, {{7, 4}, {2, 3}}, {{7, 4}, {}}, {{5, 6, 7}, {2}}, {{5, 0}, {3}}};
  for (const auto& [shape, index_shape] : cases) {
    for (int64_t axis = 0; axis < static_cast<int64_t>(shape.size()); ++axis) {
      const int64_t n = shape[static_cast<size_t>(axis)];
      if (n == 0) continue;
      for (bool constant : {false, true}) {
        const Array x = RandomArray(random(), shape);
        const Array indices = RandomInts(random(), index_shape, -static_cast<int>(n), static_cast<int>(n) - 1);
        Shape output(shape.begin(), shape.begin() + axis);
        output.insert(output.end(), index_shape.begin(), index_shape.end());
        output.insert(output.end(), shape.begin() + axis + 1, shape.end());
        const Array y = From(x, output, [&](const Ints& i) {
          Ints from(i.begin(), i.begin() + axis);
          const Ints at(i.begin() + axis, i.begin() + axis + static_cast<int64_t>(index_shape.size()));
          const double index = indices.at(at);
          from.push_back(static_cast<int64_t>(index) + (index < 0 ? n : 0));
          from.insert(from.end(), i.begin() + axis + static_cast<int64_t>(index_shape.size()), i.end());
          return from;
        });
        for (DataType type : {DataType::kInt32, DataType::kInt64}) {
          OpCase op("GatherV2");
          op.Data(x);
          constant ? op.Const(ToTensor(indices, type)) : op.Data(ToTensor(indices, type));
          op.Const(Tensor::Scalar<int64_t>(axis)).Attr("negative_index_support", true);
          ExpectExact(device(), op, y, DataType::kFloat);
        }
      }
    }
  }
  const Array table = RandomArray(random(), {4, 3});
  ExpectError(OpCase("GatherV2").Data(table).Data(Tensor::Of<int64_t>({2}, {0, 4})).Const(Tensor::Scalar<int64_t>(0))
                  .Run(device()).status(),
              absl::StatusCode::kInvalidArgument, "index 4 is outside [-4, 4)");

  // Rows 2 to 5 of 7: indices count all of them, and rows that are elsewhere are zeros.
  auto part = [&](const std::vector<int64_t>& indices, bool constant) {
    OpCase op("GatherV2");
    op.Data(table);
    const Tensor tensor = Tensor::Of<int64_t>({static_cast<int64_t>(indices.size())}, indices);
    constant ? op.Const(tensor) : op.Data(tensor);
    op.Const(Tensor::Scalar<int64_t>(0)).Attr("all_rows", int64_t{7}).Attr("first_row", int64_t{2});
    return op;
  };
  const auto row_of = [&](int64_t row, int64_t column) { return row < 0 ? 0.0 : table.at({row, column}); };
  for (const auto& [indices, rows] : std::vector<std::pair<Ints, Ints>>{{{2, 5, 1, 6, -2, -1, -7}, {0, 3, -1, -1, 3, -1, -1}},
                                                                        {{-4}, {1}},
                                                                        {{0}, {-1}}}) {
    Array expected({static_cast<int64_t>(rows.size()), 3});
    for (size_t i = 0; i < rows.size(); ++i) {
      for (int64_t j = 0; j < 3; ++j) expected.at({static_cast<int64_t>(i), j}) = row_of(rows[i], j);
    }
    for (bool constant : {false, true}) ExpectExact(device(), part(indices, constant), expected, DataType::kFloat);
  }
  ExpectError(part({3, 7}, false).Run(device()).status(), absl::StatusCode::kInvalidArgument, "index 7 is outside [-7, 7)");
  ExpectError(part({-8, 0}, false).Run(device()).status(), absl::StatusCode::kInvalidArgument, "index -8 is outside [-7, 7)");
}

TEST_P(DeviceConformance, GatherElementsAndScatterElements) {
  const Array x = RandomInts(random(), {4, 5}), updates = RandomInts(random(), {4, 3});
  // Distinct positions in each row.
  Array indices({4, 3});
  ForEachIndex(indices.shape, [&](const Ints& i) { indices.at(i) = static_cast<double>((i[0] + 2 * i[1]) % 5); });
  Array gathered({4, 3}), scattered = x, added = x;
  ForEachIndex(indices.shape, [&](const Ints& i) {
    const Ints at = {i[0], static_cast<int64_t>(indices.at(i))};
    gathered.at(i) = x.at(at);
    scattered.at(at) = updates.at(i);
    added.at(at) += updates.at(i);
  });
  const Tensor index = ToTensor(indices, DataType::kInt64);
  ExpectExact(device(), OpCase("GatherElements").Data(x).Data(index).Attr("dim", int64_t{1}), gathered, DataType::kFloat);
  ExpectExact(device(), OpCase("ScatterElements").Data(x).Data(index).Data(updates).Attr("axis", int64_t{1}), scattered,
              DataType::kFloat);
  ExpectExact(device(),
              OpCase("ScatterElements").Data(x).Data(index).Data(updates).Attr("axis", int64_t{1}).Attr("reduction", std::string("add")),
              added, DataType::kFloat);
}

TEST_P(DeviceConformance, GatherNdAndTensorScatterUpdate) {
  const Array x = RandomInts(random(), {3, 4, 5});
  const Array indices({2, 2}, {0, 1, -1, 3});
  Array gathered({2, 5}), updated = x;
  const Array updates = RandomInts(random(), {2, 5});
  for (int64_t row = 0; row < 2; ++row) {
    for (int64_t i = 0; i < 5; ++i) {
      const Ints at = row == 0 ? Ints{0, 1, i} : Ints{2, 3, i};
      gathered.at(Ints{row, i}) = x.at(at);
      updated.at(at) = updates.at(Ints{row, i});
    }
  }
  const Tensor index = ToTensor(indices, DataType::kInt64);
  ExpectExact(device(), OpCase("GatherNd").Data(x).Data(index), gathered, DataType::kFloat);
  ExpectExact(device(), OpCase("TensorScatterUpdate").Data(x).Data(index).Data(updates), updated, DataType::kFloat);
  ExpectError(OpCase("GatherNd").Data(x).Data(Tensor::Of<int64_t>({1, 1}, {3})).Run(device()).status(),
              absl::StatusCode::kInvalidArgument, "index 3 is outside");
}

TEST_P(DeviceConformance, ShapesAndFills) {
  const Array x = RandomArray(random(), {2, 0, 5});
  ExpectExact(device(), OpCase("Shape").Data(x).Attr("dtype", int64_t{ToAclNumber(DataType::kInt64)}), Array({3}, {2, 0, 5}),
              DataType::kInt64);
  ExpectExact(device(), OpCase("Size").Data(x).Attr("dtype", int64_t{ToAclNumber(DataType::kInt32)}), Array({}, {0}),
              DataType::kInt32);
  ExpectExact(device(), OpCase("Fill").ConstInts({2, 3}).Data(ToTensor(Array({}, {4}), DataType::kInt64)),
              Array({2, 3}, {4, 4, 4, 4, 4, 4}), DataType::kInt64);
  ExpectExact(device(), OpCase("ZerosLike").Data(Array({2}, {3, 4})), Array({2}, {0, 0}), DataType::kFloat);
  ExpectExact(device(),
              OpCase("Range").Const(Tensor::Scalar<int64_t>(2)).Const(Tensor::Scalar<int64_t>(9)).Const(Tensor::Scalar<int64_t>(3)),
              Array({3}, {2, 5, 8}), DataType::kInt64);
}

TEST_P(DeviceConformance, OneHot) {
  const Array x({2, 2}, {0, 2, 3, 1});
  Array y({2, 2, 3});
  ForEachIndex(y.shape, [&](const Ints& i) { y.at(i) = x.at(Ints{i[0], i[1]}) == static_cast<double>(i[2]) ? 5 : -1; });
  ExpectExact(device(),
              OpCase("OneHot").Data(ToTensor(x, DataType::kInt32)).Const(Tensor::Scalar<int32_t>(3)).Data(Array({}, {5}))
                  .Data(Array({}, {-1})).Attr("axis", int64_t{-1}),
              y, DataType::kFloat);
}

TEST_P(DeviceConformance, Triangles) {
  const Array x = RandomInts(random(), {2, 4, 5}, 1, 9);
  for (int64_t diagonal : {-2, 0, 1, 9}) {
    for (bool upper : {false, true}) {
      Array y = x;
      ForEachIndex(y.shape, [&](const Ints& i) {
        const bool keep = upper ? i[2] >= i[1] + diagonal : i[2] <= i[1] + diagonal;
        if (!keep) y.at(i) = 0;
      });
      ExpectExact(device(), OpCase(upper ? "Triu" : "Tril").Data(x).Attr("diagonal", diagonal), y, DataType::kFloat);
    }
  }
}

TEST_P(DeviceConformance, DepthToSpaceAndBack) {
  const Array x = RandomArray(random(), {2, 8, 3, 5});
  for (const char* mode : {"DCR", "CRD"}) {
    const bool crd = std::string(mode) == "CRD";
    const Array y = From(x, {2, 2, 6, 10}, [&](const Ints& i) {
      const int64_t block = i[2] % 2 * 2 + i[3] % 2;
      return Ints{i[0], crd ? i[1] * 4 + block : block * 2 + i[1], i[2] / 2, i[3] / 2};
    });
    ExpectExact(device(),
                OpCase("DepthToSpace").Data(x).Attr("block_size", int64_t{2}).Attr("mode", std::string(mode))
                    .Attr("data_format", std::string("NCHW")),
                y, DataType::kFloat);
    if (!crd) {
      ExpectExact(device(), OpCase("SpaceToDepth").Data(y).Attr("block_size", int64_t{2}).Attr("data_format", std::string("NCHW")),
                  x, DataType::kFloat);
    }
  }
}

}  // namespace
}  // namespace omserve::conformance
