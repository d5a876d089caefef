#include "core/om/model.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/base/checked.h"
#include "core/base/json.h"
#include "core/base/status.h"
#include "core/om/text.h"
#include "nlohmann/json.hpp"

namespace omserve {
namespace {

// A flow model has at most 4096 partitions, two of which are its own.
constexpr size_t kMaxSlices = 4094;
constexpr int kMaxMicroBatches = 1 << 16;
// Bound the work of checking that pieces cover an output; far above any real cut.
constexpr size_t kMaxCells = size_t{1} << 20;
constexpr size_t kMaxCellVisits = size_t{1} << 26;

absl::Status Wrong(absl::string_view place, absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat(place, ": ", what));
}

absl::Status CheckDescs(absl::string_view place, const std::vector<NamedDesc>& descs) {
  std::set<std::string> names;
  for (size_t i = 0; i < descs.size(); ++i) {
    const std::string here = absl::StrCat(place, "[", i, "]");
    RETURN_IF_ERROR(CheckName(absl::StrCat(here, ".name"), descs[i].name));
    if (!names.insert(descs[i].name).second)
      return Wrong(here, absl::StrCat("'", descs[i].name, "' is given twice"));
    if (descs[i].desc.shape.size() > static_cast<size_t>(kMaxRank)) {
      return Wrong(
          here, absl::StrCat("rank ", descs[i].desc.shape.size(), "; at most ", kMaxRank, " is supported"));
    }
    RETURN_IF_ERROR_WITH(CheckedByteSize(descs[i].desc).status(), here);
  }
  return absl::OkStatus();
}

absl::Status CheckPiece(absl::string_view place, const ModelInfo& info, const OutputPiece& piece) {
  if (piece.output < 0 || piece.output >= static_cast<int>(info.outputs.size())) {
    return Wrong(place, absl::StrCat("output ", piece.output, " of ", info.outputs.size()));
  }
  const Shape& shape = info.outputs[static_cast<size_t>(piece.output)].desc.shape;
  bool inside = piece.begin.size() == shape.size() && piece.extent.size() == shape.size();
  for (size_t i = 0; inside && i < shape.size(); ++i) {
    inside = piece.begin[i] >= 0 && piece.extent[i] >= 0 && piece.extent[i] <= shape[i] &&
             piece.begin[i] <= shape[i] - piece.extent[i];
  }
  if (inside) return absl::OkStatus();
  return Wrong(place, absl::StrCat("the box at ", ToString(piece.begin), " of extent ",
                                   ToString(piece.extent), " leaves the output of shape ", ToString(shape)));
}

// Whether boxes inside `shape` cover it. The edges of all boxes cut each dimension into intervals; a box
// covers whole cells of that grid.
absl::StatusOr<bool> Covers(const Shape& shape,
                            const std::set<std::pair<std::vector<int64_t>, Shape>>& boxes) {
  if (boxes.empty()) return false;
  if (NumElements(shape) == 0) return true;
  const size_t rank = shape.size();
  std::vector<std::vector<int64_t>> edges(rank);
  size_t cells = 1;
  for (size_t d = 0; d < rank; ++d) {
    std::set<int64_t> unique = {0, shape[d]};
    for (const auto& [begin, extent] : boxes) {
      unique.insert(begin[d]);
      unique.insert(begin[d] + extent[d]);
    }
    edges[d].assign(unique.begin(), unique.end());
    cells *= edges[d].size() - 1;
    if (cells > kMaxCells) return absl::InvalidArgumentError("is cut into too many different pieces");
  }
  if (cells * boxes.size() > kMaxCellVisits)
    return absl::InvalidArgumentError("is cut into too many different pieces");
  std::vector<bool> covered(cells, false);
  for (size_t cell = 0; cell < cells; ++cell) {
    for (const auto& [begin, extent] : boxes) {
      size_t rest = cell;
      bool in_box = true;
      for (size_t d = rank; d-- > 0;) {
        const int64_t at = edges[d][rest % (edges[d].size() - 1)];
        rest /= edges[d].size() - 1;
        in_box = in_box && at >= begin[d] && at < begin[d] + extent[d];
      }
      if (in_box) {
        covered[cell] = true;
        break;
      }
    }
  }
  return std::find(covered.begin(), covered.end(), false) == covered.end();
}

absl::Status CheckSlices(const ModelInfo& info) {
  if (info.slices.empty() || info.slices.size() > kMaxSlices) {
    return Wrong("slices", absl::StrCat("expected 1 to ", kMaxSlices, " slices, found ", info.slices.size()));
  }
  std::set<std::string> names;
  std::vector<std::set<std::pair<std::vector<int64_t>, Shape>>> boxes(info.outputs.size());
  for (size_t s = 0; s < info.slices.size(); ++s) {
    const SliceInfo& slice = info.slices[s];
    const std::string here = absl::StrCat("slices[", s, "]");
    RETURN_IF_ERROR(CheckName(absl::StrCat(here, ".name"), slice.name));
    if (!names.insert(slice.name).second)
      return Wrong(here, absl::StrCat("'", slice.name, "' is given twice"));
    if (slice.devices.empty()) return Wrong(absl::StrCat(here, ".devices"), "expected at least one device");
    if (std::set<LogicalDeviceId>(slice.devices.begin(), slice.devices.end()).size() !=
        slice.devices.size()) {
      return Wrong(absl::StrCat(here, ".devices"), "a device is given twice");
    }
    for (int input : slice.inputs) {
      if (input < 0 || input >= static_cast<int>(info.inputs.size())) {
        return Wrong(absl::StrCat(here, ".inputs"),
                     absl::StrCat("input ", input, " of ", info.inputs.size()));
      }
    }
    for (size_t i = 0; i < slice.outputs.size(); ++i) {
      const OutputPiece& piece = slice.outputs[i];
      RETURN_IF_ERROR(CheckPiece(absl::StrCat(here, ".outputs[", i, "]"), info, piece));
      boxes[static_cast<size_t>(piece.output)].emplace(piece.begin, piece.extent);
    }
    if (slice.weight_bytes < 0) return Wrong(absl::StrCat(here, ".weight_bytes"), "is negative");
  }
  for (size_t o = 0; o < info.outputs.size(); ++o) {
    const std::string here = absl::StrCat("outputs[", o, "] '", info.outputs[o].name, "'");
    ASSIGN_OR_RETURN_WITH(bool covers, Covers(info.outputs[o].desc.shape, boxes[o]), here);
    if (!covers) return Wrong(here, "the pieces of the slices do not cover it");
  }
  return absl::OkStatus();
}

std::vector<NamedDesc> OfRequest(std::vector<NamedDesc> descs, int micro_batches) {
  for (NamedDesc& desc : descs) {
    if (desc.desc.shape.empty()) continue;
    // What does not fit is as good as infinite: CheckedByteSize refuses it.
    const std::optional<int64_t> rows = CheckedMul<int64_t>(desc.desc.shape[0], micro_batches);
    desc.desc.shape[0] = rows.value_or(std::numeric_limits<int64_t>::max());
  }
  return descs;
}

nlohmann::ordered_json DescsToJson(const std::vector<NamedDesc>& descs) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const NamedDesc& desc : descs) {
    list.push_back(
        {{"name", desc.name}, {"type", std::string(Name(desc.desc.type))}, {"shape", desc.desc.shape}});
  }
  return list;
}

absl::StatusOr<std::vector<int64_t>> Ints(const JsonPlace& place) {
  ASSIGN_OR_RETURN(std::vector<JsonPlace> items, place.Array());
  std::vector<int64_t> values;
  for (const JsonPlace& item : items) {
    ASSIGN_OR_RETURN(int64_t value, item.Int());
    values.push_back(value);
  }
  return values;
}

absl::StatusOr<std::vector<int>> Indices(const JsonPlace& place) {
  ASSIGN_OR_RETURN(std::vector<JsonPlace> items, place.Array());
  std::vector<int> values;
  for (const JsonPlace& item : items) {
    ASSIGN_OR_RETURN(int64_t value, item.IntInRange(0, std::numeric_limits<int>::max()));
    values.push_back(static_cast<int>(value));
  }
  return values;
}

absl::StatusOr<std::vector<NamedDesc>> DescsFromJson(const JsonPlace& place) {
  ASSIGN_OR_RETURN(std::vector<JsonPlace> items, place.Array());
  std::vector<NamedDesc> descs;
  for (const JsonPlace& item : items) {
    RETURN_IF_ERROR(item.CheckFields({"name", "type", "shape"}));
    NamedDesc desc;
    ASSIGN_OR_RETURN(desc.name, item.Field("name").String());
    ASSIGN_OR_RETURN(std::string type, item.Field("type").String());
    ASSIGN_OR_RETURN_WITH(desc.desc.type, DataTypeFromName(type), item.Field("type").path());
    ASSIGN_OR_RETURN(desc.desc.shape, Ints(item.Field("shape")));
    descs.push_back(std::move(desc));
  }
  return descs;
}

absl::StatusOr<SliceInfo> SliceFromJson(const JsonPlace& place) {
  RETURN_IF_ERROR(place.CheckFields({"name", "devices", "inputs", "outputs", "weight_bytes"}));
  SliceInfo slice;
  ASSIGN_OR_RETURN(slice.name, place.Field("name").String());
  ASSIGN_OR_RETURN(std::vector<JsonPlace> devices, place.Field("devices").Array());
  for (const JsonPlace& device : devices) {
    ASSIGN_OR_RETURN(std::string text, device.String());
    ASSIGN_OR_RETURN_WITH(LogicalDeviceId id, LogicalDeviceId::Parse(text), device.path());
    slice.devices.push_back(id);
  }
  ASSIGN_OR_RETURN(slice.inputs, Indices(place.Field("inputs")));
  ASSIGN_OR_RETURN(std::vector<JsonPlace> outputs, place.Field("outputs").Array());
  for (const JsonPlace& output : outputs) {
    RETURN_IF_ERROR(output.CheckFields({"output", "begin", "extent"}));
    OutputPiece piece;
    ASSIGN_OR_RETURN(int64_t index, output.Field("output").IntInRange(0, std::numeric_limits<int>::max()));
    piece.output = static_cast<int>(index);
    ASSIGN_OR_RETURN(piece.begin, Ints(output.Field("begin")));
    ASSIGN_OR_RETURN(piece.extent, Ints(output.Field("extent")));
    slice.outputs.push_back(std::move(piece));
  }
  ASSIGN_OR_RETURN(slice.weight_bytes, place.Field("weight_bytes").Int());
  return slice;
}

}  // namespace

std::vector<NamedDesc> ModelInfo::request_inputs() const { return OfRequest(inputs, micro_batches); }
std::vector<NamedDesc> ModelInfo::request_outputs() const { return OfRequest(outputs, micro_batches); }

absl::Status CheckModelInfo(const ModelInfo& info) {
  RETURN_IF_ERROR(CheckName("the model's name", info.name));
  RETURN_IF_ERROR(CheckDescs("inputs", info.inputs));
  RETURN_IF_ERROR(CheckDescs("outputs", info.outputs));
  RETURN_IF_ERROR(CheckSlices(info));
  if (info.stages < 1 || info.stages > static_cast<int>(info.slices.size())) {
    return Wrong("stages", absl::StrCat(info.stages, " of ", info.slices.size(), " slices"));
  }
  if (info.micro_batches < 1 || info.micro_batches > kMaxMicroBatches) {
    return Wrong("micro_batches", absl::StrCat(info.micro_batches, "; at most ", kMaxMicroBatches, " are supported"));
  }
  if (info.micro_batches > 1) {
    for (const NamedDesc& output : info.outputs) {
      if (output.desc.shape.empty()) {
        return Wrong("micro_batches", absl::StrCat("output '", output.name, "' has no first dimension to join them in"));
      }
    }
    RETURN_IF_ERROR(CheckDescs("inputs of a request", info.request_inputs()));
    RETURN_IF_ERROR(CheckDescs("outputs of a request", info.request_outputs()));
  }
  std::set<std::string> names;
  for (size_t g = 0; g < info.groups.size(); ++g) {
    const HcomGroup& group = info.groups[g];
    const std::string here = absl::StrCat("groups[", g, "]");
    RETURN_IF_ERROR(CheckName(absl::StrCat(here, ".name"), group.name));
    if (!names.insert(group.name).second)
      return Wrong(here, absl::StrCat("'", group.name, "' is given twice"));
    if (group.ranks.empty()) return Wrong(absl::StrCat(here, ".ranks"), "expected at least one rank");
    std::set<int> ranks;
    for (int rank : group.ranks) {
      if (rank < 0 || rank >= static_cast<int>(info.slices.size())) {
        return Wrong(absl::StrCat(here, ".ranks"),
                     absl::StrCat("rank ", rank, " of ", info.slices.size(), " slices"));
      }
      if (!ranks.insert(rank).second)
        return Wrong(absl::StrCat(here, ".ranks"), absl::StrCat(rank, " is given twice"));
    }
  }
  for (const auto& [key, value] : info.build) {
    RETURN_IF_ERROR(CheckName("a key of build", key));
    if (!IsUtf8(value)) return Wrong(absl::StrCat("build.", key), "is not UTF-8");
  }
  return absl::OkStatus();
}

std::string ModelInfoToJson(const ModelInfo& info) {
  nlohmann::ordered_json json;
  json["name"] = info.name;
  json["inputs"] = DescsToJson(info.inputs);
  json["outputs"] = DescsToJson(info.outputs);
  json["slices"] = nlohmann::ordered_json::array();
  for (const SliceInfo& slice : info.slices) {
    nlohmann::ordered_json devices = nlohmann::ordered_json::array();
    for (const LogicalDeviceId& id : slice.devices) devices.push_back(id.ToString());
    nlohmann::ordered_json outputs = nlohmann::ordered_json::array();
    for (const OutputPiece& piece : slice.outputs) {
      outputs.push_back({{"output", piece.output}, {"begin", piece.begin}, {"extent", piece.extent}});
    }
    json["slices"].push_back({{"name", slice.name},
                              {"devices", devices},
                              {"inputs", slice.inputs},
                              {"outputs", outputs},
                              {"weight_bytes", slice.weight_bytes}});
  }
  json["groups"] = nlohmann::ordered_json::array();
  for (const HcomGroup& group : info.groups)
    json["groups"].push_back({{"name", group.name}, {"ranks", group.ranks}});
  if (info.stages != 1) json["stages"] = info.stages;
  if (info.micro_batches != 1) json["micro_batches"] = info.micro_batches;
  json["build"] = info.build;
  // CheckModelInfo refuses what is not UTF-8; here it must only not throw.
  return json.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

absl::StatusOr<ModelInfo> ModelInfoFromJson(absl::string_view text) {
  ASSIGN_OR_RETURN(JsonDocument document, JsonDocument::Parse(text, "model info"));
  const JsonPlace root = document.root();
  RETURN_IF_ERROR(root.CheckFields({"name", "inputs", "outputs", "slices", "groups", "stages", "micro_batches", "build"}));
  ModelInfo info;
  ASSIGN_OR_RETURN(info.name, root.Field("name").String());
  ASSIGN_OR_RETURN(info.inputs, DescsFromJson(root.Field("inputs")));
  ASSIGN_OR_RETURN(info.outputs, DescsFromJson(root.Field("outputs")));
  ASSIGN_OR_RETURN(std::vector<JsonPlace> slices, root.Field("slices").Array());
  for (const JsonPlace& place : slices) {
    ASSIGN_OR_RETURN(SliceInfo slice, SliceFromJson(place));
    info.slices.push_back(std::move(slice));
  }
  ASSIGN_OR_RETURN(std::vector<JsonPlace> groups, root.Field("groups").Array());
  for (const JsonPlace& place : groups) {
    RETURN_IF_ERROR(place.CheckFields({"name", "ranks"}));
    HcomGroup group;
    ASSIGN_OR_RETURN(group.name, place.Field("name").String());
    ASSIGN_OR_RETURN(group.ranks, Indices(place.Field("ranks")));
    info.groups.push_back(std::move(group));
  }
  if (root.Field("stages").value() != nullptr) {
    ASSIGN_OR_RETURN(const int64_t stages, root.Field("stages").IntInRange(1, kMaxSlices));
    info.stages = static_cast<int>(stages);
  }
  if (root.Field("micro_batches").value() != nullptr) {
    ASSIGN_OR_RETURN(const int64_t count, root.Field("micro_batches").IntInRange(1, kMaxMicroBatches));
    info.micro_batches = static_cast<int>(count);
  }
  const JsonPlace build = root.Field("build");
  RETURN_IF_ERROR(build.CheckObject());
  for (auto it = build.value()->begin(); it != build.value()->end(); ++it) {
    ASSIGN_OR_RETURN(info.build[it.key()], build.Field(it.key()).String());
  }
  RETURN_IF_ERROR_WITH(CheckModelInfo(info), "model info");
  return info;
}

}  // namespace omserve
