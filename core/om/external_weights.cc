#include "core/om/external_weights.h"

#include <algorithm>
#include <map>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/base/file.h"
#include "core/base/status.h"
#include "core/om/ge_ir_names.h"

namespace omserve {
namespace {

// Front ends spell it differently.
constexpr char kLocationAttr[] = "location";
constexpr const char* kPathAttrs[] = {"file_path", kLocationAttr, "_file_constant_path"};

const ge::proto::AttrDef* LocationOf(const ge::proto::OpDef& op) {
  if (op.type() != kConstType && op.type() != kOlderConstType) return nullptr;
  auto value = op.attr().find(kValueAttr);
  if (value == op.attr().end() || !value->second.has_t()) return nullptr;
  const auto& attrs = value->second.t().desc().attr();
  auto location = attrs.find(kLocationAttr);
  return location == attrs.end() ? nullptr : &location->second;
}

std::string PathOf(const ge::proto::OpDef& op) {
  if (const ge::proto::AttrDef* location = LocationOf(op)) return location->s();
  if (op.type() != kFileConstantType) return "";
  for (const char* name : kPathAttrs) {
    auto it = op.attr().find(name);
    if (it != op.attr().end() && !it->second.s().empty()) return it->second.s();
  }
  return "";
}

absl::StatusOr<Tensor> MapValue(const std::string& folder, const Node& node,
                                std::map<std::string, std::shared_ptr<const MappedFile>>* files) {
  std::string path;
  for (const char* name : kPathAttrs) {
    if (path.empty()) path = node.AttrOr<std::string>(name, "");
  }
  if (path.empty()) return absl::InvalidArgumentError("it names no file (attribute 'file_path')");
  if (node.num_outputs() != 1) return absl::InvalidArgumentError("a FileConstant has exactly one output");
  const TensorDesc& desc = node.output();
  const size_t size = ByteSize(desc);
  ASSIGN_OR_RETURN(const std::string inside, ResolveInside(folder, path));
  std::shared_ptr<const MappedFile>& file = (*files)[inside];
  if (file == nullptr) {
    ASSIGN_OR_RETURN(file, MappedFile::Open(inside));
  }
  const int64_t offset = node.AttrOr<int64_t>("offset", 0);
  const int64_t length = node.AttrOr<int64_t>("length", static_cast<int64_t>(size));
  if (length != static_cast<int64_t>(size)) {
    return absl::InvalidArgumentError(absl::StrCat("its length is ", length, "; ", ToString(desc), " needs ", size, " bytes"));
  }
  if (offset < 0 || static_cast<uint64_t>(offset) > file->size() || size > file->size() - static_cast<uint64_t>(offset)) {
    return absl::InvalidArgumentError(absl::StrCat("bytes [", offset, ", +", size, ") leave file '", path, "' of ",
                                                   file->size(), " bytes"));
  }
  return Tensor::Create(desc, Buffer::OfFile(file, static_cast<size_t>(offset), size));
}

}  // namespace

std::vector<std::string> ExternalWeightFiles(std::string_view air) {
  std::vector<std::string> files;
  if (air.find(kFileConstantType) == air.npos && air.find(kLocationAttr) == air.npos) return files;
  ge::proto::ModelDef model;
  if (air.size() > INT32_MAX || !model.ParseFromArray(air.data(), static_cast<int>(air.size()))) return files;
  for (const ge::proto::GraphDef& graph : model.graph()) {
    for (const ge::proto::OpDef& op : graph.op()) {
      std::string path = PathOf(op);
      if (!path.empty() && std::find(files.begin(), files.end(), path) == files.end()) files.push_back(std::move(path));
    }
  }
  return files;
}

void NormalizeExternalWeights(ge::proto::GraphDef* graph) {
  for (ge::proto::OpDef& op : *graph->mutable_op()) {
    if (LocationOf(op) == nullptr) continue;
    const std::string path = PathOf(op);
    ge::proto::AttrDef value = std::move((*op.mutable_attr())[kValueAttr]);
    op.mutable_attr()->erase(kValueAttr);
    op.set_type(kFileConstantType);
    (*op.mutable_attr())["file_path"].set_s(path);
    const auto& attrs = value.t().desc().attr();
    for (const char* name : {"offset", "length"}) {
      if (auto it = attrs.find(name); it != attrs.end()) (*op.mutable_attr())[name].set_i(it->second.i());
    }
  }
}

absl::Status MapExternalWeights(const std::string& folder, Graph* graph) {
  std::map<std::string, std::shared_ptr<const MappedFile>> files;
  for (int32_t id : graph->NodeIds()) {
    Node* const node = graph->node(id);
    if (!node->is(kFileConstantType)) continue;
    ASSIGN_OR_RETURN_WITH(Tensor value, MapValue(folder, *node, &files),
                          absl::StrCat("node '", node->name(), "' (FileConstant)"));
    node->set_type(kConstType);
    node->SetConstant(TensorSlice(std::move(value)));
    for (const char* name : {"file_path", "location", "_file_constant_path", "file_id", "offset", "length", "shape", "dtype"}) {
      node->RemoveAttr(name);
    }
  }
  return absl::OkStatus();
}

}  // namespace omserve
