#include "client/atc/options.h"

#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace omserve::atc {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

using Arguments = std::vector<std::string>;

Arguments Plain(const Arguments& more) {
  Arguments arguments = {"--model=m.onnx", "--framework=5", "--soc_version=Ascend910B1", "--output=m"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

TEST(ParseOptions, TheDocumentedInvocations) {
  const Arguments invocations[] = {
      {"--model=xxx.air", "--framework=1", "--soc_version=Ascend910B1", "--output=xxx", "--cluster_config=./numa_config.json",
       "--distributed_cluster_build=1"},
      {"--model=./matmul2.onnx", "--distributed_cluster_build=1", "--cluster_config=./numa_config_2p.json",
       "--enable_graph_parallel=1", "--graph_parallel_option_path=./parallel_option.json", "--soc_version=Ascend910B1",
       "--output=test_parallel", "--framework=5", "--log=debug"},
      {"--distributed_cluster_build=1", "--cluster_config=../numa_config_4p.json", "--shard_model_dir=../1_air",
       "--model_relation_config=./model_relation_config.json", "--output=1_increase_4p", "--framework=1", "--log=debug",
       "--soc_version=Ascend910B1"},
      {"--model=xxx.air", "--framework=1", "--soc_version=Ascend910B1", "--output=out", "--cluster_config=numa_config.json"},
  };
  for (const Arguments& invocation : invocations) {
    const absl::StatusOr<Options> options = ParseOptions(invocation);
    ASSERT_TRUE(options.ok()) << options.status();
    EXPECT_TRUE(options->without_effect.empty());
  }
  EXPECT_TRUE(ParseOptions(invocations[1])->parallel);
  EXPECT_TRUE(ParseOptions(invocations[2])->slices());
  EXPECT_FALSE(ParseOptions(invocations[3])->distributed);
}

TEST(ParseOptions, ValuesAsWordsOfTheirOwn) {
  const absl::StatusOr<Options> options =
      ParseOptions({"--model", "m.air", "--framework", "1", "--soc_version", "x", "--output", "out/m", "--precision_mode", "force_fp32"});
  ASSERT_TRUE(options.ok()) << options.status();
  EXPECT_EQ((*options)["model"], "m.air");
  EXPECT_EQ((*options)["log"], "null");  // the default
  EXPECT_THAT(options->without_effect, ElementsAre("precision_mode"));
}

TEST(ParseOptions, Help) {
  EXPECT_TRUE(ParseOptions({"--help"})->help);
  EXPECT_TRUE(ParseOptions({"--h"})->help);
  EXPECT_THAT(HelpText(), HasSubstr("--distributed_cluster_build"));
}

struct Refusal {
  Arguments arguments;
  const char* code;
  const char* names;
};

TEST(ParseOptions, EachRefusalHasItsCode) {
  const Refusal refusals[] = {
      {{"--nonsense=1"}, "E10053", "--nonsense"},
      {{"model.onnx"}, "E10053", "model.onnx"},
      {{"--mode"}, "E10004", "--mode"},
      {{"--output="}, "E10004", "--output"},
      {Plain({"--model=again.onnx"}), "E10053", "given twice"},
      {Plain({"--distributed_cluster_build=2"}), "E10006", "[2]"},
      {Plain({"--enable_single_stream=1"}), "E10005", "--enable_single_stream"},
      {Plain({"--buffer_optimize=l3"}), "E10001", "l1_optimize"},
      {Plain({"--log=loud"}), "E10010", "loud"},
      {{"--mode=7"}, "E10001", "--mode"},
      {{"--mode=3"}, "E10055", "--mode"},
      {{"--mode=5"}, "E10055", "--mode"},
      {{"--framework=0"}, "E10055", "Caffe"},
      {{"--framework=3"}, "E10055", "TensorFlow"},
      {{"--framework=4"}, "E10001", "1, 5"},
      {{"--model=m.onnx", "--framework=5", "--output=m"}, "E10054", "--soc_version"},
      {{"--model=m.onnx", "--soc_version=x", "--output=m"}, "E10007", "--framework"},
      {{"--model=m.onnx", "--framework=5", "--soc_version=x"}, "E10054", "--output"},
      {{"--model=m.onnx", "--framework=5", "--soc_version=x", "--output=dir/"}, "E10022", "dir/"},
      {{"--framework=5", "--soc_version=x", "--output=m"}, "E10054", "--model"},
      {Plain({"--precision_mode=force_fp16", "--precision_mode_v2=fp16"}), "E10056", "--precision_mode_v2"},
      {Plain({"--dynamic_batch_size=1,2"}), "E10055", "--dynamic_batch_size"},
      {Plain({"--dynamic_dims=1;2"}), "E10055", "--input_shape"},
      {Plain({"--insert_op_conf=a.cfg"}), "E10055", "AIPP"},
      {Plain({"--out_nodes=a:0"}), "E10055", "--out_nodes"},
      {Plain({"--singleop=a.json"}), "E10055", "--singleop"},
      {Plain({"--enable_graph_parallel=1"}), "E10057", "--distributed_cluster_build"},
      {Plain({"--graph_parallel_option_path=p.json"}), "E10057", "--enable_graph_parallel"},
      {Plain({"--distributed_cluster_build=1", "--graph_parallel_option_path=p.json"}), "E10057", "--enable_graph_parallel"},
      {Plain({"--distributed_cluster_build=1", "--enable_graph_parallel=1"}), "E10054", "--graph_parallel_option_path"},
      {Plain({"--distributed_cluster_build=1", "--enable_graph_parallel=1", "--graph_parallel_option_path=p.json"}), "E10054",
       "--cluster_config"},
      {Plain({"--shard_model_dir=d"}), "E10057", "--model_relation_config"},
      {Plain({"--model_relation_config=r.json"}), "E10057", "--shard_model_dir"},
      {Plain({"--shard_model_dir=d", "--model_relation_config=r.json"}), "E10057", "--distributed_cluster_build"},
      {Plain({"--shard_model_dir=d", "--model_relation_config=r.json", "--distributed_cluster_build=1"}), "E10056", "--model"},
      {{"--shard_model_dir=d", "--model_relation_config=r.json", "--distributed_cluster_build=1", "--framework=1",
        "--soc_version=x", "--output=m"},
       "E10054", "--cluster_config"},
      {{"--shard_model_dir=d", "--model_relation_config=r.json", "--distributed_cluster_build=1", "--framework=1",
        "--soc_version=x", "--output=m", "--cluster_config=c.json", "--enable_graph_parallel=1"},
       "E10056", "--enable_graph_parallel"},
      {{"--mode=1", "--om=m.om"}, "E10054", "--json"},
      {{"--mode=1", "--json=m.json"}, "E10054", "--om"},
      {{"--mode=1", "--json=m.json", "--model=m.onnx"}, "E10007", "--framework"},
      {{"--mode=6"}, "E10054", "--om"},
  };
  for (const Refusal& refusal : refusals) {
    const absl::Status status = ParseOptions(refusal.arguments).status();
    EXPECT_THAT(std::string(status.message()), HasSubstr(refusal.names)) << refusal.code;
    EXPECT_TRUE(absl::StartsWith(status.message(), std::string(refusal.code) + ": ")) << status;
  }
}

}  // namespace
}  // namespace omserve::atc
