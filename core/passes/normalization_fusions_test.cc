#include "core/passes/passes.h"
#include "core/passes/testing/graph_builder.h"
#include "gtest/gtest.h"

namespace omserve {
namespace {

ValueId Mean(GraphBuilder& b, ValueId x, std::vector<int64_t> axes = {-1}) {
  return b.Op("ReduceMean", {x, b.Ints(axes)}, {{"keep_dims", true}});
}

// x / sqrt(mean(squared) + epsilon), as a division or a product.
ValueId Scaled(GraphBuilder& b, ValueId x, ValueId squared, bool divide, std::vector<int64_t> axes = {-1}) {
  const ValueId root = b.Op("Sqrt", {b.Op("Add", {Mean(b, squared, axes), b.Scalar(1e-5)})});
  return divide ? b.Op("RealDiv", {x, root}) : b.Op("Mul", {x, b.Op("RealDiv", {b.Scalar(1), root})});
}

TEST(NormalizationFusionsTest, RmsNorm) {
  for (bool divide : {false, true}) {
    GraphBuilder b;
    const ValueId x = b.Data("x", {2, 3, 4});
    const ValueId y = Scaled(b, x, b.Op("Pow", {x, b.Scalar(2)}), divide);
    b.Output(b.Op("Mul", {b.Weights({4}), y}));
    EXPECT_EQ(Fused(b.graph), "RmsNorm");
  }
}

TEST(NormalizationFusionsTest, RmsNormWithoutGammaStays) {
  GraphBuilder b;
  const ValueId x = b.Data("x", {2, 4});
  b.Output(Scaled(b, x, b.Op("Mul", {x, x}), false));
  EXPECT_EQ(Fused(b.graph), "Square ReduceMean Add Rsqrt Mul");
}

TEST(NormalizationFusionsTest, AStatisticReadElsewhereKeepsTheParts) {
  GraphBuilder b;
  const ValueId x = b.Data("x", {2, 4});
  const ValueId square = b.Op("Mul", {x, x});
  b.Output(b.Op("Mul", {Scaled(b, x, square, true), b.Weights({4})}));
  b.Output(square, "square");
  EXPECT_EQ(Fused(b.graph), "Square ReduceMean Add Sqrt RealDiv Mul");
}

TEST(NormalizationFusionsTest, LayerNormInItsForms) {
  for (bool divide : {false, true}) {
    for (int form : {0, 1, 2, 3}) {
      GraphBuilder b;
      const ValueId x = b.Data("x", {2, 3, 4});
      const ValueId centered = b.Op("Sub", {x, Mean(b, x)});
      ValueId squared;
      if (form == 0) squared = b.Op("Pow", {centered, b.Scalar(2)});
      if (form == 1) squared = b.Op("Mul", {centered, centered});
      if (form == 2) squared = b.Op("SquaredDifference", {x, Mean(b, x)});
      if (form == 3) {
        const ValueId again = b.Op("Sub", {x, Mean(b, x)});
        squared = b.Op("Mul", {again, again});
      }
      const ValueId scaled = b.Op("Mul", {Scaled(b, centered, squared, divide), b.Weights({4})});
      b.Output(b.Op("Add", {scaled, b.Weights({1, 1, 4})}));
      EXPECT_EQ(Fused(b.graph), "LayerNormV4") << divide << form;
    }
  }
}

TEST(NormalizationFusionsTest, LayerNormOverTwoDimensionsWithoutParameters) {
  GraphBuilder b;
  const ValueId x = b.Data("x", {2, 3, 4});
  const ValueId centered = b.Op("Sub", {x, Mean(b, x, {1, 2})});
  b.Output(b.Op("Relu", {Scaled(b, centered, b.Op("Mul", {centered, centered}), true, {1, 2})}));
  EXPECT_EQ(Fused(b.graph), "LayerNormV4 Relu");
}

TEST(NormalizationFusionsTest, LayerNormOverTheFirstDimensionStays) {
  GraphBuilder b;
  const ValueId x = b.Data("x", {3, 4});
  const ValueId centered = b.Op("Sub", {x, Mean(b, x, {0})});
  b.Output(Scaled(b, centered, b.Op("Mul", {centered, centered}), true, {0}));
  EXPECT_EQ(Fused(b.graph), "ReduceMean Sub Square ReduceMean Add Sqrt RealDiv");
}

TEST(NormalizationFusionsTest, LayerNormBecomesV4) {
  GraphBuilder b;
  const ValueId x = b.Data("x", {2, 3, 4});
  b.graph.AddOutput("y", b.Op("LayerNorm", {x, b.Weights({4}), b.Weights({4})},
                              {{"begin_norm_axis", int64_t{2}}, {"begin_params_axis", int64_t{2}}}));
  b.Output(b.Op("Relu", {x}), "z");
  Graph graph = b.graph.Clone();
  ASSERT_TRUE(FusePatterns(graph).ok());
  EXPECT_EQ(Types(graph), "Relu LayerNormV4");
}

TEST(NormalizationFusionsTest, SoftmaxFromExponentials) {
  for (bool shifted : {false, true}) {
    GraphBuilder b;
    ValueId x = b.Data("x", {2, 3, 4});
    if (shifted) x = b.Op("Sub", {x, b.Op("ReduceMax", {x, b.Ints({1})}, {{"keep_dims", true}})});
    const ValueId exp = b.Op("Exp", {x});
    b.Output(b.Op("RealDiv", {exp, b.Op("ReduceSum", {exp, b.Ints({1})}, {{"keep_dims", true}})}));
    EXPECT_EQ(Fused(b.graph), "SoftmaxV2");
  }
}

}  // namespace
}  // namespace omserve
