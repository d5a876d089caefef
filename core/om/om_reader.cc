#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/base/sha256.h"
#include "core/base/status.h"
#include "core/om/container.h"
#include "core/om/om_file.h"
#include "core/om/private_data.h"
#include "core/om/wire.h"
#include "ge/flow_model.pb.h"
#include "ge/ge_ir.pb.h"

namespace omserve {
namespace {

using ge::flow_model::proto::SubmodelDef;

constexpr uint32_t kOmDataField = 3;  // SubmodelDef.om_data
// All of a SubmodelDef but the nested OM: names and device lists.
constexpr size_t kMaxSubmodelFrame = size_t{8} << 20;

// A FLOW_SUBMODEL partition without a copy of the nested OM.
struct SubmodelParts {
  SubmodelDef def;  // om_data left out
  bool has_om_data = false;
  uint64_t om_offset = 0;  // in the partition
  uint64_t om_size = 0;
};

absl::StatusOr<SubmodelParts> SplitSubmodel(std::string_view partition) {
  SubmodelParts parts;
  std::string rest;
  WireReader reader(partition);
  while (!reader.done()) {
    ASSIGN_OR_RETURN(WireField field, reader.Next());
    if (field.number == kOmDataField) {
      if (!field.has_bytes || std::exchange(parts.has_om_data, true)) {
        return absl::DataLossError("it does not hold exactly one om_data");
      }
      parts.om_offset = field.offset;
      parts.om_size = field.bytes.size();
    } else {
      rest += field.raw;
      if (rest.size() > kMaxSubmodelFrame) {
        return absl::DataLossError(absl::StrCat("more than ", kMaxSubmodelFrame, " bytes besides om_data"));
      }
    }
  }
  RETURN_IF_ERROR(ParseMessage(rest, "the description", &parts.def));
  return parts;
}

const ge::proto::AttrDef* FindAttr(const ge::proto::ModelDef& model, const char* name) {
  auto it = model.attr().find(name);
  return it == model.attr().end() ? nullptr : &it->second;
}

std::string FrameDigest(const MappedFile& file, const std::vector<std::pair<uint64_t, uint64_t>>& frame,
                        uint64_t digest_offset) {
  Sha256 sha;
  const auto update = [&](uint64_t begin, uint64_t end) { sha.Update(file.data() + begin, end - begin); };
  for (const auto& [begin, end] : frame) {
    if (digest_offset < begin || digest_offset >= end) {
      update(begin, end);
      continue;
    }
    update(begin, digest_offset);
    sha.Update(BlankDigest());
    update(digest_offset + kDigestBytes, end);
  }
  return sha.Finish();
}

absl::Status CompareDigests(absl::string_view part, absl::string_view stated, absl::string_view found) {
  if (stated == found) return absl::OkStatus();
  return absl::DataLossError(
      absl::StrCat(part, " is damaged: its sha-256 is ", found, ", stated is ", stated));
}

}  // namespace

// Fills an OmFile; makes its private members reachable in one place.
class OmReader {
 public:
  static absl::StatusOr<std::unique_ptr<OmFile>> Read(const std::string& path) {
    ASSIGN_OR_RETURN(std::shared_ptr<const MappedFile> file, MappedFile::Open(path));
    OmReader reader(std::move(file), path);
    RETURN_IF_ERROR_WITH(reader.ReadAll(), path);
    return std::move(reader.om_);
  }

 private:
  OmReader(std::shared_ptr<const MappedFile> file, const std::string& path)
      : path_(path), file_(std::move(file)), om_(new OmFile) {}

  absl::Status ReadAll() {
    ASSIGN_OR_RETURN(uint8_t type, ReadOmModelType(file_->view()));
    if (type != static_cast<uint8_t>(OmModelType::kFlow)) {
      return absl::FailedPreconditionError(
          absl::StrCat("this OM is not made for distributed deployment: its model type is ", type,
                       ", expected 3 (flow model)"));
    }
    ASSIGN_OR_RETURN(container_, ParseOmContainer(file_->view()));
    RETURN_IF_ERROR(CheckPartitions());
    RETURN_IF_ERROR(ReadRoot());
    RETURN_IF_ERROR(ReadSubmodels());
    RETURN_IF_ERROR(CheckFrame());
    return Finish();
  }

  // MODEL_DEF, FLOW_MODEL, FLOW_SUBMODEL …
  absl::Status CheckPartitions() const {
    const auto& partitions = container_.partitions;
    for (size_t i = 0; i < partitions.size() || i < 3; ++i) {
      const OmPartitionType expected = i == 0   ? OmPartitionType::kModelDef
                                       : i == 1 ? OmPartitionType::kFlowModel
                                                : OmPartitionType::kFlowSubmodel;
      if (i >= partitions.size() || partitions[i].type != expected) {
        return absl::DataLossError(absl::StrCat(
            "partition ", i, " is ", i < partitions.size() ? ToString(partitions[i].type) : "missing",
            ", expected ", ToString(expected)));
      }
    }
    return absl::OkStatus();
  }

  std::string_view Bytes(const OmPartition& partition) const {
    return file_->view().substr(static_cast<size_t>(partition.offset), static_cast<size_t>(partition.size));
  }

  absl::Status ReadRoot() {
    const OmPartition& partition = container_.partitions[0];
    ge::proto::ModelDef root;
    RETURN_IF_ERROR(
        ParseMessage(Bytes(partition), absl::StrCat("MODEL_DEF at byte ", partition.offset), &root));
    const ge::proto::AttrDef* format = FindAttr(root, kFormatAttr);
    const ge::proto::AttrDef* model = FindAttr(root, kModelAttr);
    if (format == nullptr || model == nullptr) {
      return absl::FailedPreconditionError(
          absl::StrCat("this flow model was not built by omserve: its root model has no attribute '",
                       format == nullptr ? kFormatAttr : kModelAttr, "'"));
    }
    if (format->i() != kFormatVersion) {
      return absl::UnimplementedError(
          absl::StrCat("the OM was built by another version of omserve: ", kFormatAttr, " is ", format->i(),
                       ", supported is ", kFormatVersion));
    }
    size_t offset = 0;
    if (!FindDigest(Bytes(partition), &om_->digest_, &offset) || !Sha256::IsDigest(om_->digest_)) {
      return absl::DataLossError(absl::StrCat("MODEL_DEF at byte ", partition.offset,
                                              " does not end in attribute '", kDigestAttr, "'"));
    }
    om_->digest_offset_ = partition.offset + offset;
    model_info_ = model->s();
    return absl::OkStatus();
  }

  absl::Status ReadSubmodels() {
    uint64_t frame_begin = 0;
    for (size_t i = 2; i < container_.partitions.size(); ++i) {
      const OmPartition& partition = container_.partitions[i];
      const std::string here = absl::StrCat("FLOW_SUBMODEL ", i - 2, " at byte ", partition.offset);
      ASSIGN_OR_RETURN_WITH(SubmodelParts parts, SplitSubmodel(Bytes(partition)), here);
      parts.om_offset += partition.offset;
      if (parts.has_om_data) {
        om_->frame_.emplace_back(frame_begin, parts.om_offset);
        frame_begin = parts.om_offset + parts.om_size;
      }
      const std::string name = parts.def.model_name();
      if (!parts_.emplace(name, std::move(parts)).second) {
        return absl::DataLossError(absl::StrCat(here, ": a second submodel '", name, "'"));
      }
    }
    om_->frame_.emplace_back(frame_begin, file_->size());
    return absl::OkStatus();
  }

  absl::Status CheckFrame() const {
    return CompareDigests("the frame of the OM (all but the nested OMs)", om_->digest_,
                          FrameDigest(*file_, om_->frame_, om_->digest_offset_));
  }

  // From here on the frame is known to be as it was written; what does not fit was written so.
  absl::Status Finish() {
    ASSIGN_OR_RETURN(om_->info_, ModelInfoFromJson(model_info_));
    const OmPartition& partition = container_.partitions[1];
    ge::flow_model::proto::FlowModelDef flow;
    RETURN_IF_ERROR(
        ParseMessage(Bytes(partition), absl::StrCat("FLOW_MODEL at byte ", partition.offset), &flow));
    if (static_cast<size_t>(flow.submodel_name_size()) != om_->info_.slices.size() ||
        parts_.size() != om_->info_.slices.size()) {
      return absl::DataLossError(absl::StrCat("the OM has ", parts_.size(), " submodels, FLOW_MODEL names ",
                                              flow.submodel_name_size(), ", the model info ",
                                              om_->info_.slices.size()));
    }
    om_->files_.push_back(std::filesystem::path(path_).filename().string());
    om_->total_bytes_ = file_->size();
    for (size_t s = 0; s < om_->info_.slices.size(); ++s) {
      const SliceInfo& slice = om_->info_.slices[s];
      if (flow.submodel_name(static_cast<int>(s)) != slice.name || !parts_.contains(slice.name)) {
        return absl::DataLossError(absl::StrCat("the OM has no submodel '", slice.name, "'"));
      }
      RETURN_IF_ERROR_WITH(AddSubmodel(slice, parts_[slice.name]),
                           absl::StrCat("submodel '", slice.name, "'"));
    }
    om_->file_ = std::move(file_);
    return absl::OkStatus();
  }

  absl::Status AddSubmodel(const SliceInfo& slice, const SubmodelParts& parts) {
    auto seal_text = parts.def.ext_attrs().find(kSliceKey);
    if (seal_text == parts.def.ext_attrs().end()) {
      return absl::FailedPreconditionError(absl::StrCat("it has no entry '", kSliceKey, "' in ext_attrs"));
    }
    ASSIGN_OR_RETURN(SliceSeal seal, SliceSealFromJson(seal_text->second));
    ASSIGN_OR_RETURN(std::vector<LogicalDeviceId> devices,
                     LogicalDeviceId::ParseList(parts.def.deploy_info().logic_device_id()));
    if (devices != slice.devices) {
      return absl::DataLossError(absl::StrCat("it is deployed on ", parts.def.deploy_info().logic_device_id(),
                                              ", the model info says otherwise"));
    }
    OmSubmodel submodel;
    submodel.name = slice.name;
    submodel.digest = seal.digest;
    submodel.size = seal.size;
    const std::string& beside = parts.def.om_data_file_path();
    if (parts.has_om_data == !beside.empty()) {
      return absl::DataLossError("it must have either om_data or om_data_file_path");
    }
    uint64_t found = parts.om_size;
    if (parts.has_om_data) {
      submodel.file = file_;
      submodel.offset = parts.om_offset;
    } else {
      ASSIGN_OR_RETURN(std::string path,
                       ResolveInside(std::filesystem::path(path_).parent_path().string(), beside));
      ASSIGN_OR_RETURN(submodel.file, MappedFile::Open(path));
      found = submodel.file->size();
      om_->files_.push_back(beside);
      om_->total_bytes_ += found;
    }
    if (found != seal.size) {
      return absl::DataLossError(absl::StrCat("its OM has ", found, " bytes, stated are ", seal.size));
    }
    ASSIGN_OR_RETURN(OmContainer nested,
                     ParseOmContainer(submodel.file->view().substr(static_cast<size_t>(submodel.offset),
                                                                   static_cast<size_t>(submodel.size))));
    if (nested.type != OmModelType::kSlice || nested.Find(OmPartitionType::kModelDef) == nullptr) {
      return absl::DataLossError("its OM is not that of a slice");
    }
    om_->submodels_.push_back(std::move(submodel));
    return absl::OkStatus();
  }

  const std::string path_;
  std::shared_ptr<const MappedFile> file_;
  std::unique_ptr<OmFile> om_;
  OmContainer container_;
  std::string model_info_;
  std::map<std::string, SubmodelParts> parts_;  // by name
};

absl::StatusOr<std::unique_ptr<OmFile>> OmFile::Open(const std::string& path) { return OmReader::Read(path); }

absl::Status OmFile::VerifyDigests() const {
  RETURN_IF_ERROR_WITH(CompareDigests("the frame of the OM (all but the nested OMs)", digest_,
                                      FrameDigest(*file_, frame_, digest_offset_)),
                       file_->path());
  for (const OmSubmodel& submodel : submodels_) {
    RETURN_IF_ERROR_WITH(CompareDigests(absl::StrCat("submodel '", submodel.name, "'"), submodel.digest,
                                        Sha256::Of(submodel.file->data() + submodel.offset, submodel.size)),
                         submodel.file->path());
  }
  return absl::OkStatus();
}

}  // namespace omserve
