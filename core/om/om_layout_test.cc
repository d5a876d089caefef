// What other readers of OM files rely on, checked on the raw bytes: no code of the reader is used here.
#include <cstring>
#include <map>

#include "core/base/sha256.h"
#include "core/om/om_testing.h"
#include "ge/flow_model.pb.h"
#include "ge/ge_ir.pb.h"
#include "ge/task.pb.h"
#include "gmock/gmock.h"
#include "google/protobuf/util/message_differencer.h"
#include "gtest/gtest.h"

namespace omserve {
namespace {

using ::google::protobuf::util::MessageDifferencer;
using ::testing::ElementsAre;

template <typename T>
T At(const std::string& bytes, size_t offset) {
  T value;
  std::memcpy(&value, bytes.data() + offset, sizeof(value));
  return value;
}

struct Partition {
  uint32_t type;
  std::string bytes;
  uint64_t begin;  // in the OM
};

// Checks all that is fixed of header and table, and splits the OM.
std::vector<Partition> Split(const std::string& om, uint8_t model_type, const std::string& name) {
  EXPECT_EQ(om.substr(0, 4), "IMOD");
  EXPECT_EQ(At<uint32_t>(om, 4), 256u);                 // headsize
  EXPECT_EQ(At<uint32_t>(om, 8), 0x20000000u);          // version
  EXPECT_EQ(om.substr(12, 64), std::string(64, '\0'));  // checksum
  EXPECT_EQ(At<uint32_t>(om, 76), 0u);                  // length
  EXPECT_EQ(om.substr(80, 2), std::string(2, '\0'));
  EXPECT_EQ(static_cast<uint8_t>(om[82]), model_type);
  EXPECT_EQ(om[83], 0);  // genmode
  EXPECT_EQ(om.substr(84, 32), name + std::string(32 - name.size(), '\0'));
  EXPECT_EQ(om.substr(116, 36), std::string(36, '\0'));
  EXPECT_EQ(At<uint32_t>(om, 152), 2u);  // om_ir_version
  EXPECT_EQ(At<uint32_t>(om, 156), 1u);  // model_num
  EXPECT_EQ(om.substr(160, 24), std::string(24, '\0'));
  EXPECT_EQ(At<uint64_t>(om, 184), om.size() - 256);  // model_length
  EXPECT_EQ(om.substr(192, 64), std::string(64, '\0'));

  const uint32_t count = At<uint32_t>(om, 256);
  EXPECT_EQ(At<uint32_t>(om, 260), 0u);
  const size_t base = 264 + 24 * size_t{count};
  std::vector<Partition> partitions;
  uint64_t offset = 0;
  for (uint32_t i = 0; i < count; ++i) {
    EXPECT_EQ(At<uint32_t>(om, 268 + 24 * i), 0u);
    EXPECT_EQ(At<uint64_t>(om, 272 + 24 * i), offset);
    const uint64_t size = At<uint64_t>(om, 280 + 24 * i);
    partitions.push_back({At<uint32_t>(om, 264 + 24 * i), om.substr(base + offset, size), base + offset});
    offset += size;
  }
  EXPECT_EQ(base + offset, om.size());
  return partitions;
}

class OmLayoutTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(WriteOm(model_, folder_ / "m.om").ok());
    om_ = *ReadFile(folder_ / "m.om");
    partitions_ = Split(om_, 3, "mlp");
    ASSERT_EQ(partitions_.size(), 4u);
    for (size_t i = 0; i < 2; ++i) {
      ASSERT_TRUE(submodels_[i].ParseFromString(partitions_[2 + i].bytes));
    }
    slice_ = Split(submodels_[1].om_data(), 0, "mlp_rank1");
    ASSERT_EQ(slice_.size(), 4u);
    ASSERT_TRUE(slice_def_.ParseFromString(slice_[1].bytes));
  }

  SlicedModel model_ = testing::ColumnCut(2);
  testing::TemporaryFolder folder_;
  std::string om_;
  std::vector<Partition> partitions_;
  ge::flow_model::proto::SubmodelDef submodels_[2];
  std::vector<Partition> slice_;
  ge::proto::ModelDef slice_def_;
};

TEST_F(OmLayoutTest, ClusterFile) {
  EXPECT_EQ(partitions_[0].type, 0u);  // MODEL_DEF
  EXPECT_EQ(partitions_[1].type, 6u);  // FLOW_MODEL
  EXPECT_EQ(partitions_[2].type, 7u);  // FLOW_SUBMODEL
  EXPECT_EQ(partitions_[3].type, 7u);
}

TEST_F(OmLayoutTest, RootModel) {
  ge::proto::ModelDef root;
  ASSERT_TRUE(root.ParseFromString(partitions_[0].bytes));
  EXPECT_EQ(root.name(), "mlp");
  EXPECT_EQ(root.version(), 0u);
  ASSERT_EQ(root.graph_size(), 1);
  const ge::proto::GraphDef& graph = root.graph(0);
  std::vector<std::string> types;
  for (const auto& op : graph.op()) types.push_back(op.type());
  EXPECT_THAT(types, ElementsAre("Data", "PartitionedCall", "PartitionedCall", "NetOutput"));
  EXPECT_EQ(graph.op(1).name(), "mlp_rank0");
  EXPECT_THAT(graph.op(1).input(), ElementsAre("x:0"));
  EXPECT_EQ(graph.op(1).attr().at("_logic_device_id").s(), "0:0:0:0");
  EXPECT_EQ(graph.op(3).name(), "Node_Output");
  EXPECT_THAT(graph.op(3).input(), ElementsAre("mlp_rank0:0", "mlp_rank1:0"));
  EXPECT_THAT(graph.input(), ElementsAre("x:0"));
  EXPECT_THAT(graph.output(), ElementsAre("mlp_rank0:0", "mlp_rank1:0"));
  EXPECT_EQ(root.attr().at("_omserve_format").i(), 1);
  EXPECT_EQ(root.attr().at("_omserve_model").s(), ModelInfoToJson(model_.info));
  EXPECT_EQ(root.attr().at("_omserve_digest").s().size(), 64u);
}

TEST_F(OmLayoutTest, InspectionAttributes) {
  ge::proto::ModelDef root;
  ASSERT_TRUE(root.ParseFromString(partitions_[0].bytes));
  for (const ge::proto::ModelDef* model : {&root, &slice_def_}) {
    const auto& attrs = model->attr();
    EXPECT_THAT(attrs.at("atc_version").s(), ::testing::StartsWith("omserve "));
    EXPECT_EQ(attrs.at("atc_cmdline").value_case(), ge::proto::AttrDef::kS);
    EXPECT_EQ(attrs.at("soc_version").value_case(), ge::proto::AttrDef::kS);
    EXPECT_EQ(attrs.at("soc_version").s(), "");
    EXPECT_EQ(attrs.at("framework_type").s(), "Onnx");
    for (const char* name : {"memory_size", "weight_size", "stream_num", "event_num"}) {
      EXPECT_EQ(attrs.at(name).value_case(), ge::proto::AttrDef::kI) << name;
    }
    EXPECT_EQ(attrs.at("om_info_list").list().i_size(), 5);
    EXPECT_EQ(attrs.at("om_info_list").list().val_type(), ge::proto::AttrDef::ListValue::VT_LIST_INT);
    EXPECT_EQ(attrs.at("attr_model_out_nodes_name").list().val_type(),
              ge::proto::AttrDef::ListValue::VT_LIST_STRING);
  }
  EXPECT_THAT(slice_def_.attr().at("attr_model_out_nodes_name").list().s(), ElementsAre("fc:0"));
}

TEST_F(OmLayoutTest, FlowModel) {
  ge::flow_model::proto::FlowModelDef flow;
  ASSERT_TRUE(flow.ParseFromString(partitions_[1].bytes));
  EXPECT_EQ(flow.model_name(), "mlp");
  EXPECT_THAT(flow.submodel_name(), ElementsAre("mlp_rank0", "mlp_rank1"));
  const auto& relation = flow.relation();
  EXPECT_THAT(relation.root_model_endpoint_info().input_endpoint_name(), ElementsAre("mlp:x"));
  EXPECT_THAT(relation.root_model_endpoint_info().output_endpoint_name(),
              ElementsAre("mlp_rank0:0", "mlp_rank1:0"));
  EXPECT_THAT(relation.submodel_endpoint_info().at("mlp_rank1").input_endpoint_name(), ElementsAre("mlp:x"));
  EXPECT_THAT(relation.submodel_endpoint_info().at("mlp_rank1").output_endpoint_name(),
              ElementsAre("mlp_rank1:0"));
  std::map<std::string, int> queues;
  for (const auto& endpoint : relation.endpoint()) queues[endpoint.name()] = endpoint.endpoint_type();
  EXPECT_EQ(queues, (std::map<std::string, int>{{"mlp:x", 0}, {"mlp_rank0:0", 0}, {"mlp_rank1:0", 0}}));
  EXPECT_EQ(relation.endpoint(0).attrs().at("QueueDepth").i(), 128);
  EXPECT_EQ(relation.endpoint(0).attrs().at("QueueEnqueuePolicy").s(), "FIFO");
}

TEST_F(OmLayoutTest, Submodels) {
  EXPECT_EQ(submodels_[1].model_name(), "mlp_rank1");
  EXPECT_EQ(submodels_[1].model_type(), "NPU");
  EXPECT_EQ(submodels_[1].deploy_info().logic_device_id(), "0:0:1:0");
  EXPECT_TRUE(submodels_[1].has_redundant_deploy_info());
  EXPECT_EQ(submodels_[1].om_data_file_path(), "");
  EXPECT_EQ(submodels_[1].ext_attrs().at("omserve.slice"),
            "{\"sha256\":\"" + Sha256::Of(submodels_[1].om_data()) +
                "\",\"size\":" + std::to_string(submodels_[1].om_data().size()) + "}");
  // Nested OMs begin aligned in the file, so that their weights are.
  for (const auto& submodel : submodels_) EXPECT_EQ(om_.find(submodel.om_data()) % 512, 0u);
}

TEST_F(OmLayoutTest, SlicePartitions) {
  EXPECT_EQ(slice_[0].type, 8u);  // MODEL_INOUT_INFO
  EXPECT_EQ(slice_[1].type, 0u);  // MODEL_DEF
  EXPECT_EQ(slice_[2].type, 1u);  // WEIGHTS_DATA
  EXPECT_EQ(slice_[3].type, 2u);  // TASK_INFO
  EXPECT_EQ(slice_[2].begin % 512, 0u);
  EXPECT_EQ(slice_[2].bytes.size() % 512, 0u);
  domi::ModelTaskDef tasks;
  ASSERT_TRUE(tasks.ParseFromString(slice_[3].bytes));
  EXPECT_EQ(tasks.weight_size(), slice_[2].bytes.size());
  EXPECT_FALSE(slice_[3].bytes.empty());
}

TEST_F(OmLayoutTest, InOutInfo) {
  const std::string& info = slice_[0].bytes;
  auto check = [&](size_t at, uint32_t type, const std::string& name, uint64_t size, const Shape& shape) {
    EXPECT_EQ(At<uint32_t>(info, at), type);
    const uint32_t length = At<uint32_t>(info, at + 4);
    EXPECT_EQ(At<uint32_t>(info, at + 8), 1u);  // count
    EXPECT_EQ(At<uint64_t>(info, at + 12), size);
    EXPECT_EQ(At<int32_t>(info, at + 20), 2);  // ND
    EXPECT_EQ(At<int32_t>(info, at + 24), 0);  // float, number of the C++ enumeration
    EXPECT_EQ(At<uint32_t>(info, at + 28), name.size());
    EXPECT_EQ(At<uint32_t>(info, at + 32), 8 * shape.size());
    EXPECT_EQ(At<uint32_t>(info, at + 36), 8 * shape.size());
    EXPECT_EQ(At<uint32_t>(info, at + 40), 0u);
    EXPECT_EQ(info.substr(at + 44, name.size()), name);
    for (size_t copy = 0; copy < 2; ++copy) {
      for (size_t d = 0; d < shape.size(); ++d) {
        EXPECT_EQ(At<int64_t>(info, at + 44 + name.size() + 8 * (copy * shape.size() + d)), shape[d]);
      }
    }
    EXPECT_EQ(length, 4 + 32 + name.size() + 16 * shape.size());
    return at + 8 + length;
  };
  const size_t end = check(0, 0, "x", 32, {2, 4});
  EXPECT_EQ(check(end, 1, "fc:0", 32, {2, 4}), info.size());
}

TEST_F(OmLayoutTest, SliceGraph) {
  EXPECT_EQ(slice_def_.version(), 2u);
  ASSERT_EQ(slice_def_.graph_size(), 1);
  const ge::proto::GraphDef& graph = slice_def_.graph(0);
  EXPECT_EQ(graph.attr().at("_device_id").s(), "0:0:1:0");
  std::map<std::string, const ge::proto::OpDef*> ops;
  for (const auto& op : graph.op()) ops[op.name()] = &op;
  EXPECT_EQ(ops.at("x")->attr().at("index").i(), 0);
  EXPECT_EQ(ops.at("x")->input_size(), 0);
  EXPECT_EQ(ops.at("x")->input_desc_size(), 1);
  EXPECT_THAT(ops.at("fc")->input(), ElementsAre("x:0", "w:0", "b:0"));
  EXPECT_EQ(ops.at("Node_Output")->type(), "NetOutput");
  EXPECT_THAT(graph.input(), ElementsAre("x:0"));
  EXPECT_THAT(graph.output(), ElementsAre("fc:0"));
  // What a consumer expects is what the producer gives.
  for (const auto& op : graph.op()) {
    for (int i = 0; i < op.input_size(); ++i) {
      const std::string source = op.input(i).substr(0, op.input(i).rfind(':'));
      EXPECT_TRUE(MessageDifferencer::Equals(op.input_desc(i), ops.at(source)->output_desc(0)));
    }
  }
  const ge::proto::TensorDescriptor& desc = ops.at("fc")->output_desc(0);
  EXPECT_EQ(desc.dtype(), ge::proto::DT_FLOAT);
  EXPECT_THAT(desc.shape().dim(), ElementsAre(2, 4));
  EXPECT_EQ(desc.layout(), "ND");
  EXPECT_EQ(desc.attr().at("origin_format").s(), "ND");
  EXPECT_EQ(desc.attr().at("origin_format_for_int").i(), 2);
  EXPECT_EQ(desc.attr().at("format_for_int").i(), 2);
  EXPECT_EQ(desc.attr().at("origin_data_type").s(), "DT_FLOAT");
  EXPECT_TRUE(desc.attr().at("origin_shape_initialized").b());
  EXPECT_THAT(desc.attr().at("origin_shape").list().i(), ElementsAre(2, 4));
}

TEST_F(OmLayoutTest, Weights) {
  const ge::proto::GraphDef& graph = slice_def_.graph(0);
  std::vector<int64_t> offsets;
  for (const auto& op : graph.op()) {
    if (op.type() != "Const") continue;
    const ge::proto::TensorDef& value = op.attr().at("value").t();
    EXPECT_TRUE(value.data().empty());
    offsets.push_back(value.desc().data_offset());
    const std::string bytes = slice_[2].bytes.substr(value.desc().data_offset(), value.desc().weight_size());
    const Tensor expected = model_.graphs[1].FindNode(op.name())->constant()->Materialize();
    EXPECT_EQ(bytes, std::string(expected.buffer().view())) << op.name();
  }
  EXPECT_THAT(offsets, ElementsAre(512, 1024));
}

}  // namespace
}  // namespace omserve
