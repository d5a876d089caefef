#include "slice_files.h"

#include <map>
#include <set>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "core/base/file.h"
#include "core/base/json.h"
#include "core/base/status.h"
#include "core/partition/relation.h"
#include "ge/ge_api_types.h"
#include "nlohmann/json.hpp"
#include "output_options.h"

namespace ge {
namespace {

bool IsAirName(absl::string_view name) { return absl::EndsWith(name, ".air") || absl::EndsWith(name, ".pb"); }

std::string FileOf(const std::string& submodel) { return IsAirName(submodel) ? submodel : submodel + ".air"; }

// The name without the extension that it may have.
std::string Stem(const std::string& submodel) { return submodel.substr(0, submodel.rfind('.')); }

// Graphs have no extensions; files, which the service reads by extension, do.
void RenameSubmodels(nlohmann::json& value) {
  for (auto& [key, member] : value.items()) {
    if (value.is_object() && key == "submodel_name" && member.is_string()) {
      member = FileOf(member.get<std::string>());
    } else if (member.is_structured()) {
      RenameSubmodels(member);
    }
  }
}

}  // namespace

absl::StatusOr<std::string> WriteSlices(const std::vector<Graph>& graphs, const Options& options,
                                        const std::string& folder) {
  const std::string path = ValueOf(options, ir_option::MODEL_RELATION_CONFIG);
  ASSIGN_OR_RETURN(const std::string text, JsonFileOf(options, ir_option::MODEL_RELATION_CONFIG));
  ASSIGN_OR_RETURN(const omserve::ModelRelation relation, omserve::ModelRelation::FromJson(text, path));
  std::map<std::string, std::string> files;  // by each name a graph may have
  std::set<std::string> missing;
  for (const omserve::RelationSlice& slice : relation.slices) {
    files[slice.file] = FileOf(slice.file);
    files.emplace(Stem(slice.file), FileOf(slice.file));
    missing.insert(FileOf(slice.file));
  }
  for (const Graph& graph : graphs) {
    auto file = files.find(graph.GetName());
    if (file == files.end()) {
      return absl::InvalidArgumentError(absl::StrCat("EF1001: graph '", graph.GetName(), "' is no submodel of ", path,
                                                     ", which has ", absl::StrJoin(missing, ", ")));
    }
    if (missing.erase(file->second) == 0) {
      return absl::InvalidArgumentError(absl::StrCat("EF1001: two graphs are named '", graph.GetName(), "'"));
    }
    ASSIGN_OR_RETURN_WITH(const std::string air, BuildableAir(graph, {}), absl::StrCat("slice '", graph.GetName(), "'"));
    RETURN_IF_ERROR(omserve::WriteFileAtomically(absl::StrCat(folder, "/", file->second), air));
  }
  if (!missing.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("EF1001: no graph is named as submodel ", absl::StrJoin(missing, ", "), " of ", path));
  }
  ASSIGN_OR_RETURN(const omserve::JsonDocument document, omserve::JsonDocument::Parse(text, path));
  nlohmann::json renamed = *document.root().value();
  RenameSubmodels(renamed);
  return renamed.dump();
}

}  // namespace ge
