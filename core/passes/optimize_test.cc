#include <chrono>
#include <random>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "core/passes/passes.h"
#include "core/passes/testing/graph_builder.h"
#include "core/passes/testing/reference.h"
#include "gtest/gtest.h"

namespace omserve {
namespace {

// A graph of random operators over tensors of shape [2,3,4], [3,4], [4] and [2,3,1], with what exporters add:
// chains that compute shapes, detours by Reshape, Transpose and Cast, neutral constants, and the patterns of
// fused operators.
class RandomGraph {
 public:
  explicit RandomGraph(uint32_t seed) : random_(seed) {
    pool_ = {b_.Data("x", {2, 3, 4}), b_.Data("row", {4}), b_.Data("column", {2, 3, 1}), b_.Weights({3, 4})};
    for (int i = 0; i < 18; ++i) Step();
    for (int i = 0; i < 3; ++i) b_.Output(Any(), absl::StrCat("y", i));
  }
  Graph Take() { return std::move(b_.graph); }

 private:
  int Below(int limit) { return static_cast<int>(random_() % static_cast<uint32_t>(limit)); }
  ValueId Any() { return pool_[static_cast<size_t>(Below(static_cast<int>(pool_.size())))]; }
  const Shape& shape(ValueId value) { return b_.graph.desc(value).shape; }
  ValueId Small() {
    static constexpr float kValues[] = {0, 1, 2, 0.5, 3, -1};
    const float value = kValues[Below(6)];
    return Below(2) == 0 ? b_.Scalar(value) : b_.Floats({1}, {value});
  }
  std::vector<int64_t> RandomPermutation(size_t rank) {
    std::vector<int64_t> perm(rank);
    for (size_t i = 0; i < rank; ++i) perm[i] = static_cast<int64_t>(i);
    for (size_t i = rank; i > 1; --i)
      std::swap(perm[i - 1], perm[static_cast<size_t>(Below(static_cast<int>(i)))]);
    return perm;
  }
  // The shape of `x` as a computed value.
  ValueId ShapeOf(ValueId x) {
    const ValueId shape = b_.Op("Shape", {x}, {{"dtype", int64_t{ToAclNumber(DataType::kInt64)}}});
    return b_.Op("Mul", {shape, b_.Ints({1})});
  }

  void Step() {
    static constexpr const char* kUnary[] = {"Neg", "Relu", "Tanh", "Sigmoid", "Abs", "Identity"};
    static constexpr const char* kBinary[] = {"Add", "Sub", "Mul", "Maximum", "Add"};
    const ValueId x = Any();
    switch (Below(14)) {
      case 0:
      case 1:
        return Push(b_.Op(kUnary[Below(6)], {x}));
      case 2:
      case 3:
        return Push(b_.Op(kBinary[Below(5)], {x, Any()}));
      case 4:
        return Push(b_.Op(kBinary[Below(4)], {Small(), x}));
      case 5:
        return Push(b_.Op("RealDiv", {x, b_.Scalar(static_cast<float>(1 + Below(4)))}));
      case 6:
        return Push(b_.Op("Pow", {x, b_.Scalar(static_cast<float>(1 + Below(3)))}));
      case 7: {  // there and back by Transpose, possibly to another place
        const std::vector<int64_t> perm = RandomPermutation(shape(x).size());
        std::vector<int64_t> inverse(perm.size());
        for (size_t i = 0; i < perm.size(); ++i)
          inverse[static_cast<size_t>(perm[i])] = static_cast<int64_t>(i);
        const ValueId there = b_.Op("Transpose", {x, b_.Ints(perm)});
        return Push(b_.Op("Transpose", {b_.Op("Relu", {there}), b_.Ints(inverse)}));
      }
      case 8: {  // there and back by Reshape
        const ValueId flat = b_.Op("Reshape", {x, b_.Ints({-1})});
        const ValueId back = b_.Raw("Reshape", {flat, ShapeOf(x)});
        b_.graph.node(back.node)->SetOutput(0, b_.graph.desc(x));
        return Push(back);
      }
      case 9:
        return Push(b_.Op("Expand", {x, b_.Ints({2, 3, 1})}));
      case 10:
        return Push(b_.Op("ReduceMean", {x, b_.Ints({-1})}, {{"keep_dims", true}}));
      case 11: {  // a product with a transposed operand
        if (shape(x) != Shape{2, 3, 4}) return;
        const ValueId y = b_.Op("Transpose", {x, b_.Ints({0, 2, 1})});
        const ValueId scores = b_.Op("BatchMatMulV2", {x, y});
        return Push(b_.Op("BatchMatMulV2", {b_.Op("SoftmaxV2", {scores}), x}));
      }
      case 12:
        return Push(Activation(x));
      case 13:
        return Push(Norm(x));
    }
  }

  ValueId Activation(ValueId x) {
    if (Below(2) == 0) return b_.Op("Mul", {x, b_.Op("Sigmoid", {x})});
    const ValueId erf = b_.Op("Erf", {b_.Op("RealDiv", {x, b_.Scalar(1.41421354f)})});
    return b_.Op("Mul", {b_.Op("Mul", {x, b_.Op("Add", {erf, b_.Scalar(1)})}), b_.Scalar(0.5)});
  }

  ValueId Norm(ValueId x) {
    if (shape(x).back() != 4) return x;
    const bool centered = Below(2) == 0;
    if (centered) x = b_.Op("Sub", {x, b_.Op("ReduceMean", {x, b_.Ints({-1})}, {{"keep_dims", true}})});
    const ValueId mean =
        b_.Op("ReduceMean", {b_.Op("Pow", {x, b_.Scalar(2)}), b_.Ints({-1})}, {{"keep_dims", true}});
    const ValueId root = b_.Op("Sqrt", {b_.Op("Add", {mean, b_.Scalar(0.1)})});
    return b_.Op("Mul", {b_.Op("RealDiv", {x, root}), b_.Weights({4})});
  }

  // Keeps values near 1, so that rounding stays small.
  void Push(ValueId value) { pool_.push_back(Below(3) == 0 ? b_.Op("Tanh", {value}) : value); }

  std::mt19937 random_;
  GraphBuilder b_;
  std::vector<ValueId> pool_;
};

TEST(OptimizeTest, RandomGraphsKeepTheirMeaning) {
  for (uint32_t seed = 1; seed <= 400; ++seed) {
    SCOPED_TRACE(seed);
    const Graph before = RandomGraph(seed).Take();
    Graph after = before.Clone();
    const absl::Status status = Optimize(after, {}, EvaluateReference);
    ASSERT_TRUE(status.ok()) << status << Dump(before);
    ExpectSameMeaning(before, after);
    if (HasFailure()) return;
  }
}

TEST(OptimizeTest, IsDeterministic) {
  for (uint32_t seed : {1, 2, 3}) {
    Graph first = RandomGraph(seed).Take(), second = RandomGraph(seed).Take();
    ASSERT_TRUE(Optimize(first, {}, EvaluateReference).ok());
    ASSERT_TRUE(Optimize(second, {}, EvaluateReference).ok());
    EXPECT_EQ(Dump(first), Dump(second));
  }
}

TEST(OptimizeTest, EveryOutputHasANodeOfItsOwnKind) {
  GraphBuilder b;
  const ValueId x = b.Data("x", {3});
  b.Output(x, "same");
  b.Output(b.Op("Reshape", {b.Op("Reshape", {x, b.Ints({3, 1})}), b.Ints({3})}), "again");
  b.Output(b.Op("Shape", {x}), "shape");
  const Graph before = b.graph.Clone();
  ASSERT_TRUE(Optimize(b.graph, {}, EvaluateReference).ok());
  ExpectSameMeaning(before, b.graph);
  for (const GraphOutput& output : b.graph.outputs()) {
    EXPECT_TRUE(b.graph.node(output.value.node)->is("Identity")) << output.name;
  }
}

TEST(OptimizeTest, ALongChainTakesLinearTime) {
  // 20,000 nodes, all reading one constant, with detours to remove all along.
  GraphBuilder b;
  ValueId x = b.Data("x", {1, 4});
  const ValueId weights = b.Weights({4}), wide = b.Ints({1, 4, 1}), back = b.Ints({1, 4});
  for (int i = 0; i < 5000; ++i) {
    x = b.Op("Tanh", {b.Op("Mul", {weights, x})});
    x = b.Op("Reshape", {b.Op("Reshape", {x, wide}), back});
  }
  b.Output(x);
  const auto start = std::chrono::steady_clock::now();
  const absl::Status status = Optimize(b.graph, {}, EvaluateReference);
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_EQ(b.graph.num_nodes(), 2 + 10000);
  // Quadratic time would be minutes; the bound leaves room for sanitizers.
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(20));
}

}  // namespace
}  // namespace omserve
