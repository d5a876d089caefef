#include "test_util.h"

namespace ge::testing {

std::vector<Tensor> RuntimeTest::RunBothWays(const Graph& graph, const std::vector<Tensor>& inputs, bool exact) {
  std::vector<Tensor> whole;
  Session session{Strings{}};
  EXPECT_EQ(session.AddGraph(1, graph), SUCCESS) << GEGetErrorMsg();
  EXPECT_EQ(session.RunGraph(1, inputs, whole), SUCCESS) << GEGetErrorMsg();

  const Folder folder;
  EXPECT_EQ(aclgrphBuildInitialize(Strings{{ir_option::CLUSTER_CONFIG, ClusterFile(folder, 2)}}), GRAPH_SUCCESS);
  ModelBufferData model;
  EXPECT_EQ(aclgrphBuildModel(graph,
                              Strings{{ir_option::DISTRIBUTED_CLUSTER_BUILD, "1"},
                                      {ir_option::ENABLE_GRAPH_PARALLEL, "1"},
                                      {ir_option::GRAPH_PARALLEL_OPTION_PATH, PolicyFile(folder, 2)}},
                              model),
            GRAPH_SUCCESS)
      << GEGetErrorMsg();
  aclgrphBuildFinalize();
  ModelDistibuteDesc desc;
  EXPECT_EQ(GetModelDistributeDesc(model.data.get(), model.length, desc), SUCCESS) << GEGetErrorMsg();
  EXPECT_EQ(desc.logic_device_number, 2u);
  EXPECT_EQ(aclgrphSaveModel(folder / "model", model), GRAPH_SUCCESS) << GEGetErrorMsg();
  EXPECT_EQ(session.LoadGraph(2, {}, folder / "model.om"), SUCCESS) << GEGetErrorMsg();
  std::vector<Tensor> cut;
  EXPECT_EQ(session.RunGraph(2, inputs, cut), SUCCESS) << GEGetErrorMsg();

  EXPECT_EQ(cut.size(), whole.size());
  for (size_t i = 0; i < cut.size() && i < whole.size(); ++i) {
    EXPECT_EQ(cut[i].GetTensorDesc().GetShape().GetDims(), whole[i].GetTensorDesc().GetShape().GetDims());
    if (exact) {
      EXPECT_EQ(Values<uint8_t>(cut[i]), Values<uint8_t>(whole[i])) << "output " << i;
    } else {
      EXPECT_THAT(Values<float>(cut[i]), ::testing::Pointwise(::testing::FloatNear(1e-5f), Values<float>(whole[i])));
    }
  }
  return whole;
}

}  // namespace ge::testing
