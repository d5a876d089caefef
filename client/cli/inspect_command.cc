#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/cli/commands.h"
#include "client/cli/text.h"
#include "core/base/status.h"
#include "core/om/om_file.h"

namespace omserve::cli {
namespace {

using nlohmann::ordered_json;

std::string ToText(const std::vector<NamedDesc>& descs) {
  return absl::StrJoin(descs, ", ", [](std::string* out, const NamedDesc& named) {
    absl::StrAppend(out, named.name, " ", ToString(named.desc));
  });
}

ordered_json ToJson(const std::vector<NamedDesc>& descs) {
  ordered_json list = ordered_json::array();
  for (const NamedDesc& named : descs) {
    list.push_back({{"name", named.name}, {"dtype", Name(named.desc.type)}, {"shape", named.desc.shape}});
  }
  return list;
}

std::vector<std::string> DeviceTexts(const SliceInfo& slice) {
  std::vector<std::string> texts;
  for (const LogicalDeviceId& device : slice.devices) texts.push_back(device.ToString());
  return texts;
}

// "logits[0:64,0:128]": which part of which output a slice computes.
std::string PieceText(const OutputPiece& piece, const ModelInfo& info) {
  const NamedDesc& output = info.outputs[piece.output];
  if (piece.extent == output.desc.shape) return output.name;
  std::vector<std::string> ranges;
  for (size_t d = 0; d < piece.extent.size(); ++d) {
    ranges.push_back(absl::StrCat(piece.begin[d], ":", piece.begin[d] + piece.extent[d]));
  }
  return absl::StrCat(output.name, "[", absl::StrJoin(ranges, ","), "]");
}

std::vector<std::string> InputNames(const SliceInfo& slice, const ModelInfo& info) {
  std::vector<std::string> names;
  for (int input : slice.inputs) names.push_back(info.inputs[input].name);
  return names;
}

std::vector<std::string> PieceTexts(const SliceInfo& slice, const ModelInfo& info) {
  std::vector<std::string> texts;
  for (const OutputPiece& piece : slice.outputs) texts.push_back(PieceText(piece, info));
  return texts;
}

ordered_json ToJson(const OmFile& om, bool digests_verified) {
  const ModelInfo& info = om.info();
  ordered_json slices = ordered_json::array();
  for (size_t i = 0; i < info.slices.size(); ++i) {
    const SliceInfo& slice = info.slices[i];
    const OmSubmodel& submodel = om.submodels()[i];
    ordered_json outputs = ordered_json::array();
    for (const OutputPiece& piece : slice.outputs) {
      outputs.push_back(
          {{"name", info.outputs[piece.output].name}, {"begin", piece.begin}, {"extent", piece.extent}});
    }
    slices.push_back({{"name", slice.name},
                      {"devices", DeviceTexts(slice)},
                      {"weight_bytes", slice.weight_bytes},
                      {"bytes", submodel.size},
                      {"file", submodel.file->path()},
                      {"digest", submodel.digest},
                      {"inputs", InputNames(slice, info)},
                      {"outputs", outputs}});
  }
  ordered_json groups = ordered_json::array();
  for (const HcomGroup& group : info.groups) groups.push_back({{"name", group.name}, {"ranks", group.ranks}});
  ordered_json document = {{"model", info.name},
                           {"digest", om.digest()},
                           {"files", om.files()},
                           {"bytes", om.total_bytes()},
                           {"inputs", ToJson(info.request_inputs())},
                           {"outputs", ToJson(info.request_outputs())},
                           {"stages", info.stages},
                           {"micro_batches", info.micro_batches},
                           {"slices", slices},
                           {"groups", groups},
                           {"build", info.build}};
  if (digests_verified) document["digests_verified"] = true;
  return document;
}

std::string ToText(const OmFile& om, bool digests_verified) {
  const ModelInfo& info = om.info();
  std::string text = absl::StrCat(
      "model ", info.name, "\n  digest:  ", om.digest(), digests_verified ? " (every part verified)" : "",
      "\n  files:   ", absl::StrJoin(om.files(), ", "), " (", BytesText(om.total_bytes()), ")\n");
  absl::StrAppend(&text, "  inputs:  ", ToText(info.request_inputs()), "\n  outputs: ", ToText(info.request_outputs()), "\n");
  if (info.stages > 1) absl::StrAppend(&text, "  stages:  ", info.stages, ", at work on different runs at the same time\n");
  if (info.micro_batches > 1) absl::StrAppend(&text, "  runs:    ", info.micro_batches, " micro-batches for a request\n");
  for (const auto& [key, value] : info.build) {
    // Whole files are for --output json.
    if (key != "plan" && key != "plan_file" && key[0] != '_') absl::StrAppend(&text, "  ", key, ": ", value, "\n");
  }
  if (auto plan = info.build.find("plan"); plan != info.build.end()) {
    absl::StrAppend(&text, "\nplan\n", Indented(plan->second, 2));
  }

  Table slices({"RANK", "SLICE", "DEVICES", "WEIGHTS", "SIZE", "DIGEST", "INPUTS", "OUTPUTS"});
  for (size_t i = 0; i < info.slices.size(); ++i) {
    const SliceInfo& slice = info.slices[i];
    const OmSubmodel& submodel = om.submodels()[i];
    slices.AddRow({absl::StrCat(i), slice.name, absl::StrJoin(DeviceTexts(slice), ","),
                   BytesText(slice.weight_bytes), BytesText(submodel.size), submodel.digest.substr(0, 12),
                   absl::StrJoin(InputNames(slice, info), ","), absl::StrJoin(PieceTexts(slice, info), ",")});
  }
  absl::StrAppend(&text, "\n", slices.ToString());
  Table groups({"GROUP", "RANKS"});
  for (const HcomGroup& group : info.groups) groups.AddRow({group.name, absl::StrJoin(group.ranks, ",")});
  if (!groups.empty()) absl::StrAppend(&text, "\n", groups.ToString());
  return text;
}

}  // namespace

absl::StatusOr<int> RunInspect(Session& session, const InspectArguments& arguments) {
  ASSIGN_OR_RETURN(const std::unique_ptr<OmFile> om, OmFile::Open(arguments.om));
  if (arguments.verify_digests) RETURN_IF_ERROR(om->VerifyDigests());
  if (session.json()) {
    session.PrintJson(ToJson(*om, arguments.verify_digests));
  } else {
    session.Print(ToText(*om, arguments.verify_digests));
  }
  return 0;
}

}  // namespace omserve::cli
