// Damaged models: every one gives a clean error or a valid graph.
#include <cstdint>
#include <string>

#include "core/import/onnx/import_test_util.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace omserve {
namespace {

using testing::HasSubstr;

// A small model that has something of everything the reader walks through.
std::string Sample() {
  OnnxModelBuilder model(13);
  model.AddInput("x", DataType::kFloat, {kUnknownDim, 3, 8, 8});
  model.AddInit("w", Tensor::Of<float>({2, 3, 1, 1}, {1, 2, 3, 4, 5, 6}));
  model.AddInit("axes", Tensor::Int64s({2, 3}), OnnxStorage::kTyped);
  model.AddExternalInit("b", {DataType::kFloat, {2}}, "b.bin", 0, 8);
  model.AddNode("Conv", {"x", "w"}, {"c"},
                {{"strides", std::vector<int64_t>{1, 1}}, {"auto_pad", std::string("SAME_UPPER")}}, "conv");
  model.AddNode("Constant", {}, {"k"}, {{"value", Tensor::Of<float>({1}, {0.5f})}});
  model.AddNode("Pad", {"c", "pads"}, {"p"}, {{"mode", std::string("constant")}});
  model.AddInit("pads", Tensor::Int64s({0, 0, 1, -1, 0, 0, 1, 1}));
  model.AddNode("Mul", {"p", "k"}, {"m"});
  model.AddNode("Split", {"m"}, {"s", "t"}, {{"axis", 1}});
  model.AddNode("ReduceSum", {"s", "axes"}, {"y"}, {{"keepdims", 0}});
  model.AddOutput("y", DataType::kFloat, {kUnknownDim, 1});
  model.AddOutput("t");
  return model.Serialize();
}

// Imports and, when that succeeds, checks the graph. Returns whether it succeeded.
bool Survives(const std::string& bytes) {
  absl::StatusOr<Graph> graph = ImportOnnx(Buffer::CopyOf(bytes.data(), bytes.size()), "");
  if (!graph.ok()) {
    EXPECT_FALSE(graph.status().message().empty());
    EXPECT_NE(graph.status().code(), absl::StatusCode::kInternal) << graph.status();
    return false;
  }
  EXPECT_TRUE(Verify(*graph).ok()) << Verify(*graph);
  return true;
}

TEST(HostileTest, SampleImports) { EXPECT_TRUE(Survives(Sample())); }

TEST(HostileTest, TruncationAtEveryOffset) {
  const std::string sample = Sample();
  int imported = 0;
  for (size_t size = 0; size < sample.size(); ++size) imported += Survives(sample.substr(0, size));
  // The opset comes after the graph, so nothing shorter is a model.
  EXPECT_EQ(imported, 0);
}

TEST(HostileTest, EveryBitFlipped) {
  const std::string sample = Sample();
  int refused = 0;
  for (size_t bit = 0; bit < 8 * sample.size(); ++bit) {
    std::string damaged = sample;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << bit % 8));
    refused += !Survives(damaged);
  }
  EXPECT_GT(refused, static_cast<int>(sample.size()));
}

// Bytes overwritten by the values that lengths and tags break on.
TEST(HostileTest, EveryByteReplaced) {
  const std::string sample = Sample();
  for (size_t i = 0; i < sample.size(); ++i) {
    for (int value : {0x00, 0xff}) {
      std::string damaged = sample;
      damaged[i] = static_cast<char>(value);
      Survives(damaged);
    }
  }
}

TEST(HostileTest, DamageIsLocated) {
  const std::string sample = Sample();
  const absl::Status status =
      ImportOnnx(Buffer::CopyOf(sample.data(), sample.size() / 2), "").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("not an ONNX model: byte "));
  EXPECT_THAT(std::string(status.message()), HasSubstr("in a ModelProto: field 7 claims "));
  EXPECT_THAT(std::string(ImportOnnx(Buffer(), "").status().message()), HasSubstr("it is empty"));
}

// A length-delimited field.
std::string Field(int number, const std::string& bytes) {
  std::string field(1, static_cast<char>(number << 3 | 2));
  size_t size = bytes.size();
  for (; size > 0x7f; size >>= 7) field.push_back(static_cast<char>((size & 0x7f) | 0x80));
  field.push_back(static_cast<char>(size));
  return field + bytes;
}

TEST(HostileTest, DeepNestingIsNotFollowed) {
  // A subgraph in an attribute of a node of a subgraph, and so on; and sequence types of sequence types.
  std::string graph;
  for (int depth = 0; depth < 20000; ++depth) graph = Field(1, Field(5, Field(6, graph)));
  EXPECT_FALSE(Survives(Field(7, graph)));
  std::string type;
  for (int depth = 0; depth < 20000; ++depth) type = Field(4, Field(1, type));
  EXPECT_FALSE(Survives(Field(7, Field(11, Field(2, type)))));
}

}  // namespace
}  // namespace omserve
