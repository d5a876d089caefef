#include "core/passes/testing/graph_builder.h"
#include "gtest/gtest.h"

namespace omserve {
namespace {

AttrMap ConvAttrs() {
  return {{"strides", std::vector<int64_t>{1, 1, 1, 1}},
          {"pads", std::vector<int64_t>{0, 0, 0, 0}},
          {"data_format", std::string("NCHW")}};
}

AttrMap BatchNormAttrs() {
  return {{"epsilon", 1e-3f}, {"data_format", std::string("NCHW")}, {"is_training", false}};
}

std::vector<ValueId> Statistics(GraphBuilder& b, ValueId x) {
  return {x, b.Weights({2}), b.Weights({2}), b.Weights({2}), b.Floats({2}, {0.5, 2})};
}

TEST(ConvolutionRulesTest, BatchNormGoesIntoTheConvolution) {
  for (bool bias : {false, true}) {
    GraphBuilder b;
    std::vector<ValueId> inputs = {b.Data("x", {1, 3, 4, 4}), b.Weights({2, 3, 2, 2})};
    if (bias) inputs.push_back(b.Weights({2}));
    const ValueId conv = b.Op("Conv2D", inputs, ConvAttrs());
    b.Output(b.Op("Relu", {b.Op("BatchNorm", Statistics(b, conv), BatchNormAttrs())}));
    EXPECT_EQ(Simplified(b.graph), "Conv2D Relu");
  }
}

TEST(ConvolutionRulesTest, ScaleAndShiftGoIntoTheConvolution) {
  GraphBuilder b;
  const ValueId conv = b.Op("Conv2D", {b.Data("x", {1, 3, 4, 4}), b.Weights({2, 3, 2, 2})}, ConvAttrs());
  const ValueId shifted = b.Op("Add", {conv, b.Weights({1, 2, 1, 1})});
  b.Output(b.Op("Relu", {b.Op("Mul", {b.Scalar(0.5), shifted})}));
  EXPECT_EQ(Simplified(b.graph), "Conv2D Relu");
}

TEST(ConvolutionRulesTest, AConvolutionReadTwiceIsLeft) {
  GraphBuilder b;
  const ValueId conv = b.Op("Conv2D", {b.Data("x", {1, 3, 4, 4}), b.Weights({2, 3, 2, 2})}, ConvAttrs());
  b.Output(b.Op("Mul", {conv, b.Op("Add", {conv, b.Scalar(3)})}));
  EXPECT_EQ(Simplified(b.graph), "Conv2D Add Mul");
}

TEST(ConvolutionRulesTest, AShiftAlongTheWidthIsNoBias) {
  GraphBuilder b;
  const ValueId conv = b.Op("Conv2D", {b.Data("x", {1, 3, 4, 3}), b.Weights({2, 3, 2, 2})}, ConvAttrs());
  b.Output(b.Op("Add", {conv, b.Weights({2})}));
  EXPECT_EQ(Simplified(b.graph), "Conv2D Add");
}

TEST(ConvolutionRulesTest, BatchNormAloneIsScaleAndShift) {
  GraphBuilder b;
  b.Output(b.Op("BatchNorm", Statistics(b, b.Data("x", {1, 2, 3, 3})), BatchNormAttrs()));
  EXPECT_EQ(Simplified(b.graph), "Mul Add");
}

}  // namespace
}  // namespace omserve
