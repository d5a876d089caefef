// Runs a built model in this process, one thread per slice, as a worker does, and prints how long runs take. Driven by
// scripts/bench, which alternates it with ONNX Runtime:
//   model_bench MODEL.onnx --tensor-parallel N --threads T --input-shape "x:1,3"  < commands
// Each line "run K" makes K runs and answers with one line of K latencies in milliseconds.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <future>
#include <iostream>
#include <memory>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "CLI/CLI.hpp"
#include "core/base/status.h"
#include "core/build/build.h"
#include "core/comm/communicator.h"
#include "core/device/cpu/cpu_device.h"
#include "core/exec/slice_runner.h"

namespace omserve {
namespace {

// The devices of one process with the slices of one model.
class LocalModel {
 public:
  static absl::StatusOr<std::unique_ptr<LocalModel>> Create(SlicedModel model, int threads) {
    auto local = std::unique_ptr<LocalModel>(new LocalModel());
    CommWorld world;
    world.process_of.assign(model.graphs.size(), 0);
    for (const HcomGroup& group : model.info.groups) world.groups.push_back({group.name, group.ranks});
    ASSIGN_OR_RETURN(local->hub_, CommunicatorHub::Create(world, 0, &local->epoch_));
    for (size_t rank = 0; rank < model.graphs.size(); ++rank) {
      ASSIGN_OR_RETURN(std::unique_ptr<Device> device,
                       CpuDevice::Create(static_cast<int>(rank), threads, size_t{16} << 30));
      ASSIGN_OR_RETURN(std::unique_ptr<SliceRunner> runner,
                       SliceRunner::Create(*device, model.graphs[rank], local->hub_->backend(static_cast<int>(rank))));
      local->devices_.push_back(std::move(device));
      local->runners_.push_back(std::move(runner));
    }
    local->model_ = std::move(model);
    return local;
  }

  absl::Status Run(const std::vector<Tensor>& inputs) {
    std::vector<std::promise<absl::Status>> done(runners_.size());
    for (size_t rank = 0; rank < runners_.size(); ++rank) {
      std::vector<Tensor> mine;
      for (int input : model_.info.slices[rank].inputs) mine.push_back(inputs[input]);
      runners_[rank]->Submit(std::move(mine), WaitLimit{.epoch = &epoch_},
                             [&done, rank](absl::StatusOr<std::vector<Tensor>> outputs) {
                               done[rank].set_value(outputs.status());
                             });
    }
    absl::Status first;
    for (auto& promise : done) {
      if (absl::Status status = promise.get_future().get(); first.ok()) first = status;
    }
    return first;
  }

  const ModelInfo& info() const { return model_.info; }

 private:
  LocalModel() = default;
  Cancellation epoch_;
  SlicedModel model_;
  std::vector<std::unique_ptr<Device>> devices_;
  std::unique_ptr<CommunicatorHub> hub_;
  std::vector<std::unique_ptr<SliceRunner>> runners_;
};

// Values of a size that keeps activations finite; indices that every table has.
Tensor RandomTensor(const TensorDesc& desc, std::mt19937& rng) {
  const size_t count = static_cast<size_t>(NumElements(desc.shape));
  if (desc.type == DataType::kInt64) {
    std::vector<int64_t> values(count);
    for (int64_t& value : values) value = static_cast<int64_t>(rng() % 2);
    return Tensor::Of<int64_t>(desc.shape, values);
  }
  std::vector<float> values(count);
  std::normal_distribution<float> normal;
  for (float& value : values) value = normal(rng);
  return Tensor::Of<float>(desc.shape, values);
}

absl::Status Serve(const std::string& path, const BuildOptions& options, int threads) {
  ASSIGN_OR_RETURN(SlicedModel model, BuildModel(path, options, nullptr));
  const std::string plan = model.info.build["plan"];
  ASSIGN_OR_RETURN(std::unique_ptr<LocalModel> local, LocalModel::Create(std::move(model), threads));
  std::mt19937 rng(1);
  std::vector<Tensor> inputs;
  for (const NamedDesc& input : local->info().inputs) inputs.push_back(RandomTensor(input.desc, rng));
  std::cout << "ready " << plan << std::endl;
  std::string line;
  while (std::getline(std::cin, line)) {
    std::istringstream words(line);
    std::string command;
    int count = 0;
    words >> command >> count;
    if (command != "run" || count < 1) return absl::InvalidArgumentError("expected: run COUNT");
    for (int i = 0; i < count; ++i) {
      const auto start = std::chrono::steady_clock::now();
      RETURN_IF_ERROR(local->Run(inputs));
      const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - start;
      std::printf("%s%.4f", i > 0 ? " " : "", took.count());
    }
    std::printf("\n");
    std::fflush(stdout);
  }
  return absl::OkStatus();
}

}  // namespace
}  // namespace omserve

int main(int argc, char** argv) {
  CLI::App app{"Latency of a model on CPU devices of this process"};
  std::string path, shapes;
  int tensor_parallel = 1, threads = 1;
  app.add_option("model", path, "ONNX file")->required();
  app.add_option("--tensor-parallel", tensor_parallel, "devices to cut the model over");
  app.add_option("--threads", threads, "threads per device");
  app.add_option("--input-shape", shapes, "name:d0,d1,...;...");
  CLI11_PARSE(app, argc, argv);
  omserve::BuildOptions options;
  absl::StatusOr<omserve::InputShapes> parsed = omserve::ParseInputShapes(shapes);
  absl::Status status = parsed.status();
  if (status.ok()) {
    options.input_shapes = *std::move(parsed);
    options.cluster = omserve::Cluster::Local(tensor_parallel);
    if (tensor_parallel > 1) {
      options.parallel.emplace();
      options.parallel->tensor_parallel_size = tensor_parallel;
    }
    status = omserve::Serve(path, options, threads);
  }
  if (!status.ok()) std::cerr << status << "\n";
  return status.ok() ? 0 : 1;
}
