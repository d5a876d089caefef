#include <algorithm>
#include <filesystem>
#include <memory>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "core/base/file.h"
#include "core/base/sha256.h"
#include "core/base/status.h"
#include "core/om/container.h"
#include "core/om/flow_model.h"
#include "core/om/ge_ir.h"
#include "core/om/om_file.h"
#include "core/om/private_data.h"
#include "core/om/slice_om.h"
#include "core/om/wire.h"
#include "ge/flow_model.pb.h"

namespace omserve {
namespace {

constexpr size_t kChunk = size_t{1} << 20;  // digest and write see the same bytes while they are in the cache
constexpr uint32_t kOmDataField = 3;        // SubmodelDef.om_data

// The graphs must be what the model info says of them.
absl::Status CheckSlices(const SlicedModel& model) {
  if (model.graphs.size() != model.info.slices.size()) {
    return absl::InvalidArgumentError(absl::StrCat("the model has ", model.info.slices.size(), " slices and ",
                                                   model.graphs.size(), " graphs"));
  }
  for (size_t s = 0; s < model.graphs.size(); ++s) {
    const SliceInfo& slice = model.info.slices[s];
    const Graph& graph = model.graphs[s];
    const auto error = [&](const auto&... what) {
      return absl::InvalidArgumentError(absl::StrCat("slice '", slice.name, "': ", what...));
    };
    if (graph.inputs().size() != slice.inputs.size() || graph.outputs().size() != slice.outputs.size()) {
      return error("its graph has ", graph.inputs().size(), " inputs and ", graph.outputs().size(),
                   " outputs; it states ", slice.inputs.size(), " and ", slice.outputs.size());
    }
    for (size_t i = 0; i < slice.inputs.size(); ++i) {
      const NamedDesc& input = model.info.inputs[static_cast<size_t>(slice.inputs[i])];
      const TensorDesc& desc = graph.node(graph.inputs()[i])->output();
      if (desc != input.desc) {
        return error("input ", i, " is ", ToString(desc), ", but '", input.name, "' is ",
                     ToString(input.desc));
      }
    }
    RETURN_IF_ERROR_WITH(Verify(graph), absl::StrCat("slice '", slice.name, "'"));
    for (size_t i = 0; i < slice.outputs.size(); ++i) {
      const OutputPiece& piece = slice.outputs[i];
      const NamedDesc& output = model.info.outputs[static_cast<size_t>(piece.output)];
      const TensorDesc& desc = graph.desc(graph.outputs()[i].value);
      if (desc != TensorDesc{output.desc.type, piece.extent}) {
        return error("output ", i, " is ", ToString(desc), ", but it states a piece ", ToString(piece.extent),
                     " of '", output.name, "', which is ", ToString(output.desc));
      }
    }
  }
  return absl::OkStatus();
}

std::string BuildEntry(const ModelInfo& info, const char* key, const char* fallback) {
  auto it = info.build.find(key);
  return it == info.build.end() ? fallback : it->second;
}

InspectionInfo Inspection(const ModelInfo& info) {
  return {
      "omserve " OMSERVE_VERSION, BuildEntry(info, "command", ""), BuildEntry(info, "framework", "Onnx"), {}};
}

// A slice's name as the name of a file.
std::string FileName(const SliceInfo& slice, size_t index) {
  std::string name = slice.name;
  for (char& c : name) {
    if (!absl::ascii_isalnum(static_cast<unsigned char>(c)) && c != '_' && c != '-' && c != '.') c = '_';
  }
  constexpr size_t kMaxLength = 200;
  name.resize(std::min(name.size(), kMaxLength));
  // Not the same text any more: the index keeps names apart. A leading dot would be hidden, or a way upwards.
  if (name != slice.name || name[0] == '.') name = absl::StrCat("slice", index, "_", name);
  return name + ".om";
}

// One FLOW_SUBMODEL partition: the message around a nested OM.
struct Submodel {
  std::string
      before;  // up to the payload of om_data; all of the message before the seal when the OM lies beside
  std::string devices;
  std::string path;  // om_data_file_path; empty when the nested OM is embedded

  // What follows om_data. Its size does not depend on the digest.
  std::string After(const SliceSeal& seal) const {
    ge::flow_model::proto::SubmodelDef def;
    def.mutable_deploy_info()->set_logic_device_id(devices);
    (*def.mutable_ext_attrs())[kSliceKey] = SliceSealToJson(seal);
    def.mutable_redundant_deploy_info();
    def.set_om_data_file_path(path);
    return def.SerializeAsString();
  }
};

class Writer {
 public:
  Writer(const SlicedModel& model, std::string path, const OmWriteOptions& options)
      : model_(model), path_(std::move(path)), options_(options) {}

  absl::Status Write() {
    RETURN_IF_ERROR(CheckModelInfo(model_.info));
    RETURN_IF_ERROR(CheckSlices(model_));
    RETURN_IF_ERROR(Prepare());
    ASSIGN_OR_RETURN(main_, FileWriter::Create(path_));
    RETURN_IF_ERROR(AppendFrame(head_));
    RETURN_IF_ERROR(AppendFrame(model_def_));
    const uint64_t digest_offset = main_->position() - kDigestBytes;
    RETURN_IF_ERROR(AppendFrame(flow_model_));
    for (size_t s = 0; s < slices_.size(); ++s) {
      RETURN_IF_ERROR_WITH(WriteSubmodel(s), absl::StrCat("slice '", model_.info.slices[s].name, "'"));
    }
    const std::string digest = frame_.Finish();
    RETURN_IF_ERROR(main_->OverwriteAt(digest_offset, digest.data(), digest.size()));
    // The OM appears last: one that can be opened is complete.
    for (auto& file : beside_) RETURN_IF_ERROR(file->Commit());
    RETURN_IF_ERROR(main_->Commit());
    Report(total_);
    return absl::OkStatus();
  }

 private:
  // Sizes of all parts, so that the tables can be written first.
  absl::Status Prepare() {
    const ModelInfo& info = model_.info;
    InspectionInfo inspection = Inspection(info);
    int64_t weight_bytes = 0;
    for (size_t s = 0; s < model_.graphs.size(); ++s) {
      ASSIGN_OR_RETURN_WITH(
          SliceOm slice,
          SliceOm::Prepare(model_.graphs[s], info.slices[s].name, DeviceList(info.slices[s]), inspection),
          absl::StrCat("slice '", info.slices[s].name, "'"));
      weight_bytes += static_cast<int64_t>(slice.weight_bytes());
      slices_.push_back(std::move(slice));
    }

    ge::proto::ModelDef root;
    root.set_name(info.name);
    *root.add_graph() = RootGraph(info);
    inspection.sizes = {weight_bytes, 0, 0, 0, 0};
    SetInspectionAttrs(inspection, {root.graph(0).output().begin(), root.graph(0).output().end()}, &root);
    AttrToGe(kFormatVersion, &(*root.mutable_attr())[kFormatAttr]);
    AttrToGe(ModelInfoToJson(info), &(*root.mutable_attr())[kModelAttr]);
    ASSIGN_OR_RETURN(model_def_, SerializeMessage(root, "the root graph"));
    model_def_ += DigestEntry(BlankDigest());
    ASSIGN_OR_RETURN(flow_model_, SerializeMessage(FlowModel(info), "the relation of the slices"));

    std::vector<std::pair<OmPartitionType, uint64_t>> partitions = {
        {OmPartitionType::kModelDef, model_def_.size()}, {OmPartitionType::kFlowModel, flow_model_.size()}};
    uint64_t position = OmHeadBytes(2 + slices_.size()) + model_def_.size() + flow_model_.size();
    for (size_t s = 0; s < slices_.size(); ++s) {
      const uint64_t size = PrepareSubmodel(s, position);
      partitions.emplace_back(OmPartitionType::kFlowSubmodel, size);
      position += size;
      total_ += submodels_[s].path.empty() ? 0 : slices_[s].size();
    }
    total_ += position;
    head_ = EncodeOmHead(OmModelType::kFlow, info.name, partitions);
    return absl::OkStatus();
  }

  // The size of the partition, which begins at `position`.
  uint64_t PrepareSubmodel(size_t s, uint64_t position) {
    const SliceInfo& slice = model_.info.slices[s];
    Submodel submodel;
    submodel.devices = DeviceList(slice);
    ge::flow_model::proto::SubmodelDef def;
    def.set_model_name(slice.name);
    def.set_model_type("NPU");
    submodel.before = def.SerializeAsString();
    const uint64_t most = std::min(options_.max_embedded_bytes, OmWriteOptions().max_embedded_bytes);
    const bool embedded = slices_[s].size() <= most;
    if (embedded) {
      std::string om_data;
      AppendFieldHead(kOmDataField, slices_[s].size(), &om_data);
      submodel.before += SubmodelPadding(position + submodel.before.size(), om_data.size(), kWeightAlignment);
      submodel.before += om_data;
    } else {
      submodel.path = absl::StrCat(BesideFolder(), "/", FileName(slice, s));
    }
    const uint64_t after = submodel.After({BlankDigest(), slices_[s].size()}).size();
    const uint64_t size = submodel.before.size() + (embedded ? slices_[s].size() : 0) + after;
    submodels_.push_back(std::move(submodel));
    return size;
  }

  // "model" for model.om; for a name without this ending, one that is not the OM's own.
  std::string BesideFolder() const {
    const std::filesystem::path name = std::filesystem::path(path_).filename();
    return name.extension() == ".om" ? name.stem().string() : name.string() + ".slices";
  }

  absl::Status WriteSubmodel(size_t s) {
    const Submodel& submodel = submodels_[s];
    RETURN_IF_ERROR(AppendFrame(submodel.before));
    FileWriter* out = main_.get();
    if (!submodel.path.empty()) {
      const std::filesystem::path path = std::filesystem::path(path_).parent_path() / submodel.path;
      std::error_code error;
      std::filesystem::create_directories(path.parent_path(), error);
      if (error) {
        return absl::ErrnoToStatus(error.value(),
                                   absl::StrCat("create folder ", path.parent_path().string()));
      }
      ASSIGN_OR_RETURN(std::unique_ptr<FileWriter> file, FileWriter::Create(path.string()));
      beside_.push_back(std::move(file));
      out = beside_.back().get();
    }
    Sha256 digest;
    RETURN_IF_ERROR(slices_[s].Stream([&](const void* data, size_t size) {
      const char* bytes = static_cast<const char*>(data);
      for (size_t done = 0; done < size;) {
        const size_t chunk = std::min(kChunk, size - done);
        digest.Update(bytes + done, chunk);
        RETURN_IF_ERROR(out->Append(bytes + done, chunk));
        done += chunk;
        Advance(chunk);
      }
      return absl::OkStatus();
    }));
    return AppendFrame(submodel.After({digest.Finish(), slices_[s].size()}));
  }

  absl::Status AppendFrame(const std::string& bytes) {
    frame_.Update(bytes);
    Advance(bytes.size());
    return main_->Append(bytes);
  }

  // Reports about every hundredth, not for every small run of bytes.
  void Advance(uint64_t bytes) {
    written_ += bytes;
    if (written_ - reported_ > total_ / 100 && written_ < total_) Report(written_);
  }

  void Report(uint64_t bytes) {
    reported_ = bytes;
    if (options_.progress) options_.progress(bytes, total_);
  }

  const SlicedModel& model_;
  const std::string path_;
  const OmWriteOptions& options_;

  std::vector<SliceOm> slices_;
  std::vector<Submodel> submodels_;
  std::string head_, model_def_, flow_model_;

  std::unique_ptr<FileWriter> main_;
  std::vector<std::unique_ptr<FileWriter>> beside_;
  Sha256 frame_;
  uint64_t total_ = 0;
  uint64_t written_ = 0;
  uint64_t reported_ = 0;
};

}  // namespace

absl::Status WriteOm(const SlicedModel& model, const std::string& path, const OmWriteOptions& options) {
  return Annotate(Writer(model, path, options).Write(), absl::StrCat("write ", path));
}

}  // namespace omserve
