#include "daemon/coordinator/placement.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace omserve {
namespace {

using ::testing::HasSubstr;

SliceInfo Slice(std::vector<LogicalDeviceId> devices, int64_t weight_bytes = 10) {
  SliceInfo slice;
  slice.name = absl::StrCat("on ", devices[0].ToString());
  slice.devices = std::move(devices);
  slice.weight_bytes = weight_bytes;
  return slice;
}

LogicalDeviceId Id(int node, int item) { return {.node = node, .item = item}; }

// "0@w0/1" for slice 0 on device 1 of worker w0, by replica and slice.
std::string Text(const Placement& placement, const std::vector<PlacementWorker>& workers) {
  return absl::StrJoin(placement.slices, " ", [&](std::string* out, const PlacedSlice& slice) {
    absl::StrAppend(out, slice.slice, "@", workers[slice.worker].name, "/", slice.device);
  });
}

struct Case {
  std::string name;
  std::vector<SliceInfo> slices;
  std::vector<PlacementWorker> workers;
  std::string expected;  // placement, or a part of the error
  absl::StatusCode code = absl::StatusCode::kOk;
  bool literal = true;
};

class PlacementTest : public testing::TestWithParam<Case> {};

TEST_P(PlacementTest, Table) {
  const Case& test = GetParam();
  ModelInfo model;
  model.name = "m";
  model.slices = test.slices;
  absl::StatusOr<Placement> placement = PlaceModel(model, test.workers);
  ASSERT_EQ(placement.status().code(), test.code) << placement.status();
  if (!placement.ok()) {
    EXPECT_THAT(std::string(placement.status().message()), HasSubstr(test.expected));
    return;
  }
  EXPECT_EQ(Text(*placement, test.workers), test.expected);
  EXPECT_EQ(placement->note.empty(), test.literal) << placement->note;
}

const PlacementWorker kTwo{"w0", {{100, 0}, {100, 0}}};

INSTANTIATE_TEST_SUITE_P(
    All, PlacementTest,
    testing::Values(
        Case{"OneNodeTwoItems", {Slice({Id(0, 0)}), Slice({Id(0, 1)})}, {kTwo}, "0@w0/0 1@w0/1"},
        Case{"TwoNodes", {Slice({Id(0, 0)}), Slice({Id(1, 0)})}, {{"w0", {{100, 0}}}, {"w1", {{100, 0}}}},
             "0@w0/0 1@w1/0"},
        Case{"OmNamesThemInItsOwnOrder", {Slice({Id(0, 1)}), Slice({Id(0, 0)})}, {kTwo}, "0@w0/1 1@w0/0"},
        Case{"OneNodeInTheOmTwoWorkersLive", {Slice({Id(0, 0)}), Slice({Id(0, 1)})},
             {{"w0", {{100, 0}}}, {"w1", {{100, 0}}}}, "0@w0/0 1@w1/0", absl::StatusCode::kOk, false},
        Case{"TwoNodesInTheOmOneWorkerLive", {Slice({Id(0, 0)}), Slice({Id(1, 0)})}, {kTwo}, "0@w0/0 1@w0/1",
             absl::StatusCode::kOk, false},
        Case{"NamedDeviceIsFull", {Slice({Id(0, 0)}, 60)}, {{"w0", {{100, 50}, {100, 0}}}}, "0@w0/1",
             absl::StatusCode::kOk, false},
        Case{"SeveralSlicesOnOneDevice", {Slice({Id(0, 0)}), Slice({Id(0, 0)})}, {kTwo}, "0@w0/0 1@w0/0"},
        Case{"SeveralSlicesCountTogether", {Slice({Id(0, 0)}, 60), Slice({Id(0, 0)}, 60)}, {kTwo},
             "need 120 bytes for weights, have at most 100", absl::StatusCode::kResourceExhausted},
        Case{"Replicas", {Slice({Id(0, 0), Id(0, 1)})}, {kTwo}, "0@w0/0 0@w0/1"},
        Case{"AnotherClusterIsNotHere", {Slice({{.cluster = 1}})}, {kTwo}, "0@w0/0", absl::StatusCode::kOk, false},
        Case{"SecondChipIsNotHere", {Slice({{.chip = 1}})}, {kTwo}, "0@w0/0", absl::StatusCode::kOk, false},
        Case{"TooFewDevices", {Slice({Id(0, 0)}), Slice({Id(0, 1)}), Slice({Id(0, 2)})}, {kTwo},
             "needs 3 devices (0:0:0:0, 0:0:1:0, 0:0:2:0), 2 are live; live are: 'w0' with 2",
             absl::StatusCode::kUnavailable},
        Case{"NoWorkers", {Slice({Id(0, 0)})}, {}, "no worker is registered", absl::StatusCode::kUnavailable},
        Case{"NoSlices", {}, {kTwo}, "no slices", absl::StatusCode::kInvalidArgument},
        Case{"UnevenReplicas", {Slice({Id(0, 0), Id(0, 1)}), Slice({Id(1, 0)})}, {kTwo}, "all must have as many",
             absl::StatusCode::kUnimplemented}),
    [](const testing::TestParamInfo<Case>& info) { return info.param.name; });

}  // namespace
}  // namespace omserve
