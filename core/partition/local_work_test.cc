#include "core/partition/local_work.h"

#include <string>
#include <vector>

#include "core/ops/op.h"
#include "gtest/gtest.h"

namespace omserve {
namespace {

class LocalWorkTest : public testing::Test {
 protected:
  ValueId Constant(Shape shape) {
    return graph_.AddConst("c", Tensor::Of<float>(shape, std::vector<float>(static_cast<size_t>(NumElements(shape)), 1)))->out();
  }
  Node* Add(const std::string& type, std::vector<ValueId> inputs, const AttrMap& attrs = {}) {
    Node* node = graph_.AddNode(type, type, std::move(inputs));
    for (const auto& [name, value] : attrs) node->SetAttr(name, value);
    EXPECT_TRUE(InferNode(graph_, *node).ok()) << type;
    return node;
  }
  Node* Convolution(Shape image, Shape filter, int64_t groups, int64_t stride) {
    const int64_t pad = filter[2] / 2;
    return Add("Conv2D", {graph_.AddData("x", {DataType::kFloat, image})->out(), Constant(filter)},
               {{"strides", std::vector<int64_t>{1, 1, stride, stride}},
                {"pads", std::vector<int64_t>(4, pad)},
                {"groups", groups},
                {"data_format", std::string("NCHW")}});
  }
  // The strategy that cuts dimension `d` of the result in two.
  OperatorWork Work(const Node& node, int d = -1) {
    const Mesh mesh({0, 1});
    const Cluster cluster = Cluster::Local(2);
    Resharder resharder(mesh, cluster);
    const auto strategies = EnumerateStrategies(graph_, node, cluster, resharder);
    for (const Strategy& strategy : strategies.value()) {
      const Sharding& result = strategy.raw_outputs[0];
      bool wanted = result.partial == 0;
      for (int i = 0; i < static_cast<int>(result.dims.size()); ++i) wanted = wanted && result.dims[i].empty() == (i != d);
      if (wanted) return LocalWork(graph_, node, mesh, strategy);
    }
    ADD_FAILURE() << "no strategy cuts dimension " << d;
    return {};
  }

  Graph graph_{"g"};
};

TEST_F(LocalWorkTest, ConvolutionsAreProducts) {
  const Node& node = *Convolution({2, 6, 8, 8}, {10, 6, 3, 3}, 1, 2);
  OperatorWork work = Work(node);
  EXPECT_EQ(work.type, "Conv2D");
  EXPECT_TRUE(work.variant.empty());
  EXPECT_EQ(work.rows, 2 * 4 * 4);
  EXPECT_EQ(work.columns, 10);
  EXPECT_EQ(work.inner, 6 * 9);
  work = Work(node, 1);  // by channels out
  EXPECT_EQ(work.rows, 2 * 4 * 4);
  EXPECT_EQ(work.columns, 5);
  EXPECT_EQ(work.inner, 6 * 9);
  EXPECT_EQ(work.bytes, 4 * (2 * 6 * 64 + 5 * 6 * 9 + 2 * 5 * 16));
}

TEST_F(LocalWorkTest, FormsOfConvolutions) {
  OperatorWork work = Work(*Convolution({1, 6, 8, 8}, {10, 6, 1, 1}, 1, 1));
  EXPECT_EQ(work.variant, "Conv2D/pointwise");
  EXPECT_EQ(work.inner, 6);
  work = Work(*Convolution({1, 6, 8, 8}, {6, 1, 5, 5}, 6, 1));
  EXPECT_EQ(work.type, "DepthwiseConv2D");
  EXPECT_EQ(work.rows, 64);
  EXPECT_EQ(work.columns, 0);
  EXPECT_EQ(work.inner, 25);
  work = Work(*Convolution({1, 6, 8, 8}, {10, 3, 3, 3}, 2, 1));  // grouped
  EXPECT_TRUE(work.variant.empty());
  EXPECT_EQ(work.rows, 64);
  EXPECT_EQ(work.columns, 5);
  EXPECT_EQ(work.inner, 27);
}

TEST_F(LocalWorkTest, PiecesAreRowsAndRuns) {
  const ValueId x = graph_.AddData("x", {DataType::kFloat, {4, 6, 8}})->out();
  const Node& softmax = *Add("SoftmaxV2", {x}, {{"axes", std::vector<int64_t>{-1}}});
  EXPECT_EQ(Work(softmax).pieces, 24);
  EXPECT_EQ(Work(softmax, 0).pieces, 12);
  const auto gather = [&](int64_t axis) {
    const ValueId indices = graph_.AddConst("i", Tensor::Int64s({1, 2, 0}))->out();
    return Work(*Add("GatherV2", {x, indices, graph_.AddConst("axis", Tensor::Int64s({axis}))->out()})).pieces;
  };
  EXPECT_EQ(gather(0), 3);
  EXPECT_EQ(gather(-2), 4 * 3);
  EXPECT_EQ(gather(-1), 4 * 6 * 3);
  EXPECT_EQ(Work(*Add("Relu", {x})).pieces, 0);
}

}  // namespace
}  // namespace omserve
