// Random plans of random graphs on real workers: what spmd_equivalence_test shows in an emulator, shown through OM files, a
// coordinator, worker processes and their communicators. random_plans ADDRESS DEVICES CASES FOLDER
//
// Each case draws a graph and a legal plan (replicas x stages x mesh, on at most DEVICES devices), writes the OM into
// FOLDER, loads it, runs three inputs at the same time, and compares every bit with one device. Prints what was covered;
// exits 1 with the case's number at the first difference.
#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <numeric>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "core/base/status.h"
#include "core/build/cut.h"
#include "core/build/describe.h"
#include "core/device/cpu/cpu_device.h"
#include "core/om/om_file.h"
#include "core/partition/testing/emulator.h"
#include "core/partition/testing/random_graph.h"
#include "omserve/client.h"

namespace omserve {
namespace {

struct Coverage {
  int cases = 0, pipelines = 0, replicated = 0, cut = 0;
};

client::Tensor ToClient(const std::string& name, const Tensor& tensor) {
  return client::Tensor::Owned({name, std::string(Name(tensor.type())), tensor.shape()},
                               std::string(reinterpret_cast<const char*>(tensor.data()), tensor.byte_size()));
}

absl::Status Compare(const std::string& output, const Tensor& want, const client::Tensor& got) {
  if (got.shape() != want.shape() || got.size() != want.byte_size()) {
    return absl::InternalError(absl::StrCat("output '", output, "' is ", ToString(got.desc())));
  }
  // Zeros of either sign are equal: a sum of summands may end in -0 or +0.
  ASSIGN_OR_RETURN(const std::span<const float> values, got.As<float>());
  for (size_t i = 0; i < values.size(); ++i) {
    if (values[i] != want.values<float>()[i]) {
      return absl::InternalError(absl::StrCat("output '", output, "', element ", i, ": ", values[i], " instead of ",
                                              want.values<float>()[i]));
    }
  }
  return absl::OkStatus();
}

absl::Status RunCase(client::Client& service, int number, int devices, const std::string& folder, Coverage& coverage) {
  std::mt19937 rng(static_cast<uint32_t>(1000000 + number));
  const auto draw = [&](int least, int most) { return std::uniform_int_distribution<int>(least, most)(rng); };
  const int replicas = draw(1, 3) == 1 ? 2 : 1;
  std::vector<int> stages(static_cast<size_t>(draw(1, 3)));
  for (int left = devices / replicas - static_cast<int>(stages.size()); int& stage : stages) {
    stage = 1 + draw(0, std::min(left, 3));
    left -= stage - 1;
  }
  const int per_replica = std::accumulate(stages.begin(), stages.end(), 0);
  const Graph graph = RandomGraph(rng, draw(4, 24));
  const Cluster cluster = Cluster::Local(per_replica * replicas);
  ASSIGN_OR_RETURN(Plan plan, RandomPlan(graph, cluster, stages, rng));
  plan.replicas.clear();
  for (int replica = 0; replica < replicas; ++replica) {
    std::vector<int>& taken = plan.replicas.emplace_back(static_cast<size_t>(per_replica));
    std::iota(taken.begin(), taken.end(), replica * per_replica);
  }
  ModelInfo info = DescribeInputsAndOutputs(graph);
  info.name = "case";
  ASSIGN_OR_RETURN(const SlicedModel model, CutByPlan(graph, std::move(info), cluster, plan));
  const std::string om = absl::StrCat(folder, "/case.om");
  RETURN_IF_ERROR(WriteOm(model, om));
  RETURN_IF_ERROR(service.Load(om).status());

  CpuEvaluator evaluator;
  std::vector<std::vector<Tensor>> expected;
  std::vector<std::vector<client::Tensor>> requests;
  for (int i = 0; i < 3; ++i) {
    const std::vector<Tensor> inputs = RandomInputs(graph, rng);
    ASSIGN_OR_RETURN(expected.emplace_back(), RunWhole(graph, inputs, evaluator));
    std::vector<client::Tensor>& request = requests.emplace_back();
    for (size_t k = 0; k < inputs.size(); ++k) request.push_back(ToClient(model.info.inputs[k].name, inputs[k]));
  }
  std::vector<absl::StatusOr<client::RunResult>> results(requests.size(), absl::UnknownError("not run"));
  std::vector<std::thread> callers;
  for (size_t i = 0; i < requests.size(); ++i) {
    callers.emplace_back([&, i] { results[i] = service.Run("case", requests[i], {{.timeout = absl::Minutes(1)}}); });
  }
  for (std::thread& caller : callers) caller.join();
  for (size_t i = 0; i < results.size(); ++i) {
    RETURN_IF_ERROR(results[i].status());
    for (size_t o = 0; o < expected[i].size(); ++o) {
      RETURN_IF_ERROR(Compare(model.info.outputs[o].name, expected[i][o], results[i]->outputs[o]));
    }
  }
  RETURN_IF_ERROR(service.Unload("case"));
  ++coverage.cases;
  coverage.pipelines += stages.size() > 1;
  coverage.replicated += replicas > 1;
  coverage.cut += *std::max_element(stages.begin(), stages.end()) > 1;
  return absl::OkStatus();
}

int Main(const std::string& address, int devices, int cases, const std::string& folder) {
  auto service = client::Client::Connect(address);
  if (!service.ok()) {
    std::cerr << service.status() << "\n";
    return 1;
  }
  Coverage coverage;
  for (int i = 0; i < cases; ++i) {
    if (const absl::Status status = RunCase(**service, i, devices, folder, coverage); !status.ok()) {
      std::cerr << "case " << i << ": " << status << "\n";
      return 1;
    }
  }
  std::cout << coverage.cases << " cases equal in every bit: " << coverage.pipelines << " pipelines, " << coverage.cut
            << " with operators cut, " << coverage.replicated << " in replicas\n";
  return 0;
}

}  // namespace
}  // namespace omserve

int main(int argc, char** argv) {
  if (argc != 5) {
    std::cerr << "usage: random_plans ADDRESS DEVICES CASES FOLDER\n";
    return 2;
  }
  return omserve::Main(argv[1], std::atoi(argv[2]), std::atoi(argv[3]), argv[4]);
}
