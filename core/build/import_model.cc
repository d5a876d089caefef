#include "core/build/import_model.h"

#include "absl/strings/match.h"
#include "core/import/air/air_importer.h"
#include "core/import/onnx/onnx_importer.h"

namespace omserve {
namespace {

bool IsGeIr(absl::string_view path) { return absl::EndsWith(path, ".air") || absl::EndsWith(path, ".pb"); }

}  // namespace

bool IsModelFile(absl::string_view path) { return IsGeIr(path) || absl::EndsWith(path, ".onnx"); }

absl::StatusOr<Graph> ImportModel(const std::string& path) {
  return IsGeIr(path) ? ImportAir(path) : ImportOnnx(path);
}

}  // namespace omserve
