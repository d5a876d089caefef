#include "daemon/transport/tensor_wire.h"

#include <limits>

#include "daemon/transport/convert.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace omserve {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

v1::Tensor Proto(const std::string& dtype, std::vector<int64_t> shape, const std::string& data) {
  v1::Tensor proto;
  proto.set_name("x");
  proto.set_dtype(dtype);
  proto.mutable_shape()->Assign(shape.begin(), shape.end());
  proto.set_data(data);
  return proto;
}

Tensor Large() { return Tensor::Of<float>({1000}, std::vector<float>(1000, 2.5f)); }

TEST(TakeTensorTest, TakesTheBytesWithoutCopying) {
  v1::Tensor proto = Proto("int32", {2, 50}, std::string(400, '\1'));
  const void* bytes = proto.data().data();
  auto tensor = TakeTensor(proto);
  ASSERT_TRUE(tensor.ok()) << tensor.status();
  EXPECT_EQ(tensor->data(), bytes);
  EXPECT_EQ(ToString(tensor->desc()), "int32[2,50]");
}

TEST(TakeTensorTest, EmptyAndScalar) {
  v1::Tensor empty = Proto("float32", {2, 0}, "");
  EXPECT_EQ(TakeTensor(empty)->byte_size(), 0u);
  v1::Tensor scalar = Proto("bool", {}, std::string(1, '\1'));
  EXPECT_EQ(TakeTensor(scalar)->num_elements(), 1);
}

TEST(TakeTensorTest, HostileTensorsAreNamed) {
  constexpr int64_t kHuge = std::numeric_limits<int64_t>::max();
  for (v1::Tensor proto :
       {Proto("float33", {1}, "abcd"), Proto("float32", {2}, "abcd"), Proto("float32", {-1}, "abcd"),
        Proto("float32", {kHuge, kHuge}, ""), Proto("float32", {kHuge / 2}, ""), Proto("string", {1}, "a"),
        Proto("bool", {1}, "\2"), Proto("float32", std::vector<int64_t>(9, 1), "abcd"), Proto("", {}, "")}) {
    absl::Status status = TakeTensor(proto).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << proto.ShortDebugString();
    EXPECT_THAT(std::string(status.message()), HasSubstr("tensor 'x'"));
  }
}

TEST(MessageWriterTest, WhatIsWrittenParsesAndPayloadIsByReference) {
  const Tensor large = Large();
  const Tensor small = Tensor::Of<int64_t>({2}, {7, 8});
  grpc::ByteBuffer bytes = EncodeRunResponse("r1", {{"big", large}, {"small", small}, {"none", Tensor::Of<float>({0}, {})}});
  std::vector<grpc::Slice> slices;
  ASSERT_TRUE(bytes.Dump(&slices).ok());
  EXPECT_TRUE(std::any_of(slices.begin(), slices.end(), [&](const grpc::Slice& slice) {
    return slice.begin() == reinterpret_cast<const uint8_t*>(large.data());
  }));
  v1::RunResponse response;
  ASSERT_TRUE(ParseMessage(bytes, response).ok());
  EXPECT_EQ(response.request_id(), "r1");
  ASSERT_EQ(response.outputs_size(), 3);
  EXPECT_EQ(response.outputs(0).name(), "big");
  EXPECT_EQ(response.outputs(0).dtype(), "float32");
  EXPECT_EQ(TakeTensor(*response.mutable_outputs(0))->values<float>(), large.values<float>());
  EXPECT_THAT(TakeTensor(*response.mutable_outputs(1))->values<int64_t>(), ElementsAre(7, 8));
  EXPECT_EQ(TakeTensor(*response.mutable_outputs(2))->byte_size(), 0u);
}

TEST(MessageWriterTest, SentBytesOutliveTheTensor) {
  grpc::ByteBuffer bytes;
  {
    Tensor large = Large();
    bytes = EncodePushChunk(large.buffer());
  }
  v1::PushRequest request;
  ASSERT_TRUE(ParseMessage(bytes, request).ok());
  EXPECT_EQ(request.chunk().size(), 4000u);
  EXPECT_EQ(reinterpret_cast<const float*>(request.chunk().data())[999], 2.5f);
}

TEST(ConvertTest, ExecuteCallsAndReplies) {
  ExecuteCall call{{"inc", "m", 3, 1}, "r1", {Large(), Tensor::Scalar<float>(1)}, {{0, {1, 0}, {0}}, {2, {}, {}}}};
  v1::ExecuteRequest request;
  ASSERT_TRUE(ParseMessage(EncodeExecuteRequest(call), request).ok());
  auto taken = TakeExecuteCall(request);
  ASSERT_TRUE(taken.ok()) << taken.status();
  EXPECT_EQ(ToString(taken->id), "'m' epoch 3 replica 1");
  EXPECT_EQ(taken->id.incarnation, "inc");
  EXPECT_EQ(taken->request_id, "r1");
  EXPECT_EQ(taken->inputs[0].values<float>(), call.inputs[0].values<float>());
  EXPECT_THAT(taken->slices[0].inputs, ElementsAre(1, 0));
  EXPECT_EQ(taken->slices[1].rank, 2);

  v1::ExecuteResponse response;
  ASSERT_TRUE(ParseMessage(EncodeExecuteResponse({{1, {}}, {2, {Large(), Large()}}}), response).ok());
  auto reply = TakeExecuteReply(response);
  ASSERT_TRUE(reply.ok());
  EXPECT_EQ((*reply)[0].rank, 1);
  ASSERT_EQ((*reply)[1].outputs.size(), 2u);
  EXPECT_EQ((*reply)[1].outputs[1].values<float>()[0], 2.5f);
}

TEST(ConvertTest, StepsOfALoad) {
  PrepareCall prepare = FromProto(ToProto(PrepareCall{{"i", "m", 1, 0}, {{3, 1, "digest", 99}}}));
  EXPECT_EQ(prepare.slices[0].rank, 3);
  EXPECT_EQ(prepare.slices[0].device, 1);
  EXPECT_EQ(prepare.slices[0].digest, "digest");
  EXPECT_EQ(prepare.slices[0].size, 99u);
  CompileCall compile = FromProto(ToProto(CompileCall{{}, {{0, 1}, {{"tp", {1, 0}}}}, 1}));
  EXPECT_THAT(compile.world.process_of, ElementsAre(0, 1));
  EXPECT_THAT(compile.world.groups[0].ranks, ElementsAre(1, 0));
  EXPECT_EQ(compile.process, 1);
  CompileReply reply = FromProto(ToProto(CompileReply{{{1, 2, 3}}, {{1, std::string("\0a", 2)}}}));
  EXPECT_EQ(reply.slices[0].arena_bytes, 3u);
  EXPECT_EQ(reply.addresses.at(1).size(), 2u);
  ReleaseCall release = FromProto(ToProto(ReleaseCall{{}, absl::AbortedError("cause")}));
  EXPECT_EQ(release.cause, absl::AbortedError("cause"));
}

TEST(ConvertTest, LogicalIdsCountLiveWorkersOnly) {
  WorkerView lost;
  lost.hello = {"a", "i", "1", "", {{0, "cpu", 1, 0, 1}}};
  lost.lost_cause = absl::UnavailableError("killed");
  WorkerView live = lost;
  live.hello.name = "b";
  live.alive = true;
  v1::DescribeClusterResponse response = ToProto({lost, live}, "1.0");
  EXPECT_EQ(response.workers(0).lost_cause(), "killed");
  EXPECT_EQ(response.workers(0).devices(0).logical_id(), "");
  EXPECT_EQ(response.workers(1).devices(0).logical_id(), "0:0:0:0");
}

TEST(ParseMessageTest, Garbage) {
  grpc::Slice slice("\xff\xff\xff garbage");
  v1::RunRequest request;
  EXPECT_EQ(ParseMessage(grpc::ByteBuffer(&slice, 1), request).code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace omserve
