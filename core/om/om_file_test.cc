#include "core/om/om_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <fstream>
#include <limits>

#include "core/base/sha256.h"
#include "core/om/om_testing.h"
#include "ge/flow_model.pb.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace omserve {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

void ExpectSlices(const OmFile& om, const SlicedModel& model) {
  ASSERT_EQ(om.submodels().size(), model.graphs.size());
  for (size_t i = 0; i < model.graphs.size(); ++i) {
    EXPECT_EQ(om.submodels()[i].name, model.info.slices[i].name);
    auto graph = testing::ReadSlice(om, i);
    ASSERT_TRUE(graph.ok()) << graph.status();
    EXPECT_EQ(testing::Fingerprint(*graph), testing::Fingerprint(model.graphs[i]));
  }
}

TEST(OmFileTest, RoundTrip) {
  testing::TemporaryFolder folder;
  const SlicedModel model = testing::ColumnCut(4);
  ASSERT_TRUE(WriteOm(model, folder / "m.om").ok());
  auto om = OmFile::Open(folder / "m.om");
  ASSERT_TRUE(om.ok()) << om.status();
  EXPECT_EQ(ModelInfoToJson((*om)->info()), ModelInfoToJson(model.info));
  EXPECT_THAT((*om)->files(), ElementsAre("m.om"));
  EXPECT_EQ((*om)->total_bytes(), std::filesystem::file_size(folder / "m.om"));
  EXPECT_TRUE(Sha256::IsDigest((*om)->digest()));
  EXPECT_TRUE((*om)->VerifyDigests().ok());
  ExpectSlices(**om, model);
  const OmSubmodel& submodel = (*om)->submodels()[2];
  EXPECT_EQ(submodel.digest, Sha256::Of(submodel.file->data() + submodel.offset, submodel.size));
}

TEST(OmFileTest, ConstantsShareTheMappedFile) {
  testing::TemporaryFolder folder;
  ASSERT_TRUE(WriteOm(testing::ColumnCut(2), folder / "m.om").ok());
  auto om = OmFile::Open(folder / "m.om");
  ASSERT_TRUE(om.ok());
  auto graph = testing::ReadSlice(**om, 1);
  ASSERT_TRUE(graph.ok());
  const MappedFile& file = *(*om)->submodels()[1].file;
  for (const char* name : {"w", "b"}) {
    const std::byte* data = graph->FindNode(name)->constant()->source().data();
    EXPECT_GE(data, file.data());
    EXPECT_LT(data, file.data() + file.size());
    EXPECT_EQ(reinterpret_cast<uintptr_t>(data) % 512, 0u);
  }
  // The graph keeps the file mapped.
  om->reset();
  EXPECT_FLOAT_EQ(graph->FindNode("w")->constant()->Materialize().values<float>()[0], 5);
}

TEST(OmFileTest, EqualModelsHaveEqualBytes) {
  testing::TemporaryFolder folder;
  ASSERT_TRUE(WriteOm(testing::ColumnCut(2), folder / "a.om").ok());
  ASSERT_TRUE(WriteOm(testing::ColumnCut(2), folder / "b.om").ok());
  EXPECT_EQ(*ReadFile(folder / "a.om"), *ReadFile(folder / "b.om"));
  SlicedModel other = testing::ColumnCut(2);
  other.info.build["source"] = "other";
  ASSERT_TRUE(WriteOm(other, folder / "c.om").ok());
  EXPECT_NE((*OmFile::Open(folder / "a.om"))->digest(), (*OmFile::Open(folder / "c.om"))->digest());
}

TEST(OmFileTest, LargeSubmodelsLieBeside) {
  testing::TemporaryFolder folder;
  SlicedModel model = testing::ColumnCut(2);
  model.info.slices[0].name = "a/b ..";
  OmWriteOptions options;
  options.max_embedded_bytes = 100;
  ASSERT_TRUE(WriteOm(model, folder / "m.om", options).ok());
  auto om = OmFile::Open(folder / "m.om");
  ASSERT_TRUE(om.ok()) << om.status();
  EXPECT_THAT((*om)->files(), ElementsAre("m.om", "m/slice0_a_b_...om", "m/mlp_rank1.om"));
  EXPECT_TRUE((*om)->VerifyDigests().ok());
  ExpectSlices(**om, model);
  uint64_t total = 0;
  for (const std::string& file : (*om)->files()) total += std::filesystem::file_size(folder / file);
  EXPECT_EQ((*om)->total_bytes(), total);

  std::filesystem::resize_file(folder / "m/mlp_rank1.om", 1000);
  EXPECT_THAT(std::string(OmFile::Open(folder / "m.om").status().message()),
              HasSubstr("submodel 'mlp_rank1': its OM has 1000 bytes, stated are"));
  std::filesystem::remove(folder / "m/mlp_rank1.om");
  EXPECT_EQ(OmFile::Open(folder / "m.om").status().code(), absl::StatusCode::kNotFound);
}

TEST(OmFileTest, AnOmWithoutEndingGetsAnotherFolder) {
  testing::TemporaryFolder folder;
  OmWriteOptions options;
  options.max_embedded_bytes = 0;
  ASSERT_TRUE(WriteOm(testing::ColumnCut(1), folder / "m", options).ok());
  auto om = OmFile::Open(folder / "m");
  ASSERT_TRUE(om.ok()) << om.status();
  EXPECT_THAT((*om)->files(), ElementsAre("m", "m.slices/mlp_rank0.om"));
}

// A writer that lies: replaces a text in the frame by one of equal length, and seals the frame again.
void Forge(const std::string& path, const std::string& from, const std::string& to) {
  ASSERT_EQ(from.size(), to.size());
  std::string bytes = *ReadFile(path);
  auto om = OmFile::Open(path);
  ASSERT_TRUE(om.ok());
  const std::string digest = (*om)->digest();
  const size_t at = bytes.find(from);
  ASSERT_NE(at, std::string::npos) << from;
  bytes.replace(at, from.size(), to);
  const size_t digest_at = bytes.find(digest);
  ASSERT_NE(digest_at, std::string::npos);
  bytes.replace(digest_at, 64, std::string(64, '0'));
  std::string frame = bytes;
  for (auto submodel = (*om)->submodels().rbegin(); submodel != (*om)->submodels().rend(); ++submodel) {
    if (submodel->file->path() == path) frame.erase(submodel->offset, submodel->size);
  }
  bytes.replace(digest_at, 64, Sha256::Of(frame));
  ASSERT_TRUE(WriteFileAtomically(path, bytes).ok());
}

TEST(OmFileTest, PathsDoNotLeaveTheFolder) {
  testing::TemporaryFolder folder;
  OmWriteOptions options;
  options.max_embedded_bytes = 0;
  ASSERT_TRUE(WriteOm(testing::ColumnCut(1), folder / "model.om", options).ok());
  Forge(folder / "model.om", "model/mlp_rank0.om", "../../../etc/passw");
  EXPECT_EQ(OmFile::Open(folder / "model.om").status().code(), absl::StatusCode::kPermissionDenied);
}

TEST(OmFileTest, ForgedFramesAreChecked) {
  struct Case {
    const char* from;
    const char* to;
    absl::StatusCode code;
    const char* message;
  };
  for (const Case& c : {
           Case{"\"devices\":[\"0:0:1:0\"]", "\"devices\":[\"0:0:3:0\"]", absl::StatusCode::kDataLoss,
                "submodel 'mlp_rank1': it is deployed on 0:0:1:0"},
           Case{"\"name\":\"mlp_rank1\"", "\"name\":\"mlp_rank9\"", absl::StatusCode::kDataLoss,
                "no submodel 'mlp_rank9'"},
           Case{"\"begin\":[0,4]", "\"begin\":[0,5]", absl::StatusCode::kInvalidArgument,
                "leaves the output"},
           Case{"omserve.slice", "omserve.slyce", absl::StatusCode::kFailedPrecondition,
                "no entry 'omserve.slice'"},
       }) {
    testing::TemporaryFolder folder;
    ASSERT_TRUE(WriteOm(testing::ColumnCut(2), folder / "m.om").ok());
    Forge(folder / "m.om", c.from, c.to);
    const absl::Status status = OmFile::Open(folder / "m.om").status();
    EXPECT_EQ(status.code(), c.code) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(c.message));
  }
}

TEST(OmFileTest, OtherFiles) {
  testing::TemporaryFolder folder;
  EXPECT_EQ(OmFile::Open(folder / "none.om").status().code(), absl::StatusCode::kNotFound);
  ASSERT_TRUE(WriteFileAtomically(folder / "empty.om", "").ok());
  EXPECT_EQ(OmFile::Open(folder / "empty.om").status().code(), absl::StatusCode::kDataLoss);
  ASSERT_TRUE(WriteFileAtomically(folder / "text.om", std::string(1000, 'x')).ok());
  EXPECT_THAT(std::string(OmFile::Open(folder / "text.om").status().message()),
              HasSubstr("does not begin with \"IMOD\""));

  // A slice alone is an ordinary OM.
  OmWriteOptions options;
  options.max_embedded_bytes = 0;
  ASSERT_TRUE(WriteOm(testing::ColumnCut(1), folder / "m.om", options).ok());
  const absl::Status status = OmFile::Open(folder / "m/mlp_rank0.om").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr("not made for distributed deployment"));
}

TEST(OmFileTest, FlowModelsOfOthers) {
  testing::TemporaryFolder folder;
  ASSERT_TRUE(WriteOm(testing::ColumnCut(1), folder / "m.om").ok());
  std::string bytes = *ReadFile(folder / "m.om");
  bytes.replace(bytes.find("_omserve_model"), 14, "_another_model");
  ASSERT_TRUE(WriteFileAtomically(folder / "other.om", bytes).ok());
  const absl::Status other = OmFile::Open(folder / "other.om").status();
  EXPECT_EQ(other.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(other.message()), HasSubstr("no attribute '_omserve_model'"));
}

TEST(OmFileTest, ANewerFormat) {
  testing::TemporaryFolder folder;
  ASSERT_TRUE(WriteOm(testing::ColumnCut(1), folder / "m.om").ok());
  std::string bytes = *ReadFile(folder / "m.om");
  const size_t at = bytes.find("_omserve_format");
  // Key, then the value: tag 2, length 2, tag of i, the number.
  ASSERT_EQ(bytes[at + 18], 1);
  bytes[at + 18] = 2;
  ASSERT_TRUE(WriteFileAtomically(folder / "newer.om", bytes).ok());
  EXPECT_EQ(OmFile::Open(folder / "newer.om").status().code(), absl::StatusCode::kUnimplemented);
}

TEST(OmFileTest, WriterRefusesWhatDoesNotFit) {
  struct Case {
    void (*apply)(SlicedModel*);
    const char* message;
  };
  for (const Case& c : {
           Case{[](SlicedModel* m) { m->graphs.pop_back(); }, "2 slices and 1 graphs"},
           Case{[](SlicedModel* m) { m->info.slices[0].inputs.clear(); },
                "slice 'mlp_rank0': its graph has 1 inputs"},
           Case{[](SlicedModel* m) { m->graphs[1].AddOutput("z", m->graphs[1].outputs()[0].value); },
                "2 outputs"},
           Case{[](SlicedModel* m) { m->info.inputs[0].desc.type = DataType::kInt32; },
                "slice 'mlp_rank0': input 0 is float32[2,4], but 'x' is int32[2,4]"},
           Case{[](SlicedModel* m) {
                  m->graphs[0].FindNode("fc")->SetOutput(0, {DataType::kFloat, {2, 3}});
                },
                "output 0 is float32[2,3], but it states a piece [2,4] of 'y'"},
           Case{[](SlicedModel* m) {
                  m->graphs[0].mutable_outputs()[0].value = {99, 0};
                },
                "has no producer"},
           Case{[](SlicedModel* m) { m->info.name = ""; }, "the model's name is empty"},
       }) {
    testing::TemporaryFolder folder;
    SlicedModel model = testing::ColumnCut(2);
    c.apply(&model);
    const absl::Status status = WriteOm(model, folder / "m.om");
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(c.message));
    EXPECT_FALSE(std::filesystem::exists(folder / "m.om"));
  }
}

TEST(OmFileTest, WriteErrorsLeaveNothing) {
  EXPECT_EQ(WriteOm(testing::ColumnCut(1), "/nonexistent/folder/m.om").code(), absl::StatusCode::kNotFound);
}

TEST(OmFileTest, SlicesWithoutInputsOrOutputs) {
  testing::TemporaryFolder folder;
  SlicedModel model = testing::ColumnCut(1);
  SliceInfo idle;
  idle.name = "idle";
  idle.devices = {{0, 0, 1, 0}, {0, 0, 2, 0}};
  model.info.slices.push_back(idle);
  Graph graph("idle");
  graph.AddNode("HcomSend", "send", {graph.AddConst("c", testing::Counting({1}))->out()});
  model.graphs.push_back(std::move(graph));
  ASSERT_TRUE(WriteOm(model, folder / "m.om").ok());
  auto om = OmFile::Open(folder / "m.om");
  ASSERT_TRUE(om.ok()) << om.status();
  ExpectSlices(**om, model);
}

TEST(OmFileTest, ProgressEndsAtTheTotal) {
  testing::TemporaryFolder folder;
  OmWriteOptions options;
  std::vector<std::pair<uint64_t, uint64_t>> seen;
  options.progress = [&](uint64_t done, uint64_t total) { seen.emplace_back(done, total); };
  ASSERT_TRUE(WriteOm(testing::ColumnCut(2), folder / "m.om", options).ok());
  ASSERT_FALSE(seen.empty());
  const uint64_t total = std::filesystem::file_size(folder / "m.om");
  for (size_t i = 0; i < seen.size(); ++i) {
    EXPECT_EQ(seen[i].second, total);
    if (i > 0) {
      EXPECT_GT(seen[i].first, seen[i - 1].first);
    }
  }
  EXPECT_EQ(seen.back().first, total);
}

// Memory that is not backed by a file, in bytes.
uint64_t AnonymousMemory() {
  std::ifstream status("/proc/self/status");
  std::string word;
  while (status >> word) {
    uint64_t kilobytes = 0;
    if (word == "RssAnon:" && status >> kilobytes) return kilobytes * 1024;
  }
  return 0;
}

TEST(OmFileTest, MemoryDoesNotGrowWithTheWeights) {
  testing::TemporaryFolder folder;
  constexpr int64_t kRows = 6400, kColumns = 8192;  // 200 MB of float
  const std::string source = folder / "weights";
  { std::ofstream file(source); }
  std::filesystem::resize_file(source, kRows * kColumns * 4);  // sparse
  auto mapped = MappedFile::Open(source);
  ASSERT_TRUE(mapped.ok());
  auto whole =
      Tensor::Create({DataType::kFloat, {kRows, kColumns}}, Buffer::OfFile(*mapped, 0, (*mapped)->size()));
  ASSERT_TRUE(whole.ok());

  SlicedModel model = testing::ColumnCut(2, kRows, kColumns);
  for (int64_t rank = 0; rank < 2; ++rank) {
    const std::vector<int64_t> begin = {0, rank * kColumns / 2};
    model.graphs[static_cast<size_t>(rank)].FindNode("w")->SetConstant(
        *TensorSlice::Create(*whole, begin, {kRows, kColumns / 2}));
  }
  const uint64_t before = AnonymousMemory();
  ASSERT_GT(before, 0u);
  uint64_t most = 0;
  OmWriteOptions options;
  options.progress = [&](uint64_t, uint64_t) { most = std::max(most, AnonymousMemory()); };
  ASSERT_TRUE(WriteOm(model, folder / "m.om", options).ok());
  EXPECT_LT(most, before + (uint64_t{16} << 20));
  auto om = OmFile::Open(folder / "m.om");
  ASSERT_TRUE(om.ok()) << om.status();
  ASSERT_TRUE(testing::ReadSlice(**om, 1).ok());
  EXPECT_LT(AnonymousMemory(), before + (uint64_t{16} << 20));
}

}  // namespace
}  // namespace omserve
