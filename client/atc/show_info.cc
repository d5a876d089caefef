#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/atc/commands.h"
#include "client/atc/model_files.h"
#include "client/cli/text.h"
#include "core/base/status.h"

namespace omserve::atc {
namespace {

const ge::proto::AttrDef* FindAttr(const ge::proto::ModelDef& model, const std::string& name) {
  auto it = model.attr().find(name);
  return it == model.attr().end() ? nullptr : &it->second;
}

std::string Text(const ge::proto::ModelDef& model, const std::string& name) {
  const ge::proto::AttrDef* const attr = FindAttr(model, name);
  return attr == nullptr ? "" : attr->s();
}

// As the original prints it: -1 when absent.
int64_t Number(const ge::proto::ModelDef& model, const std::string& name) {
  const ge::proto::AttrDef* const attr = FindAttr(model, name);
  return attr == nullptr ? -1 : attr->i();
}

int Operators(const ge::proto::ModelDef& model) { return model.graph_size() == 0 ? 0 : model.graph(0).op_size(); }

void AppendSizes(const ge::proto::ModelDef& model, std::string* text) {
  const ge::proto::AttrDef* const sizes = FindAttr(model, "om_info_list");
  if (sizes == nullptr || sizes->list().i_size() != 5) {
    absl::StrAppend(text, "the OM was written by a version without om_info_list: its sizes are not known\n");
    return;
  }
  static const char* const kNames[] = {"weight data size", "tbe kernels size", "aicpu kernels size", "task info size",
                                       "so store size"};
  for (int i = 0; i < 5; ++i) absl::StrAppend(text, kNames[i], "[", sizes->list().i(i), "B]", i < 4 ? ", " : "\n");
}

std::string Slices(const OmGraphs& om) {
  const ModelInfo& info = om.cluster->info();
  cli::Table table({"SUBMODEL", "LOGIC DEVICES", "OPERATORS", "WEIGHTS", "SIZE", "SHA-256"});
  for (size_t i = 0; i < info.slices.size(); ++i) {
    const SliceInfo& slice = info.slices[i];
    std::vector<std::string> devices;
    for (const LogicalDeviceId& device : slice.devices) devices.push_back(device.ToString());
    const OmSubmodel& submodel = om.cluster->submodels()[i];
    table.AddRow({slice.name, absl::StrJoin(devices, ","), absl::StrCat(Operators(om.submodels[i])),
                  cli::BytesText(slice.weight_bytes), cli::BytesText(submodel.size), submodel.digest});
  }
  return table.ToString(2);
}

}  // namespace

absl::StatusOr<std::string> ShowInfo(const std::string& path) {
  ASSIGN_OR_RETURN(const OmGraphs om, ReadOmGraphs(path));
  const ge::proto::ModelDef& model = om.model;
  std::string text = "============ Display Model Info start ============\n";
  absl::StrAppend(&text, "Original Atc command line: ", Text(model, "atc_cmdline"), "\n");
  absl::StrAppend(&text, "system   info: atc_version[", Text(model, "atc_version"), "], soc_version[",
                  Text(model, "soc_version"), "], framework_type[", Text(model, "framework_type"), "]\n");
  absl::StrAppend(&text, "resource info: memory_size[", Number(model, "memory_size"), "B], weight_size[",
                  Number(model, "weight_size"), "B], stream_num[", Number(model, "stream_num"), "], event_num[",
                  Number(model, "event_num"), "]\n");
  absl::StrAppend(&text, "om       info: modeldef_size[", om.container.Find(OmPartitionType::kModelDef)->size, "B], ");
  AppendSizes(model, &text);
  if (om.cluster != nullptr) {
    const ModelInfo& info = om.cluster->info();
    absl::StrAppend(&text, "root graph: ", info.name, ", ", Operators(model), " operators, ", info.inputs.size(), " inputs, ",
                    info.outputs.size(), " outputs, digest ", om.cluster->digest(), "\n");
    absl::StrAppend(&text, "submodels: ", info.slices.size(), "\n", Slices(om));
    for (const HcomGroup& group : info.groups) {
      absl::StrAppend(&text, "  group ", group.name, ": ranks ", absl::StrJoin(group.ranks, ","), "\n");
    }
  } else {
    absl::StrAppend(&text, "graph: ", model.name(), ", ", Operators(model), " operators, not for distributed deployment\n");
  }
  return absl::StrCat(text, "============ Display Model Info end   ============\n");
}

}  // namespace omserve::atc
