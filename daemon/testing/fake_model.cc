#include "daemon/testing/fake_model.h"

#include <cstdio>
#include <filesystem>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/base/file.h"
#include "core/base/sha256.h"
#include "core/base/status.h"
#include "daemon/testing/fake_parts.h"

namespace omserve {
namespace {

constexpr size_t kHeaderBytes = 256;

}  // namespace

std::string FakeOm(const FakeModelOptions& options) {
  std::string om = absl::StrCat("fake-om ", options.name, " ", options.slices, " ", options.replicas, " ",
                                options.slice_bytes, " ", options.stages, "\n");
  om.resize(kHeaderBytes, ' ');
  for (int slice = 0; slice < options.slices; ++slice) {
    std::string content = FakeSlice(2, 2, options.slice_bytes);
    content.back() = static_cast<char>('a' + slice);  // slices differ
    om += content;
  }
  return om;
}

absl::StatusOr<std::shared_ptr<const ModelContent>> OpenFakeModel(const std::string& path) {
  ASSIGN_OR_RETURN(std::shared_ptr<const MappedFile> file, MappedFile::Open(path));
  FakeModelOptions options;
  char name[100] = "";
  const std::string header(file->view().substr(0, kHeaderBytes));
  if (std::sscanf(header.c_str(), "fake-om %99s %d %d %zu %d", name, &options.slices, &options.replicas,
                  &options.slice_bytes, &options.stages) != 5 ||
      file->size() != kHeaderBytes + options.slices * options.slice_bytes) {
    return absl::DataLossError(absl::StrCat(std::filesystem::path(path).filename().string(), ": header: no fake OM"));
  }
  auto content = std::make_shared<ModelContent>();
  content->digest = Sha256::Of(file->data(), file->size());
  content->files = {std::filesystem::path(path).filename().string()};
  ModelInfo& info = content->info;
  info.name = name;
  info.inputs = {{"x", {DataType::kFloat, {4}}}, {"w", {DataType::kFloat, {4}}}};
  info.outputs = {{"y", {DataType::kFloat, {4 * options.slices}}}, {"z", {DataType::kFloat, {4}}}};
  info.stages = options.stages;
  info.build["plan"] = "a fake plan";
  HcomGroup group{"tp", {}};
  for (int rank = 0; rank < options.slices; ++rank) {
    SliceInfo slice;
    slice.name = absl::StrCat(name, "_rank", rank);
    for (int replica = 0; replica < options.replicas; ++replica) {
      slice.devices.push_back({.node = rank + replica * options.slices});
    }
    slice.inputs = {0, 1};
    slice.outputs = {{0, {4 * rank}, {4}}, {1, {0}, {4}}};
    slice.weight_bytes = static_cast<int64_t>(options.slice_bytes);
    info.slices.push_back(std::move(slice));
    group.ranks.push_back(rank);
    const size_t offset = kHeaderBytes + rank * options.slice_bytes;
    content->submodels.push_back({info.slices.back().name, file, offset, options.slice_bytes,
                                  Sha256::Of(file->data() + offset, options.slice_bytes)});
  }
  if (options.slices > 1) info.groups.push_back(std::move(group));
  return content;
}

std::shared_ptr<const ModelContent> MakeFakeModel(const std::string& folder, const FakeModelOptions& options) {
  const std::string path = absl::StrCat(folder, "/", options.name, ".om");
  WriteFileAtomically(path, FakeOm(options)).IgnoreError();
  return OpenFakeModel(path).value();
}

}  // namespace omserve
