// The heart of the suite: any plan of any graph computes what one device computes (docs/design.md, law 2).
#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <numeric>
#include <random>

#include "absl/strings/match.h"
#include "core/device/cpu/cpu_device.h"
#include "core/partition/lower/lower.h"
#include "core/partition/testing/emulator.h"
#include "core/partition/testing/random_graph.h"
#include "core/passes/pad_vocabulary.h"
#include "gtest/gtest.h"

namespace omserve {
namespace {

int NumCases() {
  const char* cases = std::getenv("OMSERVE_SPMD_CASES");
  return cases == nullptr ? 2000 : std::atoi(cases);
}

TEST(SpmdEquivalenceTest, RandomPlansOfRandomGraphsEqualOneDeviceInEveryBit) {
  static constexpr int kDevices[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 12};
  CpuEvaluator evaluator;
  int collectives = 0, cut_outputs = 0, messages = 0, gathered = 0, searches = 0, borders = 0, cut_vocabularies = 0;
  const int cases = NumCases();
  for (int i = 0; i < cases; ++i) {
    std::mt19937 rng(static_cast<uint32_t>(i));
    // Every other case is a pipeline, of stages of equal or different sizes.
    std::vector<int> stages{kDevices[i % std::size(kDevices)]};
    if (i % 2 == 1) {
      stages.clear();
      for (int s = 2 + static_cast<int>(rng() % 2); s > 0; --s) stages.push_back(1 + static_cast<int>(rng() % 4));
      if (rng() % 2 == 0) std::fill(stages.begin(), stages.end(), stages[0]);
    }
    const int devices = std::accumulate(stages.begin(), stages.end(), 0);
    SCOPED_TRACE("case " + std::to_string(i) + " on " + std::to_string(devices) + " devices");
    const Graph graph = RandomGraph(rng, 4 + i % 24, /*vocabulary=*/i % 5 < 2);
    ASSERT_TRUE(Verify(graph).ok()) << Verify(graph);
    const Cluster cluster = Cluster::Local(devices);
    // What is cut has its vocabularies padded; what it is compared with has not.
    Graph padded = graph.Clone();
    const int multiple = std::accumulate(stages.begin(), stages.end(), 1, [](int a, int b) { return std::lcm(a, b); });
    const auto vocabularies = PadVocabularies(padded, multiple);
    ASSERT_TRUE(vocabularies.ok()) << vocabularies.status();
    absl::StatusOr<Plan> plan = RandomPlan(padded, cluster, stages, rng);
    ASSERT_TRUE(plan.ok()) << plan.status() << Dump(padded);
    absl::StatusOr<CutGraph> cut = Lower(padded, cluster, *plan);
    ASSERT_TRUE(cut.ok()) << cut.status() << Dump(padded);
    const std::vector<Tensor> inputs = RandomInputs(graph, rng);
    absl::StatusOr<std::vector<Tensor>> expected = RunWhole(graph, inputs, evaluator);
    ASSERT_TRUE(expected.ok()) << expected.status() << Dump(graph);
    absl::StatusOr<std::vector<Tensor>> actual = RunSlices(graph, *cut, inputs, evaluator);
    ASSERT_TRUE(actual.ok()) << actual.status() << Dump(graph) << Dump(cut->slices[0]);
    messages += std::any_of(cut->groups.begin(), cut->groups.end(),
                            [](const SliceGroup& group) { return group.name.rfind("stages_", 0) == 0; });
    for (size_t o = 0; o < expected->size(); ++o) {
      const Tensor& want = (*expected)[o];
      const Tensor& got = (*actual)[o];
      ASSERT_EQ(want.desc(), got.desc());
      // Zeros of either sign are equal: a sum of summands may end in -0 or +0.
      const auto a = want.values<float>(), b = got.values<float>();
      for (size_t k = 0; k < a.size(); ++k) {
        ASSERT_EQ(a[k], b[k]) << "output " << o << " element " << k << "\n" << Dump(graph) << Dump(cut->slices[0]);
      }
      cut_outputs += !plan->outputs[o].is_replicated();
    }
    for (int32_t id : cut->slices[0].NodeIds()) {
      const Node& node = *cut->slices[0].node(id);
      collectives += node.type().rfind("Hcom", 0) == 0;
      searches += node.is("HcomAllGather") && absl::StrContains(node.name(), "s_of_all");
      borders += node.is("HcomAllGather") && absl::StrContains(node.name(), "_borders");
    }
    for (const auto& [id, strategy] : plan->strategies) gathered += !strategy.held.empty();
    for (const PaddedWeight& weight : *vocabularies) {
      const auto readers = padded.ReadersOf(weight.node);
      for (const auto& [reader, input] : readers[0]) {
        const Sharding& wanted = plan->strategies.at(reader).inputs[static_cast<size_t>(input)];
        cut_vocabularies += !wanted.dims[static_cast<size_t>(weight.dim)].empty();
      }
    }
  }
  // The generator must not degenerate into plans that cut nothing.
  EXPECT_GT(collectives, cases / 2);
  EXPECT_GT(cut_outputs, cases / 10);
  EXPECT_GT(messages, cases / 6);
  EXPECT_GT(gathered, cases / 20);
  EXPECT_GT(searches, cases / 40);
  EXPECT_GT(borders, cases / 100);
  EXPECT_GT(cut_vocabularies, cases / 10);
}

}  // namespace
}  // namespace omserve
