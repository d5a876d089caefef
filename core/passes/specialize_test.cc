#include "core/passes/passes.h"
#include "core/passes/testing/graph_builder.h"
#include "core/passes/testing/reference.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace omserve {
namespace {

using testing::HasSubstr;

// What exporters write for x.reshape(x.shape[0], x.shape[1], 2, -1): Shape, Gather, Unsqueeze, Concat.
GraphBuilder SplitHeads() {
  GraphBuilder b;
  const ValueId x = b.Data("x", {kUnknownDim, kUnknownDim, 4});
  b.Data("unused", {1});
  std::vector<ValueId> dims;
  for (int64_t d : {0, 1}) {
    const ValueId shape = b.Raw("Shape", {x}, {{"dtype", int64_t{ToAclNumber(DataType::kInt64)}}});
    const ValueId dim = b.Raw("GatherV2", {shape, b.Int(d), b.Int(0)});
    dims.push_back(b.Raw("UnsqueezeV3", {dim, b.Ints({0})}));
  }
  dims.push_back(b.Ints({2}));
  dims.push_back(b.Ints({-1}));
  dims.push_back(b.Int(0));
  const ValueId shape = b.Raw("ConcatV2", dims, {{"N", int64_t{4}}});
  b.Output(b.Raw("Reshape", {x, shape}));
  return b;
}

std::string SpecializeError(GraphBuilder b, const InputShapes& shapes) {
  const absl::Status status = Specialize(b.graph, shapes, EvaluateReference);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
  return std::string(status.message());
}

TEST(SpecializeTest, ShapeChainsResolve) {
  GraphBuilder b = SplitHeads();
  const absl::Status status = Specialize(b.graph, {{"x", {3, 5, 4}}}, EvaluateReference);
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_EQ(Types(b.graph), "Reshape");
  EXPECT_EQ(ToString(b.graph.desc(b.graph.outputs()[0].value)), "float32[3,5,2,2]");
  EXPECT_EQ(b.graph.inputs().size(), 2u);
}

TEST(SpecializeTest, ADimensionOfZeroIsAShapeLikeAnyOther) {
  GraphBuilder b;
  const ValueId past = b.Data("past", {1, kUnknownDim, 4});
  b.Output(b.Raw("ConcatD", {past, b.Data("x", {1, 2, 4})}, {{"concat_dim", int64_t{1}}, {"N", int64_t{2}}}));
  const absl::Status status = Specialize(b.graph, {{"past", {1, 0, 4}}}, EvaluateReference);
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_EQ(ToString(b.graph.desc(b.graph.outputs()[0].value)), "float32[1,2,4]");
}

TEST(SpecializeTest, SeveralOutputsOfConstantsFold) {
  GraphBuilder b;
  const ValueId x = b.Data("x", {6});
  Node* split = b.graph.AddNode("SplitV", "split", {b.Ints({6, 3, 2}), b.Ints({1, 2}), b.Int(0)});
  split->SetAttr("num_split", int64_t{2});
  split->SetOutput(1, TensorDesc{});
  b.Output(b.Raw("Reshape", {x, split->out(1)}));
  const absl::Status status = Specialize(b.graph, {}, EvaluateReference);
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_EQ(Types(b.graph), "Reshape");
  EXPECT_EQ(ToString(b.graph.desc(b.graph.outputs()[0].value)), "float32[3,2]");
}

TEST(SpecializeTest, UnusedBranchesVanishBeforeTheyCanFail) {
  GraphBuilder b;
  const ValueId x = b.Data("x", {2});
  b.Raw("NoSuchOperator", {x});
  b.Output(b.Raw("Relu", {x}));
  EXPECT_TRUE(Specialize(b.graph, {}, EvaluateReference).ok());
}

TEST(SpecializeTest, AMissingShapeSaysWhatToGive) {
  const std::string error = SpecializeError(SplitHeads(), {});
  EXPECT_THAT(error, HasSubstr("input 'x' has unknown dimension 0 and no shape was given"));
  EXPECT_THAT(error, HasSubstr("--input-shape \"x:1,1,4\""));
}

TEST(SpecializeTest, WrongShapesAreRefusedWithTheModelsInputs) {
  EXPECT_THAT(
      SpecializeError(SplitHeads(), {{"z", {1}}}),
      HasSubstr(
          "'z', which is no input of the model; its inputs are 'x' float32[?,?,4], 'unused' float32[1]"));
  EXPECT_THAT(SpecializeError(SplitHeads(), {{"x", {1, 2}}}), HasSubstr("has 2 dimensions instead of 3"));
  EXPECT_THAT(SpecializeError(SplitHeads(), {{"x", {1, 2, 8}}}),
              HasSubstr("has 8 in dimension 2, where the model has 4"));
  EXPECT_THAT(SpecializeError(SplitHeads(), {{"x", {1, -1, 4}}}), HasSubstr("leaves dimension 1 open"));
  EXPECT_THAT(SpecializeError(SplitHeads(), {{"x", {int64_t{1} << 40, int64_t{1} << 40, 4}}}),
              HasSubstr("input 'x'"));
}

TEST(SpecializeTest, ShapesThatDoNotFitNameTheNode) {
  GraphBuilder b;
  b.Output(b.Raw("Add", {b.Data("x", {kUnknownDim}), b.Data("w", {3})}));
  EXPECT_THAT(SpecializeError(std::move(b), {{"x", {2}}}), HasSubstr("'Add1'"));
}

TEST(SpecializeTest, AParameterThatIsNotConstantNamesItsSource) {
  GraphBuilder b;
  const ValueId x = b.Data("x", {6});
  b.Output(b.Raw("Reshape", {x, b.Raw("Neg", {b.Data("shape", {2}, DataType::kInt64)})}));
  const std::string error = SpecializeError(std::move(b), {});
  EXPECT_THAT(
      error, HasSubstr("'Reshape2' (Reshape): input 'shape' must be known when the model is built, but comes "
                       "from 'Neg1' (Neg)"));
}

TEST(SpecializeTest, AnUnknownOperatorIsUnimplemented) {
  GraphBuilder b;
  b.Output(b.Raw("NoSuchOperator", {b.Data("x", {6})}));
  const absl::Status status = Specialize(b.graph, {}, EvaluateReference);
  EXPECT_EQ(status.code(), absl::StatusCode::kUnimplemented);
  EXPECT_THAT(std::string(status.message()), HasSubstr("'NoSuchOperator'"));
}

}  // namespace
}  // namespace omserve
