#include "core/partition/parallel_options.h"

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace omserve {
namespace {

using testing::HasSubstr;

absl::StatusOr<ParallelOptions> Parse(absl::string_view inner) {
  return ParallelOptions::FromJson(absl::StrCat("{\"graph_parallel_option\":{", inner, "}}"), "p.json");
}

TEST(ParallelOptionsTest, SemiAutomatic) {
  auto options = Parse(R"("auto":false,"opt_level":"O1","tensor_parallel_option":{"tensor_parallel_size":2},
      "tensor_sharding":{"optimizer_state_sharding":true,"gradient_sharding":true,"model_weight_sharding":false,
                         "model_weight_prefetch":true,"model_weight_prefetch_buffer_size":50})");
  ASSERT_TRUE(options.ok()) << options.status();
  EXPECT_FALSE(options->automatic);
  EXPECT_EQ(options->opt_level, "O1");
  EXPECT_EQ(options->tensor_parallel_size, 2);
  EXPECT_FALSE(options->weight_sharding);
  EXPECT_TRUE(options->weight_prefetch.ahead);
  EXPECT_EQ(options->weight_prefetch.buffer_bytes, 50 << 20);
}

TEST(ParallelOptionsTest, AutomaticAndDefaults) {
  auto options = Parse(R"("auto":true)");
  ASSERT_TRUE(options.ok()) << options.status();
  EXPECT_TRUE(options->automatic);
  EXPECT_EQ(options->opt_level, "O2");
  EXPECT_FALSE(options->tensor_parallel_size.has_value());
}

TEST(ParallelOptionsTest, PaddingIsOnUnlessSwitchedOff) {
  EXPECT_TRUE(Parse(R"("tensor_parallel_option":{"tensor_parallel_size":2})")->pad_uneven);
  EXPECT_FALSE(Parse(R"("tensor_parallel_option":{"tensor_parallel_size":2,"pad_uneven":false})")->pad_uneven);
  EXPECT_THAT(std::string(
                  Parse(R"("tensor_parallel_option":{"tensor_parallel_size":2,"pad_uneven":1})").status().message()),
              HasSubstr("tensor_parallel_option.pad_uneven"));
}

TEST(ParallelOptionsTest, DocumentedButUnsupported) {
  for (const char* key : {"engine_parallel_option", "optimizer_offload_option", "mode", "work_dir"}) {
    const absl::Status status = Parse(absl::StrCat("\"", key, "\":{}")).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kUnimplemented) << key;
    EXPECT_THAT(std::string(status.message()), HasSubstr(absl::StrCat("p.json.graph_parallel_option.", key)));
  }
  EXPECT_EQ(Parse(R"("pipeline_parallel_option":{"schedule_opt_virtual_stage_num":2})").status().code(),
            absl::StatusCode::kUnimplemented);
  EXPECT_EQ(Parse(R"("tensor_parallel_option":{"tensor_parallel_size":2,"inter_batch_flow_num":2})")
                .status()
                .code(),
            absl::StatusCode::kUnimplemented);
}

TEST(ParallelOptionsTest, PipelineDataParallelAndHints) {
  auto options = Parse(R"("tensor_parallel_option":{"tensor_parallel_size":2},"global_batch_size":-1,
      "pipeline_parallel_option":{"pipe_stage_num":3,"pipeline_strategy":"GPipe","schedule_opt_virtual_stage_num":-1},
      "data_parallel_option":{"data_parallel_size":4},"objective":"throughput","search_seconds":0.3,
      "tensor_sharding":{"model_weight_sharding":true},
      "hints":[{"node":"layer.*.fc1","output_parts":[1,2]}])");
  ASSERT_TRUE(options.ok()) << options.status();
  EXPECT_EQ(options->tensor_parallel_size, 2);
  EXPECT_EQ(options->pipeline_stages, 3);
  EXPECT_EQ(options->data_parallel_size, 4);
  EXPECT_EQ(options->objective, PlanObjective::kThroughput);
  EXPECT_EQ(options->search_seconds, 0.3);
  EXPECT_TRUE(options->weight_sharding);
  EXPECT_FALSE(options->global_batch_size.has_value());
  EXPECT_EQ(Parse(R"("global_batch_size":8)")->global_batch_size, 8);
  ASSERT_EQ(options->hints.size(), 1u);
  EXPECT_EQ(options->hints[0].node, "layer.*.fc1");
  EXPECT_EQ(options->hints[0].output_parts, (std::vector<int64_t>{1, 2}));
  EXPECT_FALSE(Parse(R"("tensor_parallel_option":{"tensor_parallel_size":-1})")->tensor_parallel_size.has_value());
}

TEST(ParallelOptionsTest, ErrorsAreLocated) {
  struct Case {
    const char* inner;
    const char* message;
  };
  for (const Case& c : {
           Case{R"("auto":1)", "p.json.graph_parallel_option.auto: expected true or false, found 1"},
           Case{R"("opt_level":"O3")", "opt_level: expected \"O1\" or \"O2\", found \"O3\""},
           Case{R"("opt_level":2)", "opt_level: expected a string"},
           Case{R"("global_batch_size":0)", "global_batch_size: expected -1 (a request is one run) or the rows of"},
           Case{R"("global_batch_size":"8")", "global_batch_size: expected an integer"},
           Case{R"("tensor_parallel_option":{"tensor_parallel_size":0})",
                "tensor_parallel_option.tensor_parallel_size: expected a count of at least 1"},
           Case{R"("pipeline_parallel_option":{"stages":2})", "unknown key 'stages'; known are pipe_stage_num"},
           Case{R"("pipeline_parallel_option":{"pipeline_strategy":"x"})", "expected \"GPipe\" or \"1F1B\""},
           Case{R"("data_parallel_option":2)", "data_parallel_option: expected an object"},
           Case{R"("objective":"speed")", "objective: expected \"latency\""},
           Case{R"("hints":[{"node":"a","output_parts":[0]}])", "hints[0].output_parts[0]: expected an integer from 1"},
           Case{R"("tensor_parallel_option":{"tensor_parallel_size":"2"})",
                "expected an integer, found \"2\""},
           Case{R"("tensor_parallel_option":{})", "tensor_parallel_size: missing; expected an integer"},
           Case{R"("tensor_parallel_option":2)", "tensor_parallel_option: expected an object"},
           Case{R"("tensor_parallel_option":{"size":2})",
                "unknown key 'size'; known are tensor_parallel_size, inter_batch_flow_num"},
           Case{R"("tensor_sharding":{"x":1})",
                "tensor_sharding: unknown key 'x'; known are optimizer_state_sharding"},
           Case{R"("tensor_sharding":{"gradient_sharding":"yes"})",
                "gradient_sharding: expected true or false"},
           Case{R"("tensor_sharding":{"model_weight_prefetch_buffer_size":-1})",
                "expected an integer from 0"},
           Case{R"("search_seconds":0)", "search_seconds: expected seconds above 0, at most 86400, found 0"},
           Case{R"("search_seconds":"1")", "found \"1\""},
           Case{R"("search_seconds":null)", "found null"},
           Case{R"("search_seconds":1e300)", "at most 86400, found 1e+300"},
           Case{R"("tensor_parallel":{})",
                "unknown key 'tensor_parallel'; known are auto, opt_level, tensor_parallel_option, "
                "tensor_sharding"},
       }) {
    const absl::Status status = Parse(c.inner).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << c.inner;
    EXPECT_THAT(std::string(status.message()), HasSubstr(c.message));
  }
}

TEST(ParallelOptionsTest, TopLevel) {
  EXPECT_THAT(std::string(ParallelOptions::FromJson("{}", "p").status().message()),
              HasSubstr("p.graph_parallel_option: missing"));
  EXPECT_THAT(std::string(ParallelOptions::FromJson(R"({"auto":true})", "p").status().message()),
              HasSubstr("unknown key 'auto'; known are graph_parallel_option"));
  // The sample of older documents lacks a comma.
  EXPECT_THAT(std::string(ParallelOptions::FromJson(
                              "{\"graph_parallel_option\":{\"opt_level\":\"O1\"\n\"auto\":true}}", "p")
                              .status()
                              .message()),
              HasSubstr("p: not valid JSON at line 2"));
  EXPECT_EQ(ParallelOptions::FromFile("/nonexistent/p.json").status().code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace omserve
