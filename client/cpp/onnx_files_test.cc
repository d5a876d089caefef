#include "client/cpp/onnx_files.h"

#include "core/om/wire.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace omserve::client {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// A length-delimited field of a message.
std::string Bytes(uint32_t field, const std::string& content) {
  std::string out;
  AppendField(field, content, &out);
  return out;
}
std::string Varint(int field, char value) { return {static_cast<char>(field << 3), value}; }

std::string Entry(const std::string& key, const std::string& value) {
  return Bytes(13, Bytes(1, key) + Bytes(2, value));
}
std::string ExternalTensor(const std::string& location) {
  return Entry("offset", "0") + Entry("location", location) + Varint(14, 1);
}
std::string Model(const std::string& graph) { return Varint(1, 8) + Bytes(7, graph); }

std::vector<std::string> Locations(const std::string& model) {
  auto locations = ExternalDataLocations(model);
  EXPECT_TRUE(locations.ok()) << locations.status();
  return locations.value_or(std::vector<std::string>{});
}

TEST(ExternalDataLocationsTest, FindsInitializersEachFileOnce) {
  EXPECT_THAT(Locations(Model(Bytes(5, ExternalTensor("a.bin")) + Bytes(5, ExternalTensor("data/b.bin")) +
                              Bytes(5, ExternalTensor("a.bin")))),
              ElementsAre("a.bin", "data/b.bin"));
}

TEST(ExternalDataLocationsTest, FindsTensorsOfAttributesSubgraphsAndFunctions) {
  const std::string constant = Bytes(1, Bytes(5, Bytes(5, ExternalTensor("attr.bin"))));  // node.attribute.t
  const std::string branch =
      Bytes(1, Bytes(5, Bytes(6, Bytes(5, ExternalTensor("sub.bin")))));  // node.attribute.g
  const std::string sparse = Bytes(15, Bytes(1, ExternalTensor("sparse.bin")));
  const std::string function = Bytes(25, Bytes(7, Bytes(5, Bytes(5, ExternalTensor("function.bin")))));
  EXPECT_THAT(Locations(Model(constant + branch + sparse) + function),
              ElementsAre("attr.bin", "sub.bin", "sparse.bin", "function.bin"));
}

TEST(ExternalDataLocationsTest, IgnoresLocationsOfTensorsThatAreInside) {
  EXPECT_THAT(Locations(Model(Bytes(5, Entry("location", "a.bin") + Varint(14, 0)))), IsEmpty());
  EXPECT_THAT(Locations(""), IsEmpty());
}

TEST(ExternalDataLocationsTest, DamagedModelIsAnError) {
  std::string model = Model(Bytes(5, ExternalTensor("a.bin")));
  model.resize(model.size() - 1);
  EXPECT_EQ(ExternalDataLocations(model).status().code(), absl::StatusCode::kDataLoss);
}

TEST(ExternalDataLocationsTest, EveryTruncationAndEveryFlippedByteEnds) {
  const std::string model = Model(Bytes(1, Bytes(5, Bytes(6, Bytes(5, ExternalTensor("sub.bin"))))));
  for (size_t size = 0; size < model.size(); ++size) {
    ExternalDataLocations(std::string_view(model).substr(0, size)).IgnoreError();
  }
  for (size_t i = 0; i < model.size(); ++i) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string flipped = model;
      flipped[i] ^= static_cast<char>(1 << bit);
      ExternalDataLocations(flipped).IgnoreError();
    }
  }
}

TEST(ExternalDataLocationsTest, NestingIsBounded) {
  std::string graph;
  for (int i = 0; i < 1000; ++i) graph = Bytes(1, Bytes(5, Bytes(6, graph)));
  const auto locations = ExternalDataLocations(Model(graph));
  EXPECT_EQ(locations.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(locations.status().message()), HasSubstr("nest"));
}

}  // namespace
}  // namespace omserve::client
