#include "core/om/model.h"

#include "absl/strings/str_replace.h"
#include "core/om/om_testing.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace omserve {
namespace {

using ::testing::HasSubstr;

TEST(ModelInfoTest, RoundTrip) {
  ModelInfo info = testing::ColumnCut(2).info;
  info.slices[0].devices.push_back({0, 1, 0, 3});
  info.stages = 2;
  info.micro_batches = 4;
  auto read = ModelInfoFromJson(ModelInfoToJson(info));
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(ModelInfoToJson(*read), ModelInfoToJson(info));
  EXPECT_EQ(read->name, info.name);
  EXPECT_EQ(read->inputs, info.inputs);
  EXPECT_EQ(read->outputs, info.outputs);
  EXPECT_EQ(read->groups, info.groups);
  EXPECT_EQ(read->build, info.build);
  EXPECT_EQ(read->stages, 2);
  EXPECT_EQ(read->micro_batches, 4);
  EXPECT_EQ(read->request_inputs()[0].desc.shape[0], 4 * info.inputs[0].desc.shape[0]);
  ASSERT_EQ(read->slices.size(), 2u);
  EXPECT_EQ(read->slices[0].devices, info.slices[0].devices);
  EXPECT_EQ(read->slices[1].outputs, info.slices[1].outputs);
  EXPECT_EQ(read->slices[1].inputs, info.slices[1].inputs);
  EXPECT_EQ(read->slices[1].weight_bytes, info.slices[1].weight_bytes);
}

struct Change {
  void (*apply)(ModelInfo*);
  const char* message;
};

TEST(ModelInfoTest, InconsistenciesAreLocated) {
  for (const Change& change : {
           Change{[](ModelInfo* m) { m->name = ""; }, "the model's name is empty"},
           Change{[](ModelInfo* m) { m->name = "\xff"; }, "is not UTF-8"},
           Change{[](ModelInfo* m) { m->inputs[0].name = ""; }, "inputs[0].name is empty"},
           Change{[](ModelInfo* m) { m->inputs.push_back(m->inputs[0]); }, "inputs[1]: 'x' is given twice"},
           Change{[](ModelInfo* m) { m->inputs[0].desc.shape = {-1}; }, "inputs[0]: shape [?] is not static"},
           Change{[](ModelInfo* m) { m->inputs[0].desc.shape.assign(9, 1); }, "inputs[0]: rank 9; at most 8"},
           Change{[](ModelInfo* m) { m->inputs[0].desc.type = DataType::kString; }, "inputs[0]: string"},
           Change{[](ModelInfo* m) {
                    m->outputs[0].desc.shape = {int64_t{1} << 40, int64_t{1} << 40};
                  },
                  "outputs[0]"},
           Change{[](ModelInfo* m) { m->stages = 3; }, "stages: 3 of 2 slices"},
           Change{[](ModelInfo* m) { m->micro_batches = 0; }, "micro_batches: 0"},
           Change{[](ModelInfo* m) {
                    m->inputs[0].desc.shape[0] = int64_t{1} << 59;
                    m->micro_batches = 64;
                  },
                  "inputs of a request[0]"},
           Change{[](ModelInfo* m) { m->slices.clear(); }, "slices: expected 1 to 4094 slices, found 0"},
           Change{[](ModelInfo* m) { m->slices[1].name = m->slices[0].name; },
                  "slices[1]: 'mlp_rank0' is given twice"},
           Change{[](ModelInfo* m) { m->slices[1].devices.clear(); },
                  "slices[1].devices: expected at least one"},
           Change{[](ModelInfo* m) { m->slices[0].devices.push_back(m->slices[0].devices[0]); },
                  "is given twice"},
           Change{[](ModelInfo* m) { m->slices[0].inputs = {1}; }, "slices[0].inputs: input 1 of 1"},
           Change{[](ModelInfo* m) { m->slices[0].inputs = {-1}; }, "slices[0].inputs: input -1 of 1"},
           Change{[](ModelInfo* m) { m->slices[0].weight_bytes = -1; }, "slices[0].weight_bytes"},
           Change{[](ModelInfo* m) { m->slices[1].outputs[0].output = 1; },
                  "slices[1].outputs[0]: output 1 of 1"},
           Change{[](ModelInfo* m) {
                    m->slices[1].outputs[0].begin = {0, 5};
                  },
                  "slices[1].outputs[0]: the box at [0,5] of extent [2,4] leaves the output of shape [2,8]"},
           Change{[](ModelInfo* m) { m->slices[1].outputs[0].begin = {0}; }, "slices[1].outputs[0]: the box"},
           Change{[](ModelInfo* m) {
                    m->slices[1].outputs[0].begin = {0, INT64_MAX};
                  },
                  "leaves the output"},
           Change{[](ModelInfo* m) {
                    m->slices[1].outputs[0].begin = {0, 3};
                  },
                  "outputs[0] 'y': the pieces of the slices do not cover it"},
           Change{[](ModelInfo* m) { m->slices[1].outputs.clear(); }, "do not cover it"},
           Change{[](ModelInfo* m) { m->groups.push_back(m->groups[0]); }, "groups[1]: 'tp' is given twice"},
           Change{[](ModelInfo* m) { m->groups[0].ranks = {}; }, "groups[0].ranks: expected at least one"},
           Change{[](ModelInfo* m) {
                    m->groups[0].ranks = {0, 2};
                  },
                  "groups[0].ranks: rank 2 of 2 slices"},
           Change{[](ModelInfo* m) {
                    m->groups[0].ranks = {0, 0};
                  },
                  "groups[0].ranks: 0 is given twice"},
           Change{[](ModelInfo* m) { m->build["k"] = "\xff"; }, "build.k: is not UTF-8"},
       }) {
    ModelInfo info = testing::ColumnCut(2).info;
    change.apply(&info);
    const absl::Status status = CheckModelInfo(info);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << change.message;
    EXPECT_THAT(std::string(status.message()), HasSubstr(change.message));
    EXPECT_FALSE(ModelInfoFromJson(ModelInfoToJson(info)).ok() && info.name != "\xff" &&
                 info.build["k"] != "\xff")
        << change.message;
  }
}

TEST(ModelInfoTest, OverlappingPiecesMayCover) {
  ModelInfo info = testing::ColumnCut(1).info;
  info.slices[0].outputs = {{0, {0, 0}, {2, 5}}, {0, {0, 3}, {1, 5}}, {0, {1, 4}, {1, 4}}};
  EXPECT_TRUE(CheckModelInfo(info).ok());
  info.slices[0].outputs[2].begin = {1, 3};
  EXPECT_FALSE(CheckModelInfo(info).ok());
}

TEST(ModelInfoTest, EmptyOutputsNeedAProducer) {
  ModelInfo info = testing::ColumnCut(1).info;
  info.outputs[0].desc.shape = {2, 0};
  info.slices[0].outputs = {{0, {0, 0}, {2, 0}}};
  EXPECT_TRUE(CheckModelInfo(info).ok());
  info.slices[0].outputs.clear();
  EXPECT_FALSE(CheckModelInfo(info).ok());
}

TEST(ModelInfoTest, ManyDifferentPiecesAreBounded) {
  ModelInfo info = testing::ColumnCut(1).info;
  info.outputs[0].desc.shape.assign(8, 64);
  info.slices[0].outputs.clear();
  for (int64_t i = 0; i < 32; ++i) {
    info.slices[0].outputs.push_back({0, std::vector<int64_t>(8, i), Shape(8, 32)});
  }
  EXPECT_THAT(std::string(CheckModelInfo(info).message()), HasSubstr("too many different pieces"));
}

TEST(ModelInfoTest, WrongJsonIsLocated) {
  const std::string good = ModelInfoToJson(testing::ColumnCut(2).info);
  struct Replacement {
    const char* from;
    const char* to;
    const char* message;
  };
  for (const Replacement& r : {
           Replacement{"\"name\":\"mlp\",", "", "model info.name: missing; expected a string"},
           Replacement{"\"name\":\"mlp\"", "\"name\":7", "model info.name: expected a string, found 7"},
           Replacement{"\"float32\"", "\"float\"", "model info.inputs[0].type: unknown data type 'float'"},
           Replacement{"\"shape\":[2,4]", "\"shape\":[2,\"4\"]",
                       "model info.inputs[0].shape[1]: expected an integer"},
           Replacement{"\"0:0:0:0\"", "\"0:0\"",
                       "model info.slices[0].devices[0]: '0:0' is no logical device id"},
           Replacement{"\"output\":0", "\"output\":-1",
                       "model info.slices[0].outputs[0].output: expected an integer from 0"},
           Replacement{"\"groups\":", "\"grupos\":", "model info: unknown key 'grupos'"},
           Replacement{"\"build\":{\"source\":\"test\"}", "\"build\":[]",
                       "model info.build: expected an object"},
           Replacement{"\"test\"", "1", "model info.build.source: expected a string"},
       }) {
    std::string text = good;
    const size_t at = text.find(r.from);
    ASSERT_NE(at, std::string::npos) << r.from;
    text.replace(at, std::string(r.from).size(), r.to);
    const absl::Status status = ModelInfoFromJson(text).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(status.message()), HasSubstr(r.message));
  }
}

}  // namespace
}  // namespace omserve
