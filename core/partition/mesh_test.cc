#include "core/partition/mesh.h"

#include <numeric>

#include "core/partition/sharding.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace omserve {
namespace {

using testing::ElementsAre;

Mesh MeshOf(int size) {
  std::vector<int> devices(static_cast<size_t>(size));
  std::iota(devices.begin(), devices.end(), 0);
  return Mesh(devices);
}

TEST(MeshTest, AxesArePrimes) {
  EXPECT_EQ(MeshOf(1).ToString(), "1");
  EXPECT_EQ(MeshOf(8).ToString(), "2x2x2");
  EXPECT_EQ(MeshOf(6).ToString(), "3x2");
  EXPECT_EQ(MeshOf(7).ToString(), "7");
}

TEST(MeshTest, GroupsFollowTheOrderOfTheirAxes) {
  const Mesh mesh = MeshOf(6);  // rank = 2 * c0 + c1
  EXPECT_THAT(mesh.GroupOf(3, AxisList{0}), ElementsAre(1, 3, 5));
  EXPECT_THAT(mesh.GroupOf(3, AxisList{1}), ElementsAre(2, 3));
  EXPECT_THAT(mesh.GroupOf(3, AxisList{1, 0}), ElementsAre(0, 2, 4, 1, 3, 5));
  EXPECT_EQ(mesh.IndexOn(3, AxisList{1, 0}), 4);
  EXPECT_THAT(mesh.Groups(AxisList{1}), ElementsAre(ElementsAre(0, 1), ElementsAre(2, 3), ElementsAre(4, 5)));
}

TEST(ShardingTest, LocalBoxes) {
  const Mesh mesh = MeshOf(6);
  Sharding sharding = Sharding::Replicated(2);
  sharding.dims[1] = AxisList{1, 0};
  EXPECT_TRUE(IsLegal(mesh, sharding, {4, 12}));
  EXPECT_FALSE(IsLegal(mesh, sharding, {4, 8}));
  EXPECT_FALSE(IsLegal(mesh, sharding, {4, 0}));
  EXPECT_EQ(LocalShape(mesh, sharding, {4, 12}), (Shape{4, 2}));
  EXPECT_THAT(LocalBegin(mesh, sharding, {4, 12}, 3), ElementsAre(0, 8));
  EXPECT_EQ(ToString(sharding), "[-, 1.0]");
  sharding.partial = 1;
  EXPECT_FALSE(IsLegal(mesh, sharding, {4, 12}));  // axis 0 twice
}

}  // namespace
}  // namespace omserve
