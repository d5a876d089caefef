#include "daemon/telemetry/metrics.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "prometheus/text_serializer.h"

namespace omserve {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class MetricsTest : public testing::Test {
 protected:
  std::string Text() const { return prometheus::TextSerializer().Serialize(registry_->Collect()); }

  const std::shared_ptr<prometheus::Registry> registry_ = std::make_shared<prometheus::Registry>();
  const std::shared_ptr<Metrics> metrics_ = std::make_shared<Metrics>(registry_);
};

TEST_F(MetricsTest, RunsByModelStageAndCode) {
  ModelMetrics model(metrics_, "bert");
  model.Observe(RunStage::kQueue, absl::Milliseconds(3));
  model.CountRun(absl::StatusCode::kOk);
  model.CountRun(absl::StatusCode::kUnavailable);
  EXPECT_THAT(Text(), HasSubstr("omserve_run_duration_seconds_sum{model=\"bert\",stage=\"queue\"} 0.003"));
  EXPECT_THAT(Text(), HasSubstr("omserve_runs_total{code=\"UNAVAILABLE\",model=\"bert\"} 1"));
}

TEST_F(MetricsTest, SeriesLiveAsLongAsAnyUser) {
  auto failed = std::make_unique<ModelMetrics>(metrics_, "bert");
  auto replacement = std::make_unique<ModelMetrics>(metrics_, "bert");
  failed.reset();
  replacement->CountRun(absl::StatusCode::kOk);
  EXPECT_THAT(Text(), HasSubstr("omserve_runs_total{code=\"OK\",model=\"bert\"} 1"));
  replacement.reset();
  EXPECT_THAT(Text(), Not(HasSubstr("bert")));
}

TEST_F(MetricsTest, WorkersThatLeaveDisappear) {
  metrics_->SetWorkers({{"w0", true, {{0, 10, 100}}}, {"w1", true, {}}});
  EXPECT_THAT(Text(), HasSubstr("omserve_worker_up{worker=\"w0\"} 1"));
  EXPECT_THAT(Text(), HasSubstr("omserve_device_memory_bytes{device=\"0\",kind=\"used\",worker=\"w0\"} 10"));
  metrics_->SetWorkers({{"w1", false, {}}});
  EXPECT_THAT(Text(), Not(HasSubstr("w0")));
  EXPECT_THAT(Text(), HasSubstr("omserve_worker_up{worker=\"w1\"} 0"));
}

TEST_F(MetricsTest, Bytes) {
  metrics_->CountCopied(CopyReason::kAssemble, 5);
  metrics_->CountPushed(7);
  EXPECT_THAT(Text(), HasSubstr("omserve_copied_bytes_total{reason=\"assemble\"} 5"));
  EXPECT_THAT(Text(), HasSubstr("omserve_pushed_bytes_total 7"));
}

TEST_F(MetricsTest, ServerListensOnAnyPort) {
  auto server = MetricsServer::Start("127.0.0.1:0", registry_);
  ASSERT_TRUE(server.ok()) << server.status();
  EXPECT_GT((*server)->port(), 0);
  EXPECT_EQ(MetricsServer::Start("no such host:x", registry_).status().code(), absl::StatusCode::kUnavailable);
}

}  // namespace
}  // namespace omserve
