#include "core/passes/testing/graph_builder.h"
#include "gtest/gtest.h"

namespace omserve {
namespace {

ValueId ErfPart(GraphBuilder& b, ValueId x, bool divide) {
  const ValueId argument =
      divide ? b.Op("RealDiv", {x, b.Scalar(1.41421354f)}) : b.Op("Mul", {x, b.Scalar(0.707106769f)});
  return b.Op("Add", {b.Op("Erf", {argument}), b.Scalar(1)});
}

TEST(ActivationFusionsTest, GeluInItsForms) {
  for (int form = 0; form < 4; ++form) {
    GraphBuilder b;
    const ValueId x = b.Data("x", {3, 4});
    const ValueId erf = ErfPart(b, x, form % 2 == 0);
    ValueId y;
    if (form == 0) y = b.Op("Mul", {b.Op("Mul", {x, erf}), b.Scalar(0.5)});
    if (form == 1) y = b.Op("Mul", {b.Op("Mul", {b.Scalar(0.5), x}), erf});
    if (form == 2) y = b.Op("Mul", {x, b.Op("Mul", {b.Scalar(0.5), erf})});
    if (form == 3) y = b.Op("RealDiv", {b.Op("Mul", {erf, x}), b.Scalar(2)});
    b.Output(y);
    EXPECT_EQ(Fused(b.graph), "Gelu") << form;
  }
}

TEST(ActivationFusionsTest, GeluOfAProductThatIsReadOnlyByIt) {
  GraphBuilder b;
  const ValueId x = b.Op("Mul", {b.Data("p", {3, 4}), b.Data("q", {3, 4})});
  b.Output(b.Op("Mul", {b.Op("Mul", {x, ErfPart(b, x, true)}), b.Scalar(0.5)}));
  EXPECT_EQ(Fused(b.graph), "Mul Gelu");
}

TEST(ActivationFusionsTest, GeluWithAnotherConstantStays) {
  GraphBuilder b;
  const ValueId x = b.Data("x", {3, 4});
  const ValueId erf = b.Op("Add", {b.Op("Erf", {b.Op("Mul", {x, b.Scalar(0.8f)})}), b.Scalar(1)});
  b.Output(b.Op("Mul", {b.Op("Mul", {x, erf}), b.Scalar(0.5)}));
  EXPECT_EQ(Fused(b.graph), "Mul Erf Add Mul Mul");
}

TEST(ActivationFusionsTest, TanhGeluInItsForms) {
  for (int form = 0; form < 3; ++form) {
    GraphBuilder b;
    const ValueId x = b.Data("x", {3, 4});
    ValueId argument;
    const ValueId c = b.Scalar(0.044715f), d = b.Scalar(0.797884583f), one = b.Scalar(1);
    if (form == 0) {
      const ValueId cube = b.Op("Pow", {x, b.Scalar(3)});
      argument = b.Op("Mul", {b.Op("Add", {x, b.Op("Mul", {cube, c})}), d});
    }
    if (form == 1) {
      const ValueId cube = b.Op("Mul", {x, b.Op("Mul", {x, x})});
      argument = b.Op("Mul", {d, b.Op("Add", {b.Op("Mul", {c, cube}), x})});
    }
    if (form == 2) {
      const ValueId square = b.Op("Mul", {b.Op("Mul", {x, c}), x});
      argument = b.Op("Mul", {b.Op("Mul", {x, d}), b.Op("Add", {square, one})});
    }
    const ValueId tanh = b.Op("Add", {b.Op("Tanh", {argument}), one});
    b.Output(b.Op("Mul", {b.Op("Mul", {x, b.Scalar(0.5)}), tanh}));
    EXPECT_EQ(Fused(b.graph), "GeluV2") << form;
  }
}

TEST(ActivationFusionsTest, Swish) {
  GraphBuilder b;
  const ValueId x = b.Data("x", {3, 4});
  const ValueId gate = b.Op("Mul", {x, b.Op("Sigmoid", {x})});
  b.Output(b.Op("Mul", {gate, b.Data("up", {3, 4})}));
  EXPECT_EQ(Fused(b.graph), "Swish Mul");
}

TEST(ActivationFusionsTest, SwishWithAScale) {
  GraphBuilder b;
  const ValueId x = b.Data("x", {3, 4});
  b.Output(b.Op("Mul", {b.Op("Sigmoid", {b.Op("Mul", {x, b.Scalar(1.702f)})}), x}));
  EXPECT_EQ(Fused(b.graph), "Swish");
}

TEST(ActivationFusionsTest, ASigmoidReadElsewhereStays) {
  GraphBuilder b;
  const ValueId x = b.Data("x", {3, 4});
  const ValueId sigmoid = b.Op("Sigmoid", {x});
  b.Output(b.Op("Mul", {x, sigmoid}));
  b.Output(sigmoid, "gate");
  EXPECT_EQ(Fused(b.graph), "Sigmoid Mul");
}

TEST(ActivationFusionsTest, HardSwishInItsForms) {
  for (int form = 0; form < 3; ++form) {
    GraphBuilder b;
    const ValueId x = b.Data("x", {3, 4});
    const ValueId sum = b.Op("Add", {x, b.Scalar(3)});
    const ValueId clip =
        form == 0 ? b.Op("Relu6", {sum}) : b.Op("ClipByValue", {sum, b.Scalar(0), b.Scalar(6)});
    b.Output(form == 2 ? b.Op("Mul", {b.Op("RealDiv", {clip, b.Scalar(6)}), x})
                       : b.Op("RealDiv", {b.Op("Mul", {x, clip}), b.Scalar(6)}));
    EXPECT_EQ(Fused(b.graph), "HardSwish") << form;
  }
}

TEST(ActivationFusionsTest, HardSigmoidAlone) {
  GraphBuilder b;
  const ValueId clip = b.Op("Relu6", {b.Op("Add", {b.Data("x", {3, 4}), b.Scalar(3)})});
  b.Output(b.Op("Mul", {b.Data("z", {3, 4}), b.Op("RealDiv", {clip, b.Scalar(6)})}));
  EXPECT_EQ(Fused(b.graph), "HardSigmoid Mul");
}

}  // namespace
}  // namespace omserve
