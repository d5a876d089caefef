#include "core/import/air/air_importer.h"

#include <filesystem>
#include <limits>
#include <memory>

#include "absl/strings/str_cat.h"
#include "core/base/file.h"
#include "core/base/status.h"
#include "core/om/external_weights.h"
#include "core/om/ge_ir.h"

namespace omserve {

absl::StatusOr<Graph> ImportAir(const std::string& path) {
  ASSIGN_OR_RETURN(const std::shared_ptr<const MappedFile> file, MappedFile::Open(path));
  const std::string_view bytes = file->view();
  ge::proto::ModelDef model;
  if (bytes.size() > static_cast<size_t>(std::numeric_limits<int32_t>::max()) ||
      !model.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())) || model.graph_size() == 0) {
    return absl::InvalidArgumentError(absl::StrCat("not an AIR file: ", path, " is no serialized ge.proto.ModelDef with a graph"));
  }
  NormalizeExternalWeights(model.mutable_graph(0));
  ASSIGN_OR_RETURN(Graph graph, GraphFromGe(model.graph(0), Buffer()));
  const std::string folder = std::filesystem::path(path).parent_path().string();
  RETURN_IF_ERROR(MapExternalWeights(folder.empty() ? "." : folder, &graph));
  return graph;
}

}  // namespace omserve
