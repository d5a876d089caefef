// Convolutions, pools and resizing of images, and Einsum.
#include <algorithm>
#include <cmath>
#include <limits>

#include "core/device/conformance/harness.h"

namespace omserve::conformance {
namespace {

struct Geometry {
  Ints strides, pads, dilations;  // pads: a pair for each spatial dimension
};

Ints WithOnes(const Ints& spatial) {
  Ints list = {1, 1};
  list.insert(list.end(), spatial.begin(), spatial.end());
  return list;
}

// Any number of spatial dimensions; filter [out, in / groups, ...].
Array Convolve(const Array& x, const Array& filter, const Array* bias, const Geometry& g, int64_t groups) {
  const size_t spatial = x.shape.size() - 2;
  Shape shape = {x.shape[0], filter.shape[0]};
  for (size_t d = 0; d < spatial; ++d) {
    const int64_t reach = g.dilations[d] * (filter.shape[2 + d] - 1) + 1;
    shape.push_back((x.shape[2 + d] + g.pads[2 * d] + g.pads[2 * d + 1] - reach) / g.strides[d] + 1);
  }
  Array y(shape);
  const Shape taps(filter.shape.begin() + 1, filter.shape.end());
  ForEachIndex(shape, [&](const Ints& i) {
    double sum = bias != nullptr ? bias->values[static_cast<size_t>(i[1])] : 0.0;
    const int64_t group = i[1] / (filter.shape[0] / groups);
    ForEachIndex(taps, [&](const Ints& t) {
      Ints from = {i[0], group * filter.shape[1] + t[0]}, weight = {i[1], t[0]};
      for (size_t d = 0; d < spatial; ++d) {
        const int64_t at = i[2 + d] * g.strides[d] - g.pads[2 * d] + t[1 + d] * g.dilations[d];
        if (at < 0 || at >= x.shape[2 + d]) return;
        from.push_back(at);
        weight.push_back(t[1 + d]);
      }
      sum += x.at(from) * filter.at(weight);
    });
    y.at(i) = sum;
  });
  return y;
}

OpCase ConvCase(const std::string& type, const Geometry& g) {
  return OpCase(type).Attr("strides", WithOnes(g.strides)).Attr("pads", g.pads).Attr("dilations", WithOnes(g.dilations))
      .Attr("data_format", std::string(g.strides.size() == 3 ? "NCDHW" : "NCHW"));
}

TEST_P(DeviceConformance, Conv2D) {
  struct Case {
    Shape x, filter;
    Geometry geometry;
    int64_t groups = 1;
  };
  const std::vector<Case> cases = {
      {{1, 1, 5, 5}, {1, 1, 3, 3}, {{1, 1}, {0, 0, 0, 0}, {1, 1}}},
      {{2, 3, 8, 9}, {8, 3, 3, 3}, {{1, 1}, {1, 1, 1, 1}, {1, 1}}},
      {{1, 16, 7, 7}, {16, 16, 3, 3}, {{1, 1}, {1, 1, 1, 1}, {1, 1}}},
      {{1, 16, 8, 8}, {32, 16, 1, 1}, {{1, 1}, {0, 0, 0, 0}, {1, 1}}},
      {{1, 16, 8, 8}, {24, 16, 1, 1}, {{2, 2}, {0, 0, 0, 0}, {1, 1}}},
      {{1, 3, 16, 12}, {16, 3, 7, 7}, {{2, 2}, {3, 3, 3, 3}, {1, 1}}},
      {{1, 5, 9, 7}, {7, 5, 3, 2}, {{2, 1}, {0, 1, 2, 0}, {1, 1}}},
      {{1, 4, 10, 10}, {6, 4, 3, 3}, {{1, 1}, {2, 2, 2, 2}, {2, 2}}},
      {{1, 8, 6, 6}, {12, 4, 3, 3}, {{1, 1}, {1, 1, 1, 1}, {1, 1}}, 2},
      {{1, 16, 9, 9}, {16, 1, 3, 3}, {{1, 1}, {1, 1, 1, 1}, {1, 1}}, 16},
      {{2, 24, 9, 9}, {24, 1, 5, 5}, {{2, 2}, {2, 2, 2, 2}, {1, 1}}, 24},
      {{1, 6, 8, 8}, {6, 1, 3, 3}, {{2, 2}, {0, 1, 0, 1}, {1, 1}}, 6},
      {{0, 3, 8, 8}, {4, 3, 3, 3}, {{1, 1}, {1, 1, 1, 1}, {1, 1}}},
  };
  for (size_t c = 0; c < cases.size(); ++c) {
    for (bool constant : {true, false}) {
      SCOPED_TRACE(testing::Message() << "case " << c << (constant ? " constant" : " variable") << " weights");
      const Case& test = cases[c];
      const Array x = RandomInts(random(), test.x), filter = RandomInts(random(), test.filter);
      const Array bias = RandomInts(random(), {test.filter[0]});
      OpCase op = ConvCase("Conv2D", test.geometry).Attr("groups", test.groups).Data(x);
      constant ? op.Const(filter).Const(bias) : op.Data(filter).Data(bias);
      ExpectExact(device(), op, Convolve(x, filter, &bias, test.geometry, test.groups), DataType::kFloat);
    }
  }
}

TEST_P(DeviceConformance, DepthwiseAndConv3D) {
  const Geometry plane = {{1, 1}, {1, 1, 1, 1}, {1, 1}};
  const Array x = RandomInts(random(), {1, 6, 7, 8}), filter = RandomInts(random(), {1, 6, 3, 3});
  ExpectExact(device(), ConvCase("DepthwiseConv2D", plane).Data(x).Const(filter),
              Convolve(x, Array({6, 1, 3, 3}, filter.values), nullptr, plane, 6), DataType::kFloat);
  const Geometry cube = {{1, 2, 1}, {1, 1, 0, 1, 1, 0}, {1, 1, 1}};
  const Array volume = RandomInts(random(), {1, 2, 5, 6, 7}), weights = RandomInts(random(), {4, 2, 3, 3, 2});
  ExpectExact(device(), ConvCase("Conv3D", cube).Attr("groups", int64_t{1}).Data(volume).Const(weights),
              Convolve(volume, weights, nullptr, cube, 1), DataType::kFloat);
}

TEST_P(DeviceConformance, Conv2DTranspose) {
  struct Case {
    Shape x, filter;
    Geometry geometry;
    Ints extra;
    int64_t groups = 1;
  };
  const std::vector<Case> cases = {
      {{1, 3, 4, 5}, {3, 4, 3, 3}, {{1, 1}, {0, 0, 0, 0}, {1, 1}}, {0, 0}},
      {{2, 8, 4, 4}, {8, 16, 2, 2}, {{2, 2}, {0, 0, 0, 0}, {1, 1}}, {0, 0}},
      {{1, 4, 5, 3}, {4, 6, 3, 3}, {{2, 2}, {1, 1, 1, 1}, {1, 1}}, {1, 1}},
      {{1, 4, 4, 4}, {4, 3, 3, 3}, {{1, 1}, {2, 2, 2, 2}, {2, 2}}, {0, 0}},
      {{1, 4, 4, 4}, {4, 3, 3, 3}, {{2, 1}, {0, 1, 1, 0}, {1, 1}}, {0, 0}, 2},
  };
  for (size_t c = 0; c < cases.size(); ++c) {
    SCOPED_TRACE(testing::Message() << "case " << c);
    const Case& test = cases[c];
    const Geometry& g = test.geometry;
    const Array x = RandomInts(random(), test.x), filter = RandomInts(random(), test.filter);
    const int64_t out = test.filter[1] * test.groups;
    const Array bias = RandomInts(random(), {out});
    Shape shape = {test.x[0], out};
    for (size_t d = 0; d < 2; ++d) {
      shape.push_back(g.strides[d] * (test.x[2 + d] - 1) + g.dilations[d] * (test.filter[2 + d] - 1) + 1 - g.pads[2 * d] -
                      g.pads[2 * d + 1] + test.extra[d]);
    }
    Array y(shape);
    ForEachIndex(shape, [&](const Ints& i) { y.at(i) = bias.values[static_cast<size_t>(i[1])]; });
    // Every input element adds its filter to the output.
    ForEachIndex(test.x, [&](const Ints& i) {
      const int64_t group = i[1] / (test.x[1] / test.groups);
      ForEachIndex({test.filter[1], test.filter[2], test.filter[3]}, [&](const Ints& t) {
        const int64_t row = i[2] * g.strides[0] - g.pads[0] + t[1] * g.dilations[0];
        const int64_t column = i[3] * g.strides[1] - g.pads[2] + t[2] * g.dilations[1];
        if (row < 0 || row >= shape[2] || column < 0 || column >= shape[3]) return;
        y.at(Ints{i[0], group * test.filter[1] + t[0], row, column}) += x.at(i) * filter.at(Ints{i[1], t[0], t[1], t[2]});
      });
    });
    const OpCase op = ConvCase("Conv2DTransposeD", g).Attr("groups", test.groups)
                          .Attr("output_padding", Ints{0, 0, test.extra[0], test.extra[1]})
                          .Attr("input_size", Ints(shape)).Data(x).Const(filter).Const(bias);
    ExpectExact(device(), op, y, DataType::kFloat);
  }
}

TEST_P(DeviceConformance, Pools) {
  struct Case {
    Shape x;
    Ints kernel, strides, pads;
    bool ceil = false;
  };
  const std::vector<Case> cases = {
      {{1, 2, 6, 6}, {2, 2}, {2, 2}, {0, 0, 0, 0}}, {{2, 3, 7, 9}, {3, 3}, {2, 2}, {1, 1, 1, 1}},
      {{1, 1, 5, 40}, {3, 3}, {1, 1}, {1, 1, 1, 1}}, {{1, 2, 7, 7}, {2, 3}, {2, 3}, {0, 1, 1, 0}},
      {{1, 1, 7, 8}, {3, 2}, {2, 2}, {0, 0, 0, 0}, true}, {{0, 2, 4, 4}, {2, 2}, {2, 2}, {0, 0, 0, 0}}};
  for (size_t c = 0; c < cases.size(); ++c) {
    const Case& test = cases[c];
    const Array x = RandomInts(random(), test.x, -9, -1);  // negative: padding must not count in a maximum
    Shape shape = {test.x[0], test.x[1]};
    for (size_t d = 0; d < 2; ++d) {
      const int64_t room = test.x[2 + d] + test.pads[2 * d] + test.pads[2 * d + 1] - test.kernel[d];
      shape.push_back((test.ceil ? (room + test.strides[d] - 1) / test.strides[d] : room / test.strides[d]) + 1);
    }
    for (int mode = 0; mode < 3; ++mode) {
      SCOPED_TRACE(testing::Message() << "case " << c << " mode " << mode);
      Array y(shape);
      ForEachIndex(shape, [&](const Ints& i) {
        double most = -std::numeric_limits<double>::infinity(), sum = 0;
        int64_t inside = 0, padded = 0;
        ForEachIndex({test.kernel[0], test.kernel[1]}, [&](const Ints& t) {
          const int64_t row = i[2] * test.strides[0] - test.pads[0] + t[0];
          const int64_t column = i[3] * test.strides[1] - test.pads[2] + t[1];
          if (row < test.x[2] + test.pads[1] && column < test.x[3] + test.pads[3]) ++padded;
          if (row < 0 || row >= test.x[2] || column < 0 || column >= test.x[3]) return;
          ++inside;
          const double value = x.at(Ints{i[0], i[1], row, column});
          most = std::max(most, value);
          sum += value;
        });
        y.at(i) = mode == 0 ? most : sum / static_cast<double>(mode == 1 ? inside : padded);
      });
      OpCase op(mode == 0 ? "MaxPoolV3" : "AvgPoolV2");
      op.Data(x).Attr("ksize", WithOnes(test.kernel)).Attr("strides", WithOnes(test.strides)).Attr("pads", test.pads)
          .Attr("ceil_mode", test.ceil);
      if (mode > 0) op.Attr("exclusive", mode == 1);
      ExpectOutput(device(), op, y, DataType::kFloat, 1e-6);
    }
  }
  const Array x = RandomInts(random(), {2, 3, 4, 5});
  Array mean({2, 3, 1, 1}), quarters({2, 3, 2, 2});
  ForEachIndex(x.shape, [&](const Ints& i) { mean.at(Ints{i[0], i[1], 0, 0}) += x.at(i) / 20; });
  ExpectOutput(device(), OpCase("GlobalAveragePool").Data(x), mean);
  ExpectOutput(device(), OpCase("AdaptiveAvgPool2d").Data(x).Attr("output_size", Ints{1, 1}), mean);
  ForEachIndex(quarters.shape, [&](const Ints& i) {
    double sum = 0;
    for (int64_t row = 2 * i[2]; row < 2 * i[2] + 2; ++row) {
      for (int64_t column = 2 * i[3]; column < 2 * i[3] + 3; ++column) sum += x.at(Ints{i[0], i[1], row, column});
    }
    quarters.at(i) = sum / 6;
  });
  ExpectOutput(device(), OpCase("AdaptiveAvgPool2d").Data(x).Attr("output_size", Ints{2, 2}), quarters);
}

OpCase ResizeCase(const Array& x, const std::string& mode, const std::string& coordinates) {
  return OpCase("Resize").Data(x).Attr("mode", mode).Attr("coordinate_transformation_mode", coordinates);
}

// Expected values from the examples of the ONNX specification.
TEST_P(DeviceConformance, Resize) {
  const Array x({1, 1, 2, 2}, {1, 2, 3, 4});
  const auto scales = [](double s) { return ToTensor(Array({4}, {1, 1, s, s}), DataType::kFloat); };
  ExpectOutput(device(), ResizeCase(x, "nearest", "half_pixel").Absent().Const(ToTensor(Array({4}, {1, 1, 2, 3}), DataType::kFloat)),
               Array({1, 1, 4, 6}, {1, 1, 1, 2, 2, 2, 1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4, 3, 3, 3, 4, 4, 4}));
  ExpectOutput(device(), ResizeCase(x, "linear", "half_pixel").Absent().Const(scales(2)),
               Array({1, 1, 4, 4}, {1, 1.25, 1.75, 2, 1.5, 1.75, 2.25, 2.5, 2.5, 2.75, 3.25, 3.5, 3, 3.25, 3.75, 4}));
  ExpectOutput(device(), ResizeCase(x, "linear", "align_corners").Absent().Const(scales(2)),
               Array({1, 1, 4, 4}, {1, 4.0 / 3, 5.0 / 3, 2, 5.0 / 3, 2, 7.0 / 3, 8.0 / 3, 7.0 / 3, 8.0 / 3, 3, 10.0 / 3, 3,
                                    10.0 / 3, 11.0 / 3, 4}));
  Array grid({1, 1, 4, 4});
  for (size_t i = 0; i < 16; ++i) grid.values[i] = static_cast<double>(i + 1);
  ExpectOutput(device(), ResizeCase(grid, "linear", "half_pixel").Absent().Absent().ConstInts({1, 1, 2, 2}),
               Array({1, 1, 2, 2}, {3.5, 5.5, 11.5, 13.5}));
  ExpectOutput(device(), ResizeCase(grid, "cubic", "half_pixel").Absent().Const(scales(0.8)),
               Array({1, 1, 3, 3}, {1.47119141, 2.78125, 4.08251953, 6.71142578, 8.02148438, 9.32275391, 11.91650391, 13.2265625,
                                    14.52783203}),
               DataType::kFloat, 1e-5);
  ExpectOutput(device(), ResizeCase(grid, "cubic", "half_pixel").Attr("cubic_coeff_a", -0.5f).Attr("exclude_outside", int64_t{1})
                             .Absent().Const(scales(0.8)),
               Array({1, 1, 3, 3}, {1.36812675, 2.6695014, 4.0133367, 6.57362535, 7.875, 9.2188353, 11.94896657, 13.25034122,
                                    14.59417652}),
               DataType::kFloat, 1e-5);
  const Array integers = RandomInts(random(), {1, 2, 3, 3});
  Array y({1, 2, 6, 6});
  ForEachIndex(y.shape, [&](const Ints& i) { y.at(i) = integers.at(Ints{i[0], i[1], i[2] / 2, i[3] / 2}); });
  ExpectExact(device(),
              OpCase("Resize").Data(ToTensor(integers, DataType::kInt64)).Absent().Const(scales(2))
                  .Attr("mode", std::string("nearest")).Attr("coordinate_transformation_mode", std::string("asymmetric"))
                  .Attr("nearest_mode", std::string("floor")),
              y, DataType::kInt64);
}

TEST_P(DeviceConformance, Einsum) {
  const std::vector<std::pair<std::string, std::vector<Shape>>> cases = {
      {"ij,jk->ik", {{3, 4}, {4, 5}}},       {"bhid,bhjd->bhij", {{2, 3, 4, 5}, {2, 3, 6, 5}}},
      {"bihd,bjhd->bhij", {{2, 4, 3, 5}, {2, 6, 3, 5}}}, {"i,j->ij", {{3}, {4}}},
      {"ij->ji", {{3, 4}}},                  {"ij->i", {{3, 4}}},
      {"ij,ij->", {{3, 4}, {3, 4}}},         {"ijk,k->ij", {{2, 3, 4}, {4}}},
      {"ab,bc,cd->ad", {{2, 3}, {3, 4}, {4, 2}}}, {"ij,jk", {{3, 0}, {0, 5}}},
      {"ij,k->k", {{3, 4}, {2}}}};
  for (const auto& [equation, shapes] : cases) {
    SCOPED_TRACE(equation);
    const size_t arrow = equation.find("->");
    std::string output = arrow == std::string::npos ? "ik" : equation.substr(arrow + 2);
    const std::string left = equation.substr(0, arrow);
    std::vector<std::string> operands(1);
    for (char c : left) {
      if (c == ',') operands.emplace_back();
      else operands.back() += c;
    }
    std::vector<Array> arrays;
    OpCase op("Einsum");
    std::string labels = output;
    for (size_t o = 0; o < operands.size(); ++o) {
      arrays.push_back(RandomInts(random(), shapes[o]));
      op.Data(arrays.back());
      for (char label : operands[o]) {
        if (labels.find(label) == std::string::npos) labels += label;
      }
    }
    Shape all(labels.size()), shape;
    for (size_t o = 0; o < operands.size(); ++o) {
      for (size_t d = 0; d < operands[o].size(); ++d) all[labels.find(operands[o][d])] = shapes[o][d];
    }
    shape.assign(all.begin(), all.begin() + static_cast<int64_t>(output.size()));
    Array y(shape);
    ForEachIndex(all, [&](const Ints& i) {
      double product = 1;
      for (size_t o = 0; o < operands.size(); ++o) {
        Ints at;
        for (char label : operands[o]) at.push_back(i[labels.find(label)]);
        product *= arrays[o].at(at);
      }
      y.at(absl::MakeConstSpan(i).first(output.size())) += product;
    });
    ExpectExact(device(), op.Attr("equation", equation).Attr("N", static_cast<int64_t>(operands.size())), y, DataType::kFloat);
  }
}

}  // namespace
}  // namespace omserve::conformance
