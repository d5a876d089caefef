// Writes small valid files for the binary targets: fuzz_seeds FOLDER → FOLDER/{onnx,air,om,plan}/*. The texts of the other
// targets lie in tests/fuzz/seeds.
#include <filesystem>
#include <iostream>
#include <string>

#include "absl/status/status.h"
#include "core/base/file.h"
#include "core/base/status.h"
#include "core/import/onnx/test_models.h"
#include "core/om/ge_ir.h"
#include "core/om/om_testing.h"
#include "core/partition/choose.h"
#include "core/partition/plan_file.h"
#include "tests/fuzz/plan_model.h"

namespace omserve {
namespace {

// Something of everything that the reader walks through.
std::string Convolutions() {
  OnnxModelBuilder model(13);
  model.AddInput("x", DataType::kFloat, {kUnknownDim, 3, 8, 8});
  model.AddInit("w", Tensor::Of<float>({2, 3, 1, 1}, {1, 2, 3, 4, 5, 6}));
  model.AddInit("axes", Tensor::Int64s({2, 3}), OnnxStorage::kTyped);
  model.AddInit("pads", Tensor::Int64s({0, 0, 1, -1, 0, 0, 1, 1}));
  model.AddNode("Conv", {"x", "w"}, {"c"},
                {{"strides", std::vector<int64_t>{1, 1}}, {"auto_pad", std::string("SAME_UPPER")}}, "conv");
  model.AddNode("Constant", {}, {"k"}, {{"value", Tensor::Of<float>({1}, {0.5f})}});
  model.AddNode("Pad", {"c", "pads"}, {"p"}, {{"mode", std::string("constant")}});
  model.AddNode("Mul", {"p", "k"}, {"m"});
  model.AddNode("Split", {"m"}, {"s", "t"}, {{"axis", 1}});
  model.AddNode("ReduceSum", {"s", "axes"}, {"y"}, {{"keepdims", 0}});
  model.AddOutput("y", DataType::kFloat, {kUnknownDim, 1});
  model.AddOutput("t");
  return model.Serialize();
}

std::string Attention() {
  OnnxModelBuilder model(17);
  model.AddInput("ids", DataType::kInt64, {1, kUnknownDim});
  model.AddInit("table", testing::Counting({4, 8}));
  model.AddInit("w", testing::Counting({8, 8}));
  model.AddInit("scale", testing::Counting({8}));
  model.AddInit("shape", Tensor::Int64s({0, -1, 2, 4}));
  model.AddNode("Gather", {"table", "ids"}, {"e"}, {{"axis", 0}});
  model.AddNode("LayerNormalization", {"e", "scale", "scale"}, {"n"}, {{"axis", -1}, {"epsilon", 1e-5f}});
  model.AddNode("MatMul", {"n", "w"}, {"q"});
  model.AddNode("Reshape", {"q", "shape"}, {"r"});
  model.AddNode("Transpose", {"r"}, {"h"}, {{"perm", std::vector<int64_t>{0, 2, 1, 3}}});
  model.AddNode("Softmax", {"h"}, {"y"}, {{"axis", -1}});
  model.AddOutput("y");
  return model.Serialize();
}

absl::Status Write(const std::string& folder) {
  for (const char* name : {"onnx", "air", "om", "plan"}) std::filesystem::create_directories(folder + "/" + name);
  RETURN_IF_ERROR(WriteFileAtomically(folder + "/onnx/convolutions.onnx", Convolutions()));
  RETURN_IF_ERROR(WriteFileAtomically(folder + "/onnx/attention.onnx", Attention()));
  for (int ranks : {1, 2}) {
    const SlicedModel model = testing::ColumnCut(ranks);
    const std::string name = "/mlp" + std::to_string(ranks);
    RETURN_IF_ERROR(WriteOm(model, folder + "/om" + name + ".om"));
    ASSIGN_OR_RETURN(auto om, OmFile::Open(folder + "/om" + name + ".om"));
    // The targets of OM also take a nested OM and the description by itself.
    const OmSubmodel& nested = om->submodels()[0];
    RETURN_IF_ERROR(WriteFileAtomically(folder + "/om" + name + ".slice",
                                        std::string(nested.file->view().substr(nested.offset, nested.size))));
    RETURN_IF_ERROR(WriteFileAtomically(folder + "/om" + name + ".json", ModelInfoToJson(om->info())));
    ge::proto::ModelDef air;
    air.set_name("mlp");
    RETURN_IF_ERROR(GraphToGe(model.graphs[0], {}, air.add_graph()));
    RETURN_IF_ERROR(WriteFileAtomically(folder + "/air" + name + ".air", air.SerializeAsString()));
  }
  for (int stages : {1, 2}) {
    const Graph graph = fuzz::MakePlanGraph();
    const Cluster cluster = Cluster::Local(4);
    ParallelOptions options;
    options.tensor_parallel_size = 4 / stages;
    options.pipeline_stages = stages;
    ASSIGN_OR_RETURN(const Plan plan, PlanModel(graph, cluster, options));
    RETURN_IF_ERROR(WriteFileAtomically(folder + "/plan/stages" + std::to_string(stages) + ".json",
                                        PlanToText(graph, cluster, plan)));
  }
  return absl::OkStatus();
}

}  // namespace
}  // namespace omserve

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: fuzz_seeds FOLDER\n";
    return 2;
  }
  const absl::Status status = omserve::Write(argv[1]);
  if (!status.ok()) std::cerr << status << "\n";
  return status.ok() ? 0 : 1;
}
