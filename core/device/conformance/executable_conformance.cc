// What an executable promises besides numbers: checks, collectives, cancellation, running again, memory.
#include <cstring>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include <gmock/gmock.h>

#include "core/base/deadline.h"
#include "core/device/conformance/harness.h"
#include "core/ops/op.h"

namespace omserve::conformance {
namespace {

using testing::ElementsAre;

// A group "g" of two in which this device has rank 1, and whose other member always holds zeros. The calls are noted;
// `next` is what they return.
class TwoRanks : public CollectiveBackend {
 public:
  absl::Status next = absl::OkStatus();
  std::vector<std::string> calls;

  absl::StatusOr<int> GroupSize(const std::string& group) const override {
    if (group != "g") return absl::NotFoundError("no group '" + group + "'");
    return 2;
  }
  absl::StatusOr<int> GroupRank(const std::string& group) const override { return 1; }
  absl::Status AllReduce(const std::string& group, const void* input, void* output, size_t count, DataType type,
                         Reduction reduction, const WaitLimit&) override {
    calls.push_back("AllReduce");
    if (output != input) std::memcpy(output, input, count * SizeOf(type));
    return next;
  }
  absl::Status AllGather(const std::string&, const void* input, void* output, size_t count, DataType type,
                         const WaitLimit&) override {
    calls.push_back("AllGather");
    std::memset(output, 0, count * SizeOf(type));
    std::memcpy(static_cast<std::byte*>(output) + count * SizeOf(type), input, count * SizeOf(type));
    return next;
  }
  absl::Status ReduceScatter(const std::string&, const void* input, void* output, size_t count, DataType type, Reduction,
                             const WaitLimit&) override {
    calls.push_back("ReduceScatter");
    std::memcpy(output, static_cast<const std::byte*>(input) + count * SizeOf(type), count * SizeOf(type));
    return next;
  }
  absl::Status AllToAll(const std::string&, const void* input, void* output, size_t count, DataType type,
                        const WaitLimit&) override {
    calls.push_back("AllToAll");
    std::memset(output, 0, count * SizeOf(type));
    std::memcpy(static_cast<std::byte*>(output) + count * SizeOf(type),
                static_cast<const std::byte*>(input) + count * SizeOf(type), count * SizeOf(type));
    return next;
  }
  absl::Status Broadcast(const std::string&, const void*, void* output, size_t count, DataType type, int,
                         const WaitLimit&) override {
    calls.push_back("Broadcast");
    std::memset(output, 0, count * SizeOf(type));
    return next;
  }
  absl::Status Send(const std::string&, const void*, size_t count, DataType, int peer, int64_t tag,
                    const WaitLimit&) override {
    calls.push_back("Send " + std::to_string(count) + " to " + std::to_string(peer) + " tag " + std::to_string(tag));
    return next;
  }
  absl::Status Receive(const std::string&, void* data, size_t count, DataType type, int peer, int64_t tag,
                       const WaitLimit&) override {
    calls.push_back("Receive from " + std::to_string(peer) + " tag " + std::to_string(tag));
    std::memset(data, 0, count * SizeOf(type));
    return next;
  }
};

OpCase Collective(const std::string& type) { return OpCase(type).Attr("group", std::string("g")); }

Array Counted(Shape shape) {
  Array array(std::move(shape));
  for (size_t i = 0; i < array.values.size(); ++i) array.values[i] = static_cast<double>(i + 1);
  return array;
}

TEST_P(DeviceConformance, Collectives) {
  TwoRanks ranks;
  const RunContext context{.collectives = &ranks};
  const Array x = Counted({2, 2});
  const auto run = [&](const OpCase& op, const Array& expected) {
    const auto outputs = op.Run(device(), context);
    ASSERT_TRUE(outputs.ok()) << outputs.status();
    ExpectNear((*outputs)[0], expected, DataType::kFloat, 0.0, "");
  };
  run(Collective("HcomAllReduce").Data(x).Attr("reduction", std::string("sum")), x);
  run(Collective("HcomAllGather").Data(x).Attr("rank_size", int64_t{2}), Array({4, 2}, {0, 0, 0, 0, 1, 2, 3, 4}));
  run(Collective("HcomReduceScatter").Data(x).Attr("reduction", std::string("max")).Attr("rank_size", int64_t{2}),
      Array({1, 2}, {3, 4}));
  run(Collective("HcomAllToAll").Data(x), Array({2, 2}, {0, 0, 3, 4}));
  run(Collective("HcomBroadcast").Data(x).Attr("root_rank", int64_t{0}), Array({2, 2}));
  run(Collective("HcomReceive").Attr("sr_tag", int64_t{5}).Attr("src_rank", int64_t{0}).Attr("shape", Ints{3})
          .Attr("dtype", DataType::kFloat),
      Array({3}));
  const auto sent = Collective("HcomSend").Data(x).Attr("sr_tag", int64_t{7}).Attr("dest_rank", int64_t{0}).Run(device(), context);
  ASSERT_TRUE(sent.ok()) << sent.status();
  EXPECT_THAT(ranks.calls, ElementsAre("AllReduce", "AllGather", "ReduceScatter", "AllToAll", "Broadcast",
                                       "Receive from 0 tag 5", "Send 4 to 0 tag 7"));
}

TEST_P(DeviceConformance, CollectivesCheckTheGroup) {
  TwoRanks ranks;
  const RunContext context{.collectives = &ranks};
  const Array x = Counted({2, 2});
  ExpectError(Collective("HcomAllGather").Data(x).Attr("rank_size", int64_t{3}).Run(device(), context).status(),
              absl::StatusCode::kInvalidArgument, "group 'g' has 2 devices");
  ExpectError(OpCase("HcomAllGather").Attr("group", std::string("h")).Data(x).Attr("rank_size", int64_t{2})
                  .Run(device(), context).status(),
              absl::StatusCode::kNotFound, "no group 'h'");
  ExpectError(Collective("HcomAllReduce").Data(x).Attr("reduction", std::string("sum")).Run(device()).status(),
              absl::StatusCode::kFailedPrecondition, "without communicators");
  EXPECT_TRUE(ranks.calls.empty());
}

TEST_P(DeviceConformance, RunsAgainAfterAFailure) {
  TwoRanks ranks;
  const RunContext context{.collectives = &ranks};
  const Array x = Counted({3});
  const OpCase op = Collective("HcomAllReduce").Data(x).Attr("reduction", std::string("sum"));
  const auto graph = op.Build();
  ASSERT_TRUE(graph.ok()) << graph.status();
  const auto executable = device().Compile(*graph);
  ASSERT_TRUE(executable.ok()) << executable.status();
  ranks.next = absl::UnavailableError("worker w1 is gone");
  const auto failed = (*executable)->Run(op.inputs(), context);
  ExpectError(failed.status(), absl::StatusCode::kUnavailable, "worker w1 is gone");
  EXPECT_THAT(std::string(failed.status().message()), testing::HasSubstr("'node'"));
  ranks.next = absl::OkStatus();
  const auto again = (*executable)->Run(op.inputs(), context);
  ASSERT_TRUE(again.ok()) << again.status();
  ExpectNear((*again)[0], x, DataType::kFloat, 0.0, "");
}

TEST_P(DeviceConformance, StopsWhenCancelled) {
  Cancellation run;
  const OpCase op = OpCase("Relu").Data(Counted({3}));
  const auto graph = op.Build();
  const auto executable = device().Compile(*graph);
  ASSERT_TRUE(executable.ok()) << executable.status();
  run.Cancel(absl::CancelledError("the client went away"));
  const RunContext context{.limit = {.run = &run}};
  ExpectError((*executable)->Run(op.inputs(), context).status(), absl::StatusCode::kCancelled, "the client went away");
  const RunContext late{.limit = {.deadline = absl::InfinitePast()}};
  EXPECT_EQ((*executable)->Run(op.inputs(), late).status().code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_TRUE((*executable)->Run(op.inputs(), {}).ok());
}

TEST_P(DeviceConformance, ChecksInputs) {
  const auto graph = OpCase("Add").Data(Counted({2, 3})).Data(Counted({3})).Build();
  const auto executable = device().Compile(*graph);
  ASSERT_TRUE(executable.ok()) << executable.status();
  const Tensor a = ToTensor(Counted({2, 3}), DataType::kFloat), b = ToTensor(Counted({3}), DataType::kFloat);
  const auto run = [&](std::vector<Tensor> inputs) { return (*executable)->Run(inputs, {}).status(); };
  ExpectError(run({a}), absl::StatusCode::kInvalidArgument, "2 inputs, got 1");
  ExpectError(run({a, a}), absl::StatusCode::kInvalidArgument, "'input1' must be float32[3], got float32[2,3]");
  ExpectError(run({a, ToTensor(Counted({3}), DataType::kDouble)}), absl::StatusCode::kInvalidArgument, "got float64[3]");
  EXPECT_TRUE(run({a, b}).ok());
}

TEST_P(DeviceConformance, TakesInputsAtAnyAlignment) {
  const Array x = Counted({5});
  const Tensor aligned = ToTensor(x, DataType::kFloat);
  for (size_t shift : {1, 2, 3, 4}) {
    std::byte* bytes = nullptr;
    const Buffer buffer = Buffer::Allocate(aligned.byte_size() + 8, &bytes);
    std::memcpy(bytes + shift, aligned.data(), aligned.byte_size());
    const auto shifted = Tensor::Create(aligned.desc(), buffer.Slice(shift, aligned.byte_size()));
    ASSERT_TRUE(shifted.ok());
    ExpectExact(device(), OpCase("Neg").Data(*shifted), Array({5}, {-1, -2, -3, -4, -5}), DataType::kFloat);
  }
}

TEST_P(DeviceConformance, OutputsBelongToTheCaller) {
  // Outputs that are an input, a constant, and twice the same value; two runs do not share memory.
  Graph graph("outputs");
  Node* x = graph.AddData("x", {DataType::kFloat, {3}});
  Node* c = graph.AddConst("c", ToTensor(Counted({3}), DataType::kFloat));
  Node* y = graph.AddNode("Add", "y", {x->out(), c->out()});
  Node* v = graph.AddNode("Reshape", "v", {y->out(), graph.AddConst("s", Tensor::Int64s({3, 1}))->out()});
  ASSERT_TRUE(InferGraph(graph).ok());
  graph.AddOutput("x", x->out());
  graph.AddOutput("c", c->out());
  graph.AddOutput("y", y->out());
  graph.AddOutput("v", v->out());
  const auto executable = device().Compile(graph);
  ASSERT_TRUE(executable.ok()) << executable.status();
  std::vector<Tensor> first;
  for (int run = 0; run < 2; ++run) {
    std::byte* bytes = nullptr;
    Tensor input = Tensor::Allocate({DataType::kFloat, {3}}, &bytes);
    for (int i = 0; i < 3; ++i) reinterpret_cast<float*>(bytes)[i] = static_cast<float>(10 * (run + 1));
    auto outputs = (*executable)->Run({input}, {});
    ASSERT_TRUE(outputs.ok()) << outputs.status();
    std::memset(bytes, 0, input.byte_size());  // the caller may reuse its memory
    const double base = 10.0 * (run + 1);
    ExpectNear((*outputs)[0], Array({3}, {base, base, base}), DataType::kFloat, 0.0, "x");
    ExpectNear((*outputs)[1], Counted({3}), DataType::kFloat, 0.0, "c");
    ExpectNear((*outputs)[2], Array({3}, {base + 1, base + 2, base + 3}), DataType::kFloat, 0.0, "y");
    ExpectNear((*outputs)[3], Array({3, 1}, {base + 1, base + 2, base + 3}), DataType::kFloat, 0.0, "v");
    if (run == 0) first = std::move(*outputs);
  }
  ExpectNear(first[2], Array({3}, {11, 12, 13}), DataType::kFloat, 0.0, "the first run's result");
}

TEST_P(DeviceConformance, NamesWhatItCannotRun) {
  Graph graph("unknown");
  Node* x = graph.AddData("x", {DataType::kFloat, {3}});
  Node* y = graph.AddNode("Frobnicate", "frob_1", {x->out()});
  y->SetOutput(0, {DataType::kFloat, {3}});
  graph.AddOutput("y", y->out());
  const auto status = device().Compile(graph).status();
  ExpectError(status, absl::StatusCode::kUnimplemented, "Frobnicate");
  EXPECT_THAT(std::string(status.message()), testing::HasSubstr("frob_1"));
}

TEST_P(DeviceConformance, RefusesShapesThatDoNotFit) {
  Graph graph("wrong");
  Node* x = graph.AddData("x", {DataType::kFloat, {3}});
  Node* y = graph.AddNode("Relu", "relu_1", {x->out()});
  y->SetOutput(0, {DataType::kFloat, {4}});
  graph.AddOutput("y", y->out());
  ExpectError(device().Compile(graph).status(), absl::StatusCode::kInvalidArgument, "relu_1");
  y->SetOutput(0, {DataType::kFloat, {-1}});
  ExpectError(device().Compile(graph).status(), absl::StatusCode::kInvalidArgument, "relu_1");
}

TEST_P(DeviceConformance, CountsMemory) {
  const OpCase op = OpCase("MatMulV2").Data(Counted({4, 64})).Const(Counted({64, 128}));
  const auto graph = op.Build();
  const auto executable = device().Compile(*graph);
  ASSERT_TRUE(executable.ok()) << executable.status();
  EXPECT_GE((*executable)->weight_bytes(), size_t{64 * 128 * 4});
  const size_t needed = (*executable)->weight_bytes() + (*executable)->arena_bytes();

  const std::unique_ptr<Device> small = GetParam()(64 * 128 * 2);
  ExpectError(small->Compile(*graph).status(), absl::StatusCode::kResourceExhausted, "slice needs");
  // What one executable holds, a second cannot have; it is free again afterwards.
  const std::unique_ptr<Device> tight = GetParam()(needed + needed / 2);
  auto first = tight->Compile(*graph);
  ASSERT_TRUE(first.ok()) << first.status();
  ExpectError(tight->Compile(*graph).status(), absl::StatusCode::kResourceExhausted, "slice needs");
  first->reset();
  EXPECT_TRUE(tight->Compile(*graph).ok());
}

TEST_P(DeviceConformance, ExecutablesOutliveDeviceAndGraph) {
  const OpCase op = OpCase("Add").Data(Counted({3})).Const(Counted({3}));
  std::unique_ptr<Executable> executable;
  {
    const auto graph = op.Build();
    const std::unique_ptr<Device> other = GetParam()(0);
    auto made = other->Compile(*graph);
    ASSERT_TRUE(made.ok()) << made.status();
    executable = std::move(*made);
  }
  const auto outputs = executable->Run(op.inputs(), {});
  ASSERT_TRUE(outputs.ok()) << outputs.status();
  ExpectNear((*outputs)[0], Array({3}, {2, 4, 6}), DataType::kFloat, 0.0, "");
}

}  // namespace
}  // namespace omserve::conformance
