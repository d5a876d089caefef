#include "core/simulate/generation.h"

#include "gtest/gtest.h"

namespace omserve {
namespace {

using Kind = SimulatedStep::Kind;

PipelineProgram Stages(int count, double seconds) {
  PipelineProgram program;
  for (int s = 0; s < count; ++s) {
    std::vector<SimulatedStep> steps;
    if (s > 0) steps.push_back({Kind::kReceive, 0, s - 1});
    steps.push_back({Kind::kCompute, seconds});
    if (s + 1 < count) steps.push_back({Kind::kSend, 0, s});
    program.stages.push_back(std::move(steps));
  }
  return program;
}

TEST(GenerationTest, OneDeviceAddsUpItsTokens) {
  Generation generation{
      .prefill = Stages(1, 10), .decode = {{4, Stages(1, 1)}, {8, Stages(1, 3)}}, .in_length = 4, .out_length = 5};
  const GenerationTimes times = PredictGeneration(generation).value();
  EXPECT_DOUBLE_EQ(times.prefill_seconds, 10);
  // With 4, 5, 6 and 7 positions before them.
  EXPECT_DOUBLE_EQ(times.decode_seconds, 1 + 1.5 + 2 + 2.5);
  EXPECT_DOUBLE_EQ(times.seconds, 17);
  generation.out_length = 1;
  EXPECT_DOUBLE_EQ(PredictGeneration(generation)->seconds, 10);
}

TEST(GenerationTest, LinesGoOnBesideWhatIsGiven) {
  const Generation generation{.prefill = Stages(1, 0),
                              .decode = {{10, Stages(1, 1)}, {20, Stages(1, 2)}, {40, Stages(1, 6)}},
                              .in_length = 50,
                              .out_length = 2};
  EXPECT_DOUBLE_EQ(PredictGeneration(generation)->decode_seconds, 8);
}

TEST(GenerationTest, ATokenGoesThroughAllStagesOrWaitsForTheOtherMicroBatches) {
  Generation generation{.prefill = Stages(4, 1), .decode = {{1, Stages(4, 1)}}, .out_length = 11};
  EXPECT_NEAR(PredictGeneration(generation)->decode_seconds, 40, 1e-9);
  generation.decode_micro_batches = 4;  // as many as stages: all stages are busy
  EXPECT_NEAR(PredictGeneration(generation)->decode_seconds, 40, 1e-9);
  generation.decode_micro_batches = 8;
  EXPECT_NEAR(PredictGeneration(generation)->decode_seconds, 80, 1e-9);
  generation.tokens_in_step = true;  // each token fills and empties the pipeline
  EXPECT_NEAR(PredictGeneration(generation)->decode_seconds, 10 * (4 + 7), 1e-9);
  generation.prefill_micro_batches = 3;
  EXPECT_NEAR(PredictGeneration(generation)->prefill_seconds, 4 + 2, 1e-9);
}

TEST(GenerationTest, WhatMakesNoSenseIsRefused) {
  Generation generation{.prefill = Stages(1, 1), .out_length = 2};
  EXPECT_FALSE(PredictGeneration(generation).ok());
  generation.decode = {{5, Stages(1, 1)}, {5, Stages(1, 1)}};
  EXPECT_FALSE(PredictGeneration(generation).ok());
  generation.decode.pop_back();
  EXPECT_TRUE(PredictGeneration(generation).ok());
  generation.in_length = 0;
  EXPECT_FALSE(PredictGeneration(generation).ok());
}

}  // namespace
}  // namespace omserve
