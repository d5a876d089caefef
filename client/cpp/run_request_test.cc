#include "client/cpp/run_request.h"

#include <cstring>
#include <memory>

#include "grpcpp/impl/codegen/proto_utils.h"
#include "gtest/gtest.h"
#include "omserve/v1/run.pb.h"

namespace omserve::client {
namespace {

v1::RunRequest Decode(grpc::ByteBuffer bytes) {
  v1::RunRequest request;
  EXPECT_TRUE(grpc::SerializationTraits<v1::RunRequest>::Deserialize(&bytes, &request).ok());
  return request;
}

TEST(RunRequestTest, IsTheMessageThatTheServiceExpects) {
  auto large = std::make_shared<std::vector<float>>(5000, 1.5f);
  const std::vector<int64_t> ids = {7, 8};
  const std::vector<Tensor> inputs = {
      Tensor::Shared({"large", "float32", {50, 100}}, large, large->data(), large->size() * 4),
      Tensor::Borrowed({"ids", "int64", {2}}, ids.data(), 16),
      Tensor::Owned({"empty", "float32", {1, 0}}, "")};
  auto bytes = EncodeRunRequest("model", inputs, {.request_id = "r1", .outputs = {"logits"}});
  ASSERT_TRUE(bytes.ok()) << bytes.status();
  const v1::RunRequest request = Decode(*bytes);

  EXPECT_EQ(request.model(), "model");
  EXPECT_EQ(request.request_id(), "r1");
  ASSERT_EQ(request.outputs_size(), 1);
  EXPECT_EQ(request.outputs(0), "logits");
  ASSERT_EQ(request.inputs_size(), 3);
  EXPECT_EQ(request.inputs(0).name(), "large");
  EXPECT_EQ(request.inputs(0).shape(1), 100);
  EXPECT_EQ(request.inputs(0).data(), std::string(reinterpret_cast<const char*>(large->data()), 20000));
  EXPECT_EQ(request.inputs(1).dtype(), "int64");
  EXPECT_EQ(request.inputs(1).data(), std::string(reinterpret_cast<const char*>(ids.data()), 16));
  EXPECT_EQ(request.inputs(2).shape_size(), 2);
  EXPECT_EQ(request.inputs(2).data(), "");
}

TEST(RunRequestTest, SharedBytesAreReferencedUntilTheBufferIsGone) {
  auto owner = std::make_shared<std::vector<float>>(5000, 0.0f);
  {
    auto bytes = EncodeRunRequest(
        "model", {Tensor::Shared({"x", "float32", {5000}}, owner, owner->data(), 20000)}, {});
    ASSERT_TRUE(bytes.ok());
    EXPECT_EQ(owner.use_count(), 2);
    (*owner)[0] = 3.0f;  // no copy was made: the change is seen
    float first = 0;
    std::memcpy(&first, Decode(*bytes).inputs(0).data().data(), sizeof(first));
    EXPECT_EQ(first, 3.0f);
  }
  EXPECT_EQ(owner.use_count(), 1);
}

TEST(RunRequestTest, MoreThanAMessageCanCarryIsRefused) {
  // Never read: the size alone is looked at.
  const char byte = 0;
  const std::shared_ptr<const void> owner(&byte, [](const void*) {});
  const auto bytes = EncodeRunRequest(
      "model", {Tensor::Shared({"x", "int8", {1L << 31}}, owner, &byte, size_t{1} << 31)}, {});
  EXPECT_EQ(bytes.status().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace omserve::client
