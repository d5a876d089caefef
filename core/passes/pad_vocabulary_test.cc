#include "core/passes/pad_vocabulary.h"

#include "core/passes/testing/graph_builder.h"
#include "gtest/gtest.h"

namespace omserve {
namespace {

constexpr int64_t kWords = 1027;

std::vector<PaddedWeight> Padded(Graph& graph, int64_t multiple) {
  const Graph before = graph.Clone();
  auto padded = PadVocabularies(graph, multiple);
  EXPECT_TRUE(padded.ok()) << padded.status();
  if (!padded.ok()) return {};
  ExpectSameMeaning(before, graph);
  return *padded;
}

const Shape& ShapeOf(const GraphBuilder& b, ValueId value) { return b.graph.desc(value).shape; }

TEST(PadVocabularyTest, ATableThatIsEmbeddingAndHeadStaysOneConstant) {
  GraphBuilder b;
  const ValueId table = b.Weights({kWords, 3});
  const std::byte* bytes = b.graph.ConstantOf(table)->source().data();
  const ValueId ids = b.Data("ids", {2, 2}, DataType::kInt64);
  const ValueId x = b.Op("GatherV2", {table, ids, b.Int(0)});
  const ValueId logits = b.Op("BatchMatMulV2", {x, table}, {{"adj_x2", true}});
  b.Output(logits);
  const auto padded = Padded(b.graph, 4);
  ASSERT_EQ(padded.size(), 1u);
  EXPECT_EQ(padded[0].node, table.node);
  EXPECT_EQ(padded[0].dim, 0);
  EXPECT_EQ(padded[0].size, kWords);
  EXPECT_EQ(Types(b.graph), "GatherV2 BatchMatMulV2 Slice");
  EXPECT_EQ(ShapeOf(b, table), (Shape{1028, 3}));
  EXPECT_EQ(b.graph.ConstantOf(table)->source().data(), bytes);
  EXPECT_EQ(b.graph.node(x.node)->AttrOr<int64_t>("all_rows", 0), kWords);
  EXPECT_EQ(ShapeOf(b, logits), (Shape{2, 2, 1028}));
  const Node& slice = *b.graph.node(b.graph.outputs()[0].value.node);
  EXPECT_EQ(slice.name(), b.graph.node(logits.node)->name() + "/unpadded");
  EXPECT_EQ(slice.output().shape, (Shape{2, 2, kWords}));
  // Once more there is nothing to do, and what divides is left.
  EXPECT_TRUE(Padded(b.graph, 4).empty());
}

TEST(PadVocabularyTest, BiasesArePaddedToo) {
  for (const bool fused : {false, true}) {
    GraphBuilder b;
    const ValueId weights = b.Weights({4, kWords}), bias = b.Weights({kWords});
    const ValueId x = b.Data("x", {2, 4});
    const ValueId product = b.Op("MatMulV2", fused ? std::vector<ValueId>{x, weights, bias} : std::vector<ValueId>{x, weights});
    const ValueId y = fused ? product : b.Op("Add", {product, bias});
    b.Output(b.Op("Relu", {y}));
    EXPECT_EQ(Padded(b.graph, 3).size(), 1u);
    EXPECT_EQ(Types(b.graph), fused ? "MatMulV2 Slice Relu" : "MatMulV2 Add Slice Relu");
    EXPECT_EQ(ShapeOf(b, bias), (Shape{1029}));
    EXPECT_EQ(ShapeOf(b, y), (Shape{2, 1029}));
  }
}

TEST(PadVocabularyTest, ABiasThatOthersReadIsCopied) {
  GraphBuilder b;
  const ValueId bias = b.Weights({kWords});
  const ValueId y = b.Op("Add", {b.Op("MatMulV2", {b.Data("x", {2, 4}), b.Weights({4, kWords})}), bias});
  b.Output(b.Op("Mul", {y, bias}));
  EXPECT_EQ(Padded(b.graph, 2).size(), 1u);
  EXPECT_EQ(ShapeOf(b, bias), (Shape{kWords}));
  EXPECT_EQ(ShapeOf(b, y), (Shape{2, 1028}));
}

TEST(PadVocabularyTest, AProductThatIsReadTwiceIsCutToSizeForAll) {
  GraphBuilder b;
  const ValueId y = b.Op("MatMulV2", {b.Data("x", {2, 4}), b.Weights({4, kWords})});
  b.Output(b.Op("Add", {y, b.Weights({kWords})}));
  b.Output(y, "logits");
  EXPECT_EQ(Padded(b.graph, 2).size(), 1u);
  EXPECT_EQ(Types(b.graph), "MatMulV2 Slice Add");
}

TEST(PadVocabularyTest, ColumnsThatAreGatheredArePadded) {
  GraphBuilder b;
  const ValueId table = b.Weights({3, kWords});
  b.Output(b.Op("GatherV2", {table, b.Data("ids", {2}, DataType::kInt32), b.Int(-1)}));
  ASSERT_EQ(Padded(b.graph, 2).size(), 1u);
  EXPECT_EQ(ShapeOf(b, table), (Shape{3, 1028}));
}

TEST(PadVocabularyTest, NothingElseIsPadded) {
  GraphBuilder b;
  const ValueId x = b.Data("x", {2, 300});
  const ValueId ids = b.Data("ids", {2}, DataType::kInt64);
  // Not a head: too narrow for its input. Small. Of whole numbers. Read by others. A computed bias. Given away.
  b.Output(b.Op("MatMulV2", {x, b.Weights({300, kWords})}), "narrow");
  b.Output(b.Op("GatherV2", {b.Weights({1023, 2}), ids, b.Int(0)}), "small");
  const ValueId numbers = b.graph.AddConst("numbers", Tensor::Of<int64_t>({kWords, 1}, std::vector<int64_t>(kWords, 1)))->out();
  b.Output(b.Op("GatherV2", {numbers, ids, b.Int(0)}), "whole");
  const ValueId shared = b.Weights({kWords, 2});
  b.Output(b.Op("GatherV2", {shared, ids, b.Int(0)}), "rows");
  b.Output(b.Op("ReduceSum", {shared, b.Ints({0})}), "sum");
  b.Output(b.Op("MatMulV2", {b.Data("z", {2, 4}), b.Weights({4, kWords}), b.Data("bias", {kWords})}), "computed");
  const ValueId given = b.Weights({kWords, 2});
  b.Output(b.Op("GatherV2", {given, ids, b.Int(0)}), "of given");
  b.Output(given, "given");
  EXPECT_TRUE(PadVocabularies(b.graph, 4).value().empty());
  EXPECT_TRUE(PadVocabularies(b.graph, 1).value().empty());
  EXPECT_EQ(Types(b.graph).find("Slice"), std::string::npos);
}

TEST(PadVocabularyTest, APartOfALargerConstantIsLeft) {
  GraphBuilder b;
  const ValueId whole = b.Weights({2 * kWords, 2});
  const TensorSlice& source = *b.graph.ConstantOf(whole);
  const ValueId first = b.graph.AddConst("first", source.Slice({0, 0}, {kWords, 2}).value())->out();
  const ValueId last = b.graph.AddConst("last", source.Slice({kWords, 0}, {kWords, 2}).value())->out();
  const ValueId ids = b.Data("ids", {2}, DataType::kInt64);
  b.Output(b.Op("GatherV2", {first, ids, b.Int(0)}), "a");
  b.Output(b.Op("GatherV2", {last, ids, b.Int(0)}), "b");
  const auto padded = Padded(b.graph, 2);
  ASSERT_EQ(padded.size(), 1u);
  EXPECT_EQ(padded[0].node, last.node);
}

}  // namespace
}  // namespace omserve
