#include "client/cli/onnx_data.h"

#include <filesystem>
#include <map>
#include <memory>
#include <set>
#include <string_view>
#include <system_error>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "core/base/file.h"
#include "core/base/status.h"
#include "core/import/onnx/skeleton.h"
#include "core/import/onnx/weights.h"
#include "core/om/wire.h"
#include "protos/onnx/onnx.pb.h"

namespace omserve::cli {
namespace {

constexpr absl::string_view kSetPrefix = "test_data_set_";

// A model whose graph has this one initializer: what the importer reads tensors from.
Buffer AsModel(std::string_view tensor) {
  std::string initializer;
  AppendFieldHead(onnx::GraphProto::kInitializerFieldNumber, tensor.size(), &initializer);
  std::string graph;
  AppendFieldHead(onnx::ModelProto::kGraphFieldNumber, initializer.size() + tensor.size(), &graph);
  const std::string model = absl::StrCat(graph, initializer, std::string(tensor));
  return Buffer::CopyOf(model.data(), model.size());
}

// "input_0.pb", "input_1.pb", … until there is no next.
absl::StatusOr<std::vector<Tensor>> ReadTensors(const std::filesystem::path& folder, absl::string_view kind) {
  std::vector<Tensor> tensors;
  while (true) {
    const std::filesystem::path path = folder / absl::StrCat(kind, "_", tensors.size(), ".pb");
    if (!std::filesystem::exists(path)) return tensors;
    ASSIGN_OR_RETURN(Tensor tensor, ReadOnnxTensor(path.string()));
    tensors.push_back(std::move(tensor));
  }
}

}  // namespace

absl::StatusOr<Tensor> ReadOnnxTensor(const std::string& path) {
  ASSIGN_OR_RETURN(const std::shared_ptr<const MappedFile> file, MappedFile::Open(path));
  const Buffer model = AsModel(file->view());
  ASSIGN_OR_RETURN_WITH(const onnx::ModelProto skeleton, ParseSkeleton(model.view()), path);
  WeightLoader loader(model, /*folder=*/"");
  ASSIGN_OR_RETURN_WITH(Tensor tensor, loader.Load(skeleton.graph().initializer(0)), path);
  return tensor;
}

absl::StatusOr<std::vector<std::string>> OnnxInputNames(const std::string& model_path) {
  ASSIGN_OR_RETURN(const std::shared_ptr<const MappedFile> file, MappedFile::Open(model_path));
  ASSIGN_OR_RETURN_WITH(const onnx::ModelProto skeleton, ParseSkeleton(file->view()), model_path);
  std::set<std::string> initializers;
  for (const onnx::TensorProto& tensor : skeleton.graph().initializer()) initializers.insert(tensor.name());
  std::vector<std::string> names;
  for (const onnx::ValueInfoProto& input : skeleton.graph().input()) {
    if (!initializers.contains(input.name())) names.push_back(input.name());
  }
  return names;
}

absl::StatusOr<std::vector<DataSet>> ReadDataSets(const std::string& folder) {
  std::map<int, std::filesystem::path> by_number;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    const std::string name = entry.path().filename().string();
    int number = 0;
    if (absl::StartsWith(name, kSetPrefix) && absl::SimpleAtoi(name.substr(kSetPrefix.size()), &number)) {
      by_number.emplace(number, entry.path());
    }
  }
  if (error)
    return absl::NotFoundError(absl::StrCat("cannot read the folder ", folder, ": ", error.message()));
  if (by_number.empty()) return absl::NotFoundError(absl::StrCat("no ", kSetPrefix, "* in ", folder));

  std::vector<DataSet> sets;
  for (const auto& [number, path] : by_number) {
    DataSet& set = sets.emplace_back(DataSet{.name = path.filename().string()});
    ASSIGN_OR_RETURN(set.inputs, ReadTensors(path, "input"));
    ASSIGN_OR_RETURN(set.outputs, ReadTensors(path, "output"));
    if (set.outputs.empty())
      return absl::InvalidArgumentError(absl::StrCat("there is no output_0.pb in ", path.string()));
  }
  return sets;
}

}  // namespace omserve::cli
