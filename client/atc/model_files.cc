#include "client/atc/model_files.h"

#include "absl/strings/str_cat.h"
#include "core/base/status.h"

namespace omserve::atc {
namespace {

absl::StatusOr<ge::proto::ModelDef> ModelDefIn(std::string_view om, const OmContainer& container, const std::string& name) {
  const OmPartition* const part = container.Find(OmPartitionType::kModelDef);
  ge::proto::ModelDef model;
  if (part == nullptr || !model.ParseFromArray(om.data() + part->offset, static_cast<int>(part->size))) {
    return absl::DataLossError(absl::StrCat("E10041: ", name, ": no readable MODEL_DEF partition"));
  }
  return model;
}

}  // namespace

absl::StatusOr<OmGraphs> ReadOmGraphs(const std::string& path) {
  OmGraphs graphs;
  ASSIGN_OR_RETURN_WITH(graphs.file, MappedFile::Open(path), "E10410");
  const std::string_view bytes = graphs.file->view();
  ASSIGN_OR_RETURN_WITH(graphs.container, ParseOmContainer(bytes), absl::StrCat("E10041: ", path));
  ASSIGN_OR_RETURN(graphs.model, ModelDefIn(bytes, graphs.container, path));
  if (graphs.container.type != OmModelType::kFlow) return graphs;
  ASSIGN_OR_RETURN_WITH(graphs.cluster, OmFile::Open(path), "E10041");
  for (const OmSubmodel& submodel : graphs.cluster->submodels()) {
    const std::string_view nested = submodel.file->view().substr(submodel.offset, submodel.size);
    ASSIGN_OR_RETURN_WITH(const OmContainer container, ParseOmContainer(nested), absl::StrCat("E10041: ", submodel.name));
    ASSIGN_OR_RETURN(ge::proto::ModelDef model, ModelDefIn(nested, container, submodel.name));
    graphs.submodels.push_back(std::move(model));
  }
  return graphs;
}

}  // namespace omserve::atc
