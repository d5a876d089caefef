#include "daemon/testing/fake_parts.h"

#include <deque>
#include <map>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/numbers.h"
#include "absl/synchronization/mutex.h"

namespace omserve {
namespace {

class FakeHub : public CommunicatorHub {
 public:
  FakeHub(FakeMachine* machine, const CommWorld& world, int process) : machine_(machine) {
    ++machine_->hubs_alive;
    for (size_t rank = 0; rank < world.process_of.size(); ++rank) {
      (world.process_of[rank] == process ? local_ : remote_).push_back(static_cast<int>(rank));
    }
  }
  ~FakeHub() override { --machine_->hubs_alive; }
  std::map<int, std::string> local_addresses() const override {
    std::map<int, std::string> addresses;
    if (remote_.empty()) return addresses;
    for (int rank : local_) addresses[rank] = absl::StrCat("address of ", rank);
    return addresses;
  }
  absl::Status Connect(const std::map<int, std::string>& addresses, const WaitLimit& limit) override {
    for (int rank : remote_) {
      auto it = addresses.find(rank);
      if (it == addresses.end() || it->second != absl::StrCat("address of ", rank)) {
        return absl::UnavailableError(absl::StrCat("rank ", rank, " has no address"));
      }
    }
    ++machine_->hubs_connected;
    return absl::OkStatus();
  }
  CollectiveBackend* backend(int) override { return nullptr; }
  uint64_t network_bytes() const override { return 0; }
  uint64_t local_bytes() const override { return 0; }

 private:
  FakeMachine* const machine_;
  std::vector<int> local_;
  std::vector<int> remote_;
};

class FakeRunner : public SliceRunner {
 public:
  FakeRunner(FakeMachine* machine, int ordinal, Graph slice)
      : machine_(machine), ordinal_(ordinal), slice_(std::move(slice)), thread_([this] { Work(); }) {
    ++machine_->runners_alive;
  }
  ~FakeRunner() override {
    {
      absl::MutexLock lock(&mutex_);
      stopping_ = true;
    }
    thread_.join();
    --machine_->runners_alive;
  }
  void Submit(std::vector<Tensor> inputs, WaitLimit limit, Done done) override {
    absl::MutexLock lock(&mutex_);
    runs_.push_back({std::move(inputs), limit, std::move(done)});
  }
  size_t weight_bytes() const override { return 16; }
  size_t arena_bytes() const override { return machine_->arena_bytes; }

 private:
  struct Run {
    std::vector<Tensor> inputs;
    WaitLimit limit;
    Done done;
  };
  void Work() {
    const auto ready = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return stopping_ || !runs_.empty(); };
    while (true) {
      Run run;
      {
        absl::MutexLock lock(&mutex_);
        mutex_.Await(absl::Condition(&ready));
        if (runs_.empty()) return;
        run = std::move(runs_.front());
        runs_.pop_front();
      }
      absl::Status limit = run.limit.Check("the slice to be free");
      if (!limit.ok()) {
        run.done(limit);
        continue;
      }
      ++machine_->runs_started;
      run.done(machine_->behaviour()(ordinal_, slice_, run.inputs, run.limit));
    }
  }

  FakeMachine* const machine_;
  const int ordinal_;
  const Graph slice_;
  absl::Mutex mutex_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::deque<Run> runs_ ABSL_GUARDED_BY(mutex_);
  std::thread thread_;
};

absl::StatusOr<Graph> ReadFakeSlice(Buffer content) {
  const std::vector<std::string> words = absl::StrSplit(absl::string_view(content.view().data(), content.size()), ' ');
  int inputs = 0;
  int outputs = 0;
  if (words.size() < 3 || words[0] != "slice" || !absl::SimpleAtoi(words[1], &inputs) ||
      !absl::SimpleAtoi(words[2], &outputs)) {
    return absl::DataLossError("not a fake slice");
  }
  Graph graph("fake");
  ValueId first;
  for (int i = 0; i < inputs; ++i) {
    Node* data = graph.AddData(absl::StrCat("x", i), {DataType::kFloat, {4}});
    if (i == 0) first = data->out();
  }
  for (int i = 0; i < outputs; ++i) graph.AddOutput(absl::StrCat("y", i), first);
  return graph;
}

}  // namespace

std::vector<std::unique_ptr<Device>> FakeDevices(int count, size_t memory_bytes) {
  std::vector<std::unique_ptr<Device>> devices;
  for (int i = 0; i < count; ++i) devices.push_back(std::make_unique<FakeDevice>(i, memory_bytes));
  return devices;
}

FakeMachine::FakeMachine()
    : behaviour_([](int, const Graph& slice, const std::vector<Tensor>& inputs, const WaitLimit&) {
        return std::vector<Tensor>(slice.outputs().size(), inputs.at(0));
      }) {}

absl::StatusOr<std::vector<Tensor>> FakeMachine::Hang(int, const Graph&, const std::vector<Tensor>&,
                                                      const WaitLimit& limit) {
  while (true) {
    absl::Status status = limit.Check("a peer");
    if (!status.ok()) return status;
    std::this_thread::yield();
  }
}

WorkerParts FakeMachine::parts() {
  WorkerParts parts;
  parts.read_slice = ReadFakeSlice;
  parts.make_hub = [this](const CommWorld& world, int process,
                          const Cancellation*) -> absl::StatusOr<std::unique_ptr<CommunicatorHub>> {
    return std::make_unique<FakeHub>(this, world, process);
  };
  parts.make_runner = [this](Device& device, const Graph& slice,
                             CollectiveBackend*) -> absl::StatusOr<std::unique_ptr<SliceRunner>> {
    if (fail_compile) return absl::UnimplementedError("node 'n': the fake device has no kernel for 'Strange'");
    return std::make_unique<FakeRunner>(this, device.info().ordinal, slice.Clone());
  };
  return parts;
}

std::string FakeSlice(int inputs, int outputs, size_t size) {
  std::string slice = absl::StrCat("slice ", inputs, " ", outputs, " ");
  if (slice.size() < size) slice.append(size - slice.size(), '.');
  return slice;
}

}  // namespace omserve
