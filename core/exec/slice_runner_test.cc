#include "core/exec/slice_runner.h"

#include <chrono>
#include <future>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "core/comm/communicator.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace omserve {
namespace {

using ::testing::HasSubstr;
using Outputs = absl::StatusOr<std::vector<Tensor>>;

// Happens once. Of the standard library's parts, which ThreadSanitizer understands.
class Event {
 public:
  void Notify() { promise_.set_value(); }
  void Wait() const { future_.wait(); }
  bool happened() const { return future_.wait_for(std::chrono::seconds(0)) == std::future_status::ready; }

 private:
  std::promise<void> promise_;
  const std::shared_future<void> future_ = promise_.get_future().share();
};

// A device whose executables sum their input over group "all", when there is a backend, or wait until let go.
class TestDevice : public Device {
 public:
  const DeviceInfo& info() const override { return info_; }

  absl::StatusOr<std::unique_ptr<Executable>> Compile(const Graph& slice) override {
    if (slice.name() == "bad") return absl::UnimplementedError("no kernel");
    return std::make_unique<Program>(this);
  }

  Event started;
  Event let_go;
  std::vector<int64_t> ran;  // the first element of each run's input; read when the runner is gone

 private:
  class Program : public Executable {
   public:
    explicit Program(TestDevice* device) : device_(device) {}
    Outputs Run(absl::Span<const Tensor> inputs, const RunContext& context) override {
      device_->ran.push_back(inputs[0].values<int64_t>()[0]);
      if (context.collectives != nullptr) {
        int64_t sum = 0;
        absl::Status status =
            context.collectives->AllReduce("all", inputs[0].data(), &sum, 1, DataType::kInt64,
                                           CollectiveBackend::Reduction::kSum, context.limit);
        if (!status.ok()) return status;
        return std::vector<Tensor>{Tensor::Int64s({sum})};
      }
      if (!device_->started.happened()) {
        device_->started.Notify();
        device_->let_go.Wait();
      }
      return std::vector<Tensor>(inputs.begin(), inputs.end());
    }
    size_t weight_bytes() const override { return 12; }
    size_t arena_bytes() const override { return 34; }

   private:
    TestDevice* const device_;
  };

  const DeviceInfo info_{"test", 3};
};

// A Done that keeps the answer.
struct Answer {
  SliceRunner::Done Done() {
    return [this](Outputs outputs) {
      result = std::move(outputs);
      given.Notify();
    };
  }
  const Outputs& Wait() {
    given.Wait();
    return result;
  }
  Outputs result = absl::UnknownError("not answered");
  Event given;
};

std::vector<Tensor> Input(int64_t value) { return {Tensor::Int64s({value})}; }

TEST(SliceRunnerTest, RunsInOrderAndSkipsThoseWhoseTimeHasPassed) {
  TestDevice device;
  Answer answers[4];
  Cancellation client;
  {
    auto runner = SliceRunner::Create(device, Graph("slice"), nullptr);
    ASSERT_TRUE(runner.ok()) << runner.status();
    EXPECT_EQ((*runner)->weight_bytes(), 12);
    EXPECT_EQ((*runner)->arena_bytes(), 34);
    (*runner)->Submit(Input(0), WaitLimit{}, answers[0].Done());
    device.started.Wait();
    (*runner)->Submit(Input(1), WaitLimit{absl::Now() - absl::Seconds(1)}, answers[1].Done());
    (*runner)->Submit(Input(2), WaitLimit{absl::InfiniteFuture(), &client}, answers[2].Done());
    (*runner)->Submit(Input(3), WaitLimit{}, answers[3].Done());
    client.Cancel(absl::CancelledError("client left"));
    device.let_go.Notify();
    EXPECT_EQ(answers[3].Wait().value()[0].values<int64_t>()[0], 3);
  }
  EXPECT_TRUE(answers[0].Wait().ok());
  EXPECT_EQ(answers[1].Wait().status().code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_THAT(std::string(answers[1].Wait().status().message()),
              HasSubstr("waiting for the slice to be free"));
  EXPECT_EQ(answers[2].Wait().status().message(), "client left");
  EXPECT_THAT(device.ran, testing::ElementsAre(0, 3));
}

TEST(SliceRunnerTest, DestructionAnswersTheQueue) {
  TestDevice device;
  Answer running, queued;
  auto runner = SliceRunner::Create(device, Graph("slice"), nullptr);
  ASSERT_TRUE(runner.ok());
  (*runner)->Submit(Input(0), WaitLimit{}, running.Done());
  device.started.Wait();
  (*runner)->Submit(Input(1), WaitLimit{}, queued.Done());
  Event destroying;
  std::thread destroyer([&] {
    destroying.Notify();
    runner->reset();
  });
  // Nothing shows that the destructor has begun, so this only makes it very likely: both answers below are
  // right.
  destroying.Wait();
  for (int i = 0; i < 1000; ++i) std::this_thread::yield();
  device.let_go.Notify();
  destroyer.join();
  EXPECT_TRUE(running.Wait().ok());
  const Outputs& answer = queued.Wait();
  EXPECT_EQ(answer.status().code(),
            device.ran.size() == 2 ? absl::StatusCode::kOk : absl::StatusCode::kCancelled);
}

TEST(SliceRunnerTest, CancelledEpochFreesARunnerThatWaitsForAPeer) {
  Cancellation epoch;
  const CommWorld world{{0, 0}, {{"all", {0, 1}}}};
  auto hub = CommunicatorHub::Create(world, 0, &epoch);
  ASSERT_TRUE(hub.ok()) << hub.status();
  TestDevice devices[2];
  Answer answers[3];
  auto first = SliceRunner::Create(devices[0], Graph("slice0"), (*hub)->backend(0));
  auto second = SliceRunner::Create(devices[1], Graph("slice1"), (*hub)->backend(1));
  (*first)->Submit(Input(1), WaitLimit{}, answers[0].Done());
  (*second)->Submit(Input(2), WaitLimit{}, answers[1].Done());
  EXPECT_EQ(answers[0].Wait().value()[0].values<int64_t>()[0], 3);
  EXPECT_EQ(answers[1].Wait().value()[0].values<int64_t>()[0], 3);

  (*first)->Submit(Input(1), WaitLimit{}, answers[2].Done());  // its peer never runs
  epoch.Cancel(absl::UnavailableError("worker b is lost"));
  EXPECT_EQ(answers[2].Wait().status(), epoch.status());
}

TEST(SliceRunnerTest, CreateSaysWhatIsMissing) {
  TestDevice device;
  EXPECT_EQ(SliceRunner::Create(device, Graph("bad"), nullptr).status().message(),
            "compiling slice \"bad\" for test:3: no kernel");
  Graph graph("slice");
  graph.AddNode("HcomAllReduce", "sum", {graph.AddData("x", {DataType::kFloat, {1}})->out()});
  EXPECT_THAT(SliceRunner::Create(device, graph, nullptr).status().ToString(),
              HasSubstr("node \"sum\" (HcomAllReduce) of slice \"slice\" needs a communicator"));
}

}  // namespace
}  // namespace omserve
