// Slices for tests: written as AIR files, built with a relation file, and run as they would be on a cluster.
#ifndef OMSERVE_CORE_BUILD_SLICES_TESTING_H_
#define OMSERVE_CORE_BUILD_SLICES_TESTING_H_

#include <fstream>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/base/status.h"
#include "core/build/build.h"
#include "core/comm/communicator.h"
#include "core/device/cpu/cpu_device.h"
#include "core/exec/slice_runner.h"
#include "core/om/ge_ir.h"
#include "core/om/om_file.h"
#include "core/om/om_testing.h"
#include "core/ops/op.h"
#include "gtest/gtest.h"

namespace omserve::testing {

// Adds nodes and infers them at once.
class SliceGraph {
 public:
  explicit SliceGraph(std::string name = "slice") : graph_(std::move(name)) {}

  ValueId Data(const std::string& name, Shape shape, DataType type = DataType::kFloat) {
    return graph_.AddData(name, {type, std::move(shape)})->out();
  }
  ValueId Const(const std::string& name, Tensor value) { return graph_.AddConst(name, std::move(value))->out(); }
  ValueId Add(const std::string& type, const std::string& name, std::vector<ValueId> inputs, const AttrMap& attrs = {}) {
    Node* node = graph_.AddNode(type, name, std::move(inputs));
    for (const auto& [key, value] : attrs) node->SetAttr(key, value);
    const absl::Status status = InferNode(graph_, *node);
    if (!status.ok()) ADD_FAILURE() << status;
    return node->out();
  }
  SliceGraph& Output(const std::string& name, ValueId value) {
    graph_.AddOutput(name, value);
    return *this;
  }
  Graph& graph() { return graph_; }

 private:
  Graph graph_;
};

// A folder of AIR files that is removed at the end of the test.
class SliceFolder {
 public:
  std::string path() const { return folder_ / ""; }
  void Write(const std::string& name, SliceGraph& slice) {
    ge::proto::ModelDef model;
    model.set_name(slice.graph().name());
    const absl::Status status = GraphToGe(slice.graph(), {}, model.add_graph());
    if (!status.ok()) ADD_FAILURE() << status;
    std::ofstream(folder_ / name, std::ios::binary) << model.SerializeAsString();
  }

 private:
  const TemporaryFolder folder_;
};

inline std::vector<float> ValuesOf(const Tensor& tensor) {
  return {tensor.values<float>().begin(), tensor.values<float>().end()};
}

// Runs all slices of a model read back from its OM, each on a CPU device and a thread of its own, for `inputs`; the
// outputs of the model as a coordinator would take them.
inline absl::StatusOr<std::vector<Tensor>> RunThroughOm(const SlicedModel& model, const std::vector<Tensor>& inputs) {
  const TemporaryFolder folder;
  const std::string path = folder / "model.om";
  RETURN_IF_ERROR(WriteOm(model, path, {}));
  ASSIGN_OR_RETURN(const std::unique_ptr<OmFile> om, OmFile::Open(path));
  const ModelInfo& info = om->info();
  CommWorld world;
  world.process_of.assign(info.slices.size(), 0);
  for (const HcomGroup& group : info.groups) world.groups.push_back({group.name, group.ranks});
  Cancellation epoch;
  std::unique_ptr<CommunicatorHub> hub;
  if (!world.groups.empty()) {
    ASSIGN_OR_RETURN(hub, CommunicatorHub::Create(world, 0, &epoch));
    RETURN_IF_ERROR(hub->Connect({}, WaitLimit{absl::Now() + absl::Seconds(60)}));
  }
  std::vector<std::unique_ptr<CpuDevice>> devices;
  std::vector<std::unique_ptr<SliceRunner>> runners;
  for (size_t rank = 0; rank < info.slices.size(); ++rank) {
    ASSIGN_OR_RETURN(auto device, CpuDevice::Create(static_cast<int>(rank), 1, size_t{1} << 30));
    devices.push_back(std::move(device));
    ASSIGN_OR_RETURN(const Graph graph, ReadSlice(*om, rank));
    ASSIGN_OR_RETURN(auto runner, SliceRunner::Create(*devices.back(), graph,
                                                      hub == nullptr ? nullptr : hub->backend(static_cast<int>(rank))));
    runners.push_back(std::move(runner));
  }
  using Result = absl::StatusOr<std::vector<Tensor>>;
  std::vector<std::promise<Result>> promises(runners.size());
  for (size_t rank = 0; rank < runners.size(); ++rank) {
    std::vector<Tensor> own;
    for (const int input : info.slices[rank].inputs) own.push_back(inputs[input]);
    runners[rank]->Submit(std::move(own), WaitLimit{absl::Now() + absl::Seconds(60)}, [&, rank](Result result) {
      // A rank that fails leaves its peers waiting.
      if (!result.ok()) epoch.Cancel(result.status());
      promises[rank].set_value(std::move(result));
    });
  }
  std::vector<Tensor> outputs(info.outputs.size());
  absl::Status first;
  for (size_t rank = 0; rank < runners.size(); ++rank) {
    Result result = promises[rank].get_future().get();
    first.Update(result.status());
    if (!result.ok()) continue;
    for (size_t i = 0; i < result->size(); ++i) {
      const OutputPiece& piece = info.slices[rank].outputs[i];
      Tensor& whole = outputs[piece.output];
      // Outputs are whole on every slice that has them, so they must be equal.
      if (whole.byte_size() > 0) {
        EXPECT_EQ(ValuesOf(whole), ValuesOf((*result)[i])) << "output " << piece.output << " of " << rank;
      }
      whole = std::move((*result)[i]);
    }
  }
  RETURN_IF_ERROR(first);
  return outputs;
}

}  // namespace omserve::testing

#endif  // OMSERVE_CORE_BUILD_SLICES_TESTING_H_
