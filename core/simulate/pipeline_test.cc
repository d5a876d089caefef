#include "core/simulate/pipeline.h"

#include <algorithm>
#include <numeric>
#include <random>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace omserve {
namespace {

using Kind = SimulatedStep::Kind;
using testing::HasSubstr;

constexpr double kClose = 1e-9;

// Stages of the given seconds in a line; `messages[s]` from stage s to the next.
PipelineProgram Line(const std::vector<double>& seconds, const std::vector<double>& messages) {
  PipelineProgram program;
  for (size_t s = 0; s < seconds.size(); ++s) {
    std::vector<SimulatedStep> steps;
    if (s > 0) steps.push_back({Kind::kReceive, 0, static_cast<int>(s) - 1, "in"});
    steps.push_back({Kind::kCompute, seconds[s], -1, "work"});
    if (s + 1 < seconds.size()) steps.push_back({Kind::kSend, messages[s], static_cast<int>(s), "out"});
    program.stages.push_back(std::move(steps));
  }
  return program;
}

TEST(PipelineTest, OneStageIsASum) {
  const PipelineProgram program = Line({3}, {});
  EXPECT_NEAR(MicroBatchedSeconds(program, 1, false).value(), 3, kClose);
  EXPECT_NEAR(MicroBatchedSeconds(program, 5, true).value(), 15, kClose);
  EXPECT_EQ(FindSteadyState(program, false)->bubble, 0);
}

TEST(PipelineTest, MicroBatchesTakeTheSumAndOnceMoreTheSlowestForEachFurtherOne) {
  const PipelineProgram program = Line({2, 3}, {0.5});
  // Beside the work: 2 + 0.5 + 3 for the first, then the slower stage.
  EXPECT_NEAR(MicroBatchedSeconds(program, 1, true).value(), 5.5, kClose);
  EXPECT_NEAR(MicroBatchedSeconds(program, 4, true).value(), 5.5 + 3 * 3, kClose);
  // Occupying both stages, each message lies between two turns of either stage.
  EXPECT_NEAR(MicroBatchedSeconds(program, 1, false).value(), 5.5, kClose);
  EXPECT_NEAR(MicroBatchedSeconds(program, 4, false).value(), 5.5 + 3 * 3.5, kClose);
}

TEST(PipelineTest, SteadyStateIsTheSlowestStage) {
  const PipelineProgram program = Line({2, 3, 1}, {0.5, 0.25});
  const SteadyState beside = FindSteadyState(program, true).value();
  EXPECT_NEAR(beside.seconds_between_answers, 3, kClose);
  EXPECT_NEAR(beside.working[0], 2.0 / 3, kClose);
  EXPECT_NEAR(beside.working[1], 1, kClose);
  EXPECT_NEAR(beside.bubble, 1 - 6.0 / 9, kClose);
  EXPECT_EQ(beside.messaging, (std::vector<double>{0, 0, 0}));
  const SteadyState occupied = FindSteadyState(program, false).value();
  EXPECT_NEAR(occupied.seconds_between_answers, 0.5 + 3 + 0.25, kClose);
  EXPECT_NEAR(occupied.messaging[1], 0.75 / 3.75, kClose);
}

TEST(PipelineTest, AMessageSlowerThanEveryStageSetsThePace) {
  const PipelineProgram program = Line({1, 1}, {4});
  EXPECT_NEAR(FindSteadyState(program, true)->seconds_between_answers, 4, kClose);
  EXPECT_NEAR(FindSteadyState(program, false)->seconds_between_answers, 5, kClose);
}

TEST(PipelineTest, TokensOfASequenceWaitForEachOther) {
  // Two sequences in two stages, four tokens each: both stages always have one of them.
  const PipelineProgram program = Line({1, 1}, {0});
  std::vector<SimulatedRun> runs(2);
  for (int i = 2; i < 8; ++i) runs.push_back({.after = i - 2});
  EXPECT_NEAR(SimulateRuns({program}, runs, {})->seconds, 9, kClose);
  // One sequence: nothing overlaps.
  runs.assign(1, {});
  for (int i = 1; i < 4; ++i) runs.push_back({.after = i - 1});
  EXPECT_NEAR(SimulateRuns({program}, runs, {})->seconds, 8, kClose);
}

TEST(PipelineTest, RunsBeginWhenTheyArriveAndInTheirOrder) {
  const Simulation all =
      SimulateRuns({Line({1, 2}, {0}), Line({5, 1}, {0})}, {{.program = 1}, {.arrival = 9}}, {.recorded_runs = 1})
          .value();
  EXPECT_NEAR(all.runs[0].end, 6, kClose);
  EXPECT_NEAR(all.runs[1].begin, 9, kClose);
  EXPECT_NEAR(all.runs[1].end, 12, kClose);
  // Work and send of the first stage, receive and work of the second, of the run that is recorded.
  ASSERT_EQ(all.events.size(), 4u);
  EXPECT_EQ(all.events[3].stage, 1);
  EXPECT_NEAR(all.events[3].begin, 5, kClose);
  EXPECT_NEAR(all.events[3].end, 6, kClose);
}

TEST(PipelineTest, AValueForALateStageHoldsNobodyUpWhenSendsAreBuffered) {
  // Stage 0 sends to both others; stage 2 takes its message with that of stage 1.
  PipelineProgram program;
  program.stages = {{{Kind::kCompute, 1, -1, "a"}, {Kind::kSend, 0.1, 0, "a"}, {Kind::kSend, 0.1, 1, "a"}},
                    {{Kind::kReceive, 0, 0, "a"}, {Kind::kCompute, 1, -1, "b"}, {Kind::kSend, 0.1, 2, "b"}},
                    {{Kind::kReceive, 0, 1, "a"}, {Kind::kReceive, 0, 2, "b"}, {Kind::kCompute, 1, -1, "c"}}};
  EXPECT_NEAR(MicroBatchedSeconds(program, 1, true).value(), 1 + 0.1 + 1 + 0.1 + 1, kClose);
  EXPECT_NEAR(FindSteadyState(program, true)->seconds_between_answers, 1, kClose);
  EXPECT_GE(FindSteadyState(program, false)->seconds_between_answers, 1.2);
}

TEST(PipelineTest, WhatCannotBeSimulatedIsRefused) {
  PipelineProgram lonely = Line({1, 1}, {1});
  lonely.stages[1].erase(lonely.stages[1].begin());
  EXPECT_THAT(std::string(FindSteadyState(lonely, true).status().message()), HasSubstr("never received"));
  // Each stage first waits for the other.
  PipelineProgram circle;
  circle.stages = {{{Kind::kReceive, 0, 0, "x"}, {Kind::kSend, 1, 1, "y"}},
                   {{Kind::kReceive, 0, 1, "y"}, {Kind::kSend, 1, 0, "x"}}};
  for (bool overlap : {false, true}) {
    const absl::Status status = MicroBatchedSeconds(circle, 1, overlap).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition) << status;
  }
  EXPECT_FALSE(MicroBatchedSeconds(Line({1}, {}), 0, true).ok());
  EXPECT_FALSE(SimulateRuns({Line({1}, {})}, {{.after = 0}}, {}).ok());
  EXPECT_FALSE(SimulateRuns({Line({1}, {})}, {{.program = 1}}, {}).ok());
  EXPECT_FALSE(FindSteadyState(Line({-1}, {}), true).ok());
}

// For lines of random stages: no faster than the slowest stage allows, no run faster than its steps, and within the
// time that doing one run after the other would take.
TEST(PipelineTest, RandomLinesKeepTheirBounds) {
  for (uint32_t seed = 0; seed < 300; ++seed) {
    std::mt19937 rng(seed);
    auto draw = [&] { return static_cast<double>(rng() % 1000) / 1000; };
    std::vector<double> seconds(1 + rng() % 9), messages(seconds.size() - 1);
    std::generate(seconds.begin(), seconds.end(), draw);
    std::generate(messages.begin(), messages.end(), draw);
    const PipelineProgram program = Line(seconds, messages);
    const double sum =
        std::accumulate(seconds.begin(), seconds.end(), 0.0) + std::accumulate(messages.begin(), messages.end(), 0.0);
    double slowest = 0, slowest_occupied = 0;
    for (size_t s = 0; s < seconds.size(); ++s) {
      slowest = std::max({slowest, seconds[s], s < messages.size() ? messages[s] : 0});
      slowest_occupied = std::max(slowest_occupied,
                                  seconds[s] + (s > 0 ? messages[s - 1] : 0) + (s < messages.size() ? messages[s] : 0));
    }
    EXPECT_NEAR(FindSteadyState(program, true)->seconds_between_answers, slowest, kClose) << seed;
    EXPECT_NEAR(FindSteadyState(program, false)->seconds_between_answers, slowest_occupied, kClose) << seed;
    const int count = 1 + static_cast<int>(rng() % 6);
    EXPECT_NEAR(MicroBatchedSeconds(program, count, true).value(), sum + (count - 1) * slowest, kClose) << seed;
    const double occupied = MicroBatchedSeconds(program, count, false).value();
    EXPECT_LE(occupied, count * sum + kClose) << seed;
    EXPECT_GE(occupied, sum + (count - 1) * slowest - kClose) << seed;
  }
}

}  // namespace
}  // namespace omserve
