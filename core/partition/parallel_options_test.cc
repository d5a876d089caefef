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
}

TEST(ParallelOptionsTest, AutomaticAndDefaults) {
  auto options = Parse(R"("auto":true)");
  ASSERT_TRUE(options.ok()) << options.status();
  EXPECT_TRUE(options->automatic);
  EXPECT_EQ(options->opt_level, "O2");
  EXPECT_FALSE(options->tensor_parallel_size.has_value());
}

TEST(ParallelOptionsTest, DocumentedButUnsupported) {
  for (const char* key : {"pipeline_parallel_option", "data_parallel_option", "engine_parallel_option",
                          "optimizer_offload_option", "mode", "work_dir", "global_batch_size"}) {
    const absl::Status status = Parse(absl::StrCat("\"", key, "\":{}")).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kUnimplemented) << key;
    EXPECT_THAT(std::string(status.message()), HasSubstr(absl::StrCat("p.json.graph_parallel_option.", key)));
  }
  const absl::Status weights = Parse(R"("tensor_sharding":{"model_weight_sharding":true})").status();
  EXPECT_EQ(weights.code(), absl::StatusCode::kUnimplemented);
  EXPECT_THAT(std::string(weights.message()), HasSubstr("tensor_sharding.model_weight_sharding"));
  EXPECT_EQ(Parse(R"("tensor_parallel_option":{"tensor_parallel_size":2,"inter_batch_flow_num":2})")
                .status()
                .code(),
            absl::StatusCode::kUnimplemented);
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
           Case{R"("tensor_parallel_option":{"tensor_parallel_size":0})",
                "tensor_parallel_option.tensor_parallel_size: expected an integer from 1"},
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
