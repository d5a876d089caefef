#include "core/partition/reshard.h"

#include <cmath>
#include <numeric>
#include <random>

#include "core/device/cpu/cpu_device.h"
#include "core/partition/lower/lower.h"
#include "core/partition/testing/emulator.h"
#include "gtest/gtest.h"

namespace omserve {
namespace {

Mesh MeshOf(int size) {
  std::vector<int> devices(static_cast<size_t>(size));
  std::iota(devices.begin(), devices.end(), 0);
  return Mesh(devices);
}

// Gives each axis to a dimension, to the partial sums, or to nothing, where that is legal.
Sharding RandomSharding(const Mesh& mesh, const Shape& shape, bool partial, std::mt19937& rng) {
  Sharding sharding = Sharding::Replicated(static_cast<int>(shape.size()));
  std::vector<int8_t> axes(static_cast<size_t>(mesh.num_axes()));
  std::iota(axes.begin(), axes.end(), int8_t{0});
  std::shuffle(axes.begin(), axes.end(), rng);
  for (int8_t axis : axes) {
    Sharding next = sharding;
    const int choice = static_cast<int>(rng() % (shape.size() + 2));
    if (choice < static_cast<int>(shape.size())) {
      next.dims[choice].push_back(axis);
    } else if (choice == static_cast<int>(shape.size()) && partial) {
      next.partial |= AxisMask{1} << axis;
    }
    if (IsLegal(mesh, next, shape)) sharding = next;
  }
  return sharding;
}

// What each rank holds of `whole` under a sharding; summands are random and add up to it.
std::vector<Tensor> Distribute(const Mesh& mesh, const Tensor& whole, const Sharding& sharding, std::mt19937& rng) {
  std::vector<Tensor> locals(static_cast<size_t>(mesh.size()));
  AxisList partial;
  for (int8_t axis = 0; axis < mesh.num_axes(); ++axis) {
    if (sharding.partial >> axis & 1) partial.push_back(axis);
  }
  for (const std::vector<int>& group : mesh.Groups(partial)) {
    const Tensor part = TensorSlice::Create(whole, LocalBegin(mesh, sharding, whole.shape(), group[0]),
                                            LocalShape(mesh, sharding, whole.shape()))
                            ->Materialize();
    std::vector<float> rest(part.values<float>().begin(), part.values<float>().end());
    for (size_t i = 0; i < group.size(); ++i) {
      std::vector<float> values(rest.size());
      for (size_t k = 0; k < rest.size(); ++k) {
        values[k] = i + 1 == group.size() ? rest[k] : static_cast<float>(static_cast<int>(rng() % 9) - 4);
        rest[k] -= values[k];
      }
      locals[group[i]] = Tensor::Of<float>(part.shape(), values);
    }
  }
  return locals;
}

TEST(ReshardTest, EverySequenceMapsShardsToShards) {
  static const Shape kShapes[] = {{24}, {12, 8}, {6, 4, 8}, {1, 16, 6}, {2, 6, 4, 2}, {5, 7}};
  CpuEvaluator evaluator;
  int steps = 0;
  for (uint32_t seed = 0; seed < 1500; ++seed) {
    std::mt19937 rng(seed);
    const int sizes[] = {1, 2, 3, 4, 6, 8, 12};
    const Mesh mesh = MeshOf(sizes[seed % std::size(sizes)]);
    const Cluster cluster = Cluster::Local(mesh.size());
    const Shape shape = kShapes[rng() % std::size(kShapes)];
    const TensorDesc desc{DataType::kFloat, shape};
    const Sharding from = RandomSharding(mesh, shape, true, rng);
    Sharding to = RandomSharding(mesh, shape, false, rng);
    // Some targets keep part of the sum open.
    if (rng() % 4 == 0) {
      to.partial = from.partial & ~to.CutAxes() & static_cast<AxisMask>(rng());
    }
    SCOPED_TRACE(testing::Message() << "seed " << seed << " " << ToString(shape) << " " << ToString(from) << " -> "
                                    << ToString(to) << " on " << mesh.ToString());
    Resharder resharder(mesh, cluster);
    ASSERT_TRUE(std::isfinite(resharder.Seconds(from, to, desc)));
    const ReshardPath path = resharder.Path(from, to, desc);
    double priced = 0;
    for (const ReshardStep& step : path.steps) priced += step.seconds;
    EXPECT_NEAR(priced, resharder.Seconds(from, to, desc), 1e-12);
    if (!path.steps.empty()) {
      EXPECT_EQ(path.steps.back().after, to);
    }
    steps += static_cast<int>(path.steps.size());

    std::vector<float> values(static_cast<size_t>(NumElements(shape)));
    for (float& value : values) value = static_cast<float>(rng() % 100);
    const Tensor whole = Tensor::Of<float>(shape, values);
    const std::vector<Tensor> before = Distribute(mesh, whole, from, rng);
    CutGraph cut;
    Sharding end = to;
    end.partial = 0;  // the emulator assembles whole values: sums left open are closed here
    for (int rank = 0; rank < mesh.size(); ++rank) {
      Graph slice("slice");
      ValueId value = slice.AddConst("x", before[rank])->out();
      Sharding at = from;
      for (const ReshardPath& part : {path, resharder.Path(to, end, desc)}) {
        for (const ReshardStep& step : part.steps) {
          auto next = EmitReshardStep(slice, mesh, 0, rank, value, at, step, "x", &cut.groups);
          ASSERT_TRUE(next.ok()) << next.status();
          value = *next;
          at = step.after;
        }
      }
      slice.AddOutput("y", value);
      cut.pieces.push_back({{0, LocalBegin(mesh, end, shape, rank), LocalShape(mesh, end, shape)}});
      cut.slices.push_back(std::move(slice));
      cut.inputs.emplace_back();
    }
    Graph graph("whole");
    graph.AddOutput("y", graph.AddConst("x", whole)->out());
    auto result = RunSlices(graph, cut, {}, evaluator);
    ASSERT_TRUE(result.ok()) << result.status() << Dump(cut.slices[0]);
    EXPECT_EQ((*result)[0].buffer().view(), whole.buffer().view());
  }
  EXPECT_GT(steps, 1500);
}

TEST(ReshardTest, ChoosesTheObviousCollective) {
  const Mesh mesh = MeshOf(4);
  const Cluster cluster = Cluster::Local(4);
  Resharder resharder(mesh, cluster);
  const TensorDesc desc{DataType::kFloat, {64, 64}};
  const Sharding whole = Sharding::Replicated(2);
  Sharding rows = whole, columns = whole, sum = whole;
  rows.dims[0] = AxisList{0, 1};
  columns.dims[1] = AxisList{0, 1};
  sum.partial = 3;
  auto kinds = [&](const Sharding& from, const Sharding& to) {
    std::vector<ReshardStep::Kind> kinds;
    for (const ReshardStep& step : resharder.Path(from, to, desc).steps) kinds.push_back(step.kind);
    return kinds;
  };
  using Kind = ReshardStep::Kind;
  EXPECT_EQ(kinds(sum, whole), std::vector<Kind>{Kind::kAllReduce});
  EXPECT_EQ(kinds(sum, rows), std::vector<Kind>{Kind::kReduceScatter});
  EXPECT_EQ(kinds(rows, whole), std::vector<Kind>{Kind::kAllGather});
  EXPECT_EQ(kinds(rows, columns), std::vector<Kind>{Kind::kAllToAll});
  EXPECT_EQ(kinds(whole, rows), (std::vector<Kind>{Kind::kSlice, Kind::kSlice}));
  EXPECT_TRUE(std::isinf(resharder.Seconds(whole, sum, desc)));
}

}  // namespace
}  // namespace omserve
