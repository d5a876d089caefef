#include "core/passes/testing/graph_builder.h"
#include "gtest/gtest.h"

namespace omserve {
namespace {

// A graph y = f(x) for x: float[2,3].
template <typename F>
GraphBuilder Of(F f) {
  GraphBuilder b;
  b.Output(f(b, b.Data("x", {2, 3})));
  return b;
}

TEST(ArithmeticRulesTest, IdentitiesVanish) {
  GraphBuilder b = Of([](GraphBuilder& b, ValueId x) {
    return b.Op("Relu", {b.Op("Identity", {b.Op("Dropout", {b.Op("Identity", {x})})})});
  });
  EXPECT_EQ(Simplified(b.graph), "Relu");
}

TEST(ArithmeticRulesTest, AnOutputKeepsANodeOfItsOwnBehindAnInputOrAConstant) {
  GraphBuilder b = Of([](GraphBuilder& b, ValueId x) { return b.Op("Dropout", {x}); });
  b.Output(b.Op("Add", {b.Scalar(1), b.Scalar(2)}), "three");
  EXPECT_EQ(Simplified(b.graph), "Identity");
  EXPECT_TRUE(b.graph.node(b.graph.outputs()[1].value.node)->is_const());
}

TEST(ArithmeticRulesTest, OneNameForEachOperator) {
  GraphBuilder b = Of([](GraphBuilder& b, ValueId x) {
    const ValueId y = b.Op("Muls", {x}, {{"value", 3.0f}});
    return b.Op("Div", {b.Op("AddV2", {x, y}), b.Weights({2, 3})});
  });
  EXPECT_EQ(Simplified(b.graph), "Mul Add RealDiv");
}

TEST(ArithmeticRulesTest, ConstantsComeSecond) {
  GraphBuilder b = Of([](GraphBuilder& b, ValueId x) { return b.Op("Mul", {b.Weights({3}), x}); });
  EXPECT_EQ(Simplified(b.graph), "Mul");
  const Node& mul = *b.graph.node(b.graph.outputs()[0].value.node);
  EXPECT_NE(b.graph.ConstantOf(mul.input(1)), nullptr);
}

TEST(ArithmeticRulesTest, NeutralElementsVanish) {
  GraphBuilder b = Of([](GraphBuilder& b, ValueId x) {
    ValueId y = b.Op("Relu", {x});
    y = b.Op("Mul", {b.Scalar(1), b.Op("Add", {y, b.Floats({3}, {0, 0, 0})})});
    return b.Op("RealDiv", {b.Op("Sub", {y, b.Scalar(0)}), b.Scalar(1)});
  });
  EXPECT_EQ(Simplified(b.graph), "Relu");
}

TEST(ArithmeticRulesTest, ANeutralElementThatBroadcastsStays) {
  GraphBuilder b = Of([](GraphBuilder& b, ValueId x) {
    return b.Op("Add", {x, b.Floats({2, 1, 1}, {0, 0})});
  });
  EXPECT_EQ(Simplified(b.graph), "Add");
}

TEST(ArithmeticRulesTest, TimesZeroStays) {
  GraphBuilder b = Of([](GraphBuilder& b, ValueId x) { return b.Op("Mul", {x, b.Scalar(0)}); });
  EXPECT_EQ(Simplified(b.graph), "Mul");
}

TEST(ArithmeticRulesTest, Powers) {
  for (auto [exponent, expected] : {std::pair<float, const char*>{2, "Square"},
                                    {3, "Square Mul"},
                                    {0.5, "Sqrt"},
                                    {-0.5, "Rsqrt"},
                                    {-1, "Reciprocal"},
                                    {1.5, "Pow"}}) {
    GraphBuilder b = Of([e = exponent](GraphBuilder& b, ValueId x) {
      const ValueId positive = b.Op("Exp", {x});
      return b.Op("Pow", {positive, b.Scalar(e)});
    });
    EXPECT_EQ(Simplified(b.graph), std::string("Exp ") + expected) << exponent;
  }
}

TEST(ArithmeticRulesTest, ProductWithItselfAndOneOverSqrt) {
  GraphBuilder b = Of([](GraphBuilder& b, ValueId x) {
    const ValueId positive = b.Op("Add", {b.Op("Mul", {x, x}), b.Scalar(1)});
    return b.Op("RealDiv", {b.Scalar(1), b.Op("Sqrt", {positive})});
  });
  EXPECT_EQ(Simplified(b.graph), "Square Add Rsqrt");
}

TEST(ArithmeticRulesTest, DivisionByAPowerOfTwoIsExactlyAProduct) {
  GraphBuilder b = Of([](GraphBuilder& b, ValueId x) {
    return b.Op("RealDiv", {b.Op("RealDiv", {x, b.Scalar(8)}), b.Scalar(3)});
  });
  EXPECT_EQ(Simplified(b.graph), "Mul RealDiv");
}

TEST(ArithmeticRulesTest, Negations) {
  GraphBuilder b = Of([](GraphBuilder& b, ValueId x) {
    const ValueId y = b.Op("Relu", {x});
    return b.Op("Add", {b.Op("Neg", {y}), x});
  });
  EXPECT_EQ(Simplified(b.graph), "Relu Sub");
  GraphBuilder zero = Of([](GraphBuilder& b, ValueId x) { return b.Op("Sub", {b.Scalar(0), x}); });
  EXPECT_EQ(Simplified(zero.graph), "Neg");
}

TEST(ArithmeticRulesTest, ConstantsMeet) {
  GraphBuilder b = Of([](GraphBuilder& b, ValueId x) {
    const ValueId y = b.Op("Mul", {b.Op("Mul", {x, b.Weights({3})}), b.Scalar(5)});
    return b.Op("Add", {b.Op("Add", {y, b.Scalar(2)}), b.Scalar(3)});
  });
  EXPECT_EQ(Simplified(b.graph), "Mul Add");
}

TEST(ArithmeticRulesTest, ConstantsDoNotGrowByMeeting) {
  GraphBuilder b = Of([](GraphBuilder& b, ValueId x) {
    return b.Op("Mul", {b.Op("Mul", {x, b.Weights({3})}), b.Weights({2, 1})});
  });
  EXPECT_EQ(Simplified(b.graph), "Mul Mul");
}

TEST(ArithmeticRulesTest, CastsThatLoseNothingMerge) {
  const int64_t to_int64 = ToAclNumber(DataType::kInt64), to_int32 = ToAclNumber(DataType::kInt32);
  GraphBuilder b;
  const ValueId x = b.Data("x", {4}, DataType::kInt32);
  const ValueId wide = b.Op("Cast", {b.Op("Cast", {x}, {{"dst_type", to_int32}})}, {{"dst_type", to_int64}});
  b.Output(b.Op("Square", {b.Op("Cast", {wide}, {{"dst_type", to_int32}})}));
  EXPECT_EQ(Simplified(b.graph), "Square");

  GraphBuilder lossy;
  const ValueId y = lossy.Data("x", {4});
  const ValueId whole = lossy.Op("Cast", {y}, {{"dst_type", to_int32}});
  lossy.Output(lossy.Op("Cast", {whole}, {{"dst_type", int64_t{ToAclNumber(DataType::kFloat)}}}));
  EXPECT_EQ(Simplified(lossy.graph), "Cast Cast");
}

TEST(ArithmeticRulesTest, SelectWithAKnownConditionIsItsBranch) {
  GraphBuilder b;
  const ValueId x = b.Data("x", {2, 3});
  const ValueId no = b.graph.AddConst("no", Tensor::Of<bool>({2, 1}, {false, false}))->out();
  b.Output(b.Op("Relu", {b.Op("SelectV2", {no, b.Weights({2, 3}), x})}));
  b.Output(b.Op("SelectV2", {no, x, b.Op("Neg", {b.Data("row", {3})})}), "wide");
  EXPECT_EQ(Simplified(b.graph), "Relu Neg BroadcastTo");
}

TEST(ArithmeticRulesTest, SumsOfFew) {
  GraphBuilder b = Of([](GraphBuilder& b, ValueId x) {
    const ValueId one = b.Op("AddN", {b.Op("Relu", {x})}, {{"N", int64_t{1}}});
    return b.Op("AddN", {one, x}, {{"N", int64_t{2}}});
  });
  EXPECT_EQ(Simplified(b.graph), "Relu Add");
}

}  // namespace
}  // namespace omserve
