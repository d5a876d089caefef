#include "tests/perf/gloo_peer.h"

#include <map>
#include <thread>

#include "gloo/allgather.h"
#include "gloo/allreduce.h"
#include "gloo/math.h"
#include "gloo/rendezvous/context.h"
#include "gloo/rendezvous/file_store.h"
#include "gloo/transport/tcp/device.h"

namespace omserve {
namespace {

class Peer : public GlooPeer {
 public:
  Peer(int size, const std::vector<int>& ranks, const std::string& folder) {
    for (int rank : ranks) contexts_[rank] = std::make_shared<gloo::rendezvous::Context>(rank, size);
    std::vector<std::thread> threads;
    for (int rank : ranks) {
      threads.emplace_back([this, rank, &folder] {
        gloo::rendezvous::FileStore store(folder);
        gloo::transport::tcp::attr attributes("127.0.0.1");
        auto device = gloo::transport::tcp::CreateDevice(attributes);
        contexts_.at(rank)->connectFullMesh(store, device);
      });
    }
    for (std::thread& thread : threads) thread.join();
    for (int rank : ranks) {
      Answer& answer = answers_[rank];
      answer.buffer = contexts_[rank]->createUnboundBuffer(&answer.value, sizeof(answer.value));
    }
  }

  void AllReduce(int rank, float* input, float* output, size_t count, bool ring) override {
    gloo::AllreduceOptions options(contexts_.at(rank));
    options.setInput(input, count);
    options.setOutput(output, count);
    options.setAlgorithm(ring ? gloo::AllreduceOptions::Algorithm::RING : gloo::AllreduceOptions::Algorithm::BCUBE);
    options.setReduceFunction(
        static_cast<void (*)(void*, const void*, const void*, size_t)>(&gloo::sum<float>));
    gloo::allreduce(options);
  }

  void AllGather(int rank, float* input, float* output, size_t count) override {
    gloo::AllgatherOptions options(contexts_.at(rank));
    options.setInput(input, count);
    options.setOutput(output, count * static_cast<size_t>(contexts_.at(rank)->size));
    gloo::allgather(options);
  }

  void SendAndHear(int rank, int peer, float* data, size_t count) override {
    auto message = contexts_.at(rank)->createUnboundBuffer(data, count * sizeof(float));
    message->send(peer, kMessage);
    message->waitSend();
    answers_.at(rank).buffer->recv(peer, kAnswer);
    answers_.at(rank).buffer->waitRecv();
  }

  void ReceiveAndAnswer(int rank, int peer, float* data, size_t count) override {
    auto message = contexts_.at(rank)->createUnboundBuffer(data, count * sizeof(float));
    message->recv(peer, kMessage);
    message->waitRecv();
    answers_.at(rank).buffer->send(peer, kAnswer);
    answers_.at(rank).buffer->waitSend();
  }

 private:
  // Slots far from those that collectives use.
  static constexpr uint64_t kMessage = uint64_t{1} << 40, kAnswer = kMessage + 1;
  struct Answer {
    int32_t value = 0;
    std::unique_ptr<gloo::transport::UnboundBuffer> buffer;
  };
  std::map<int, std::shared_ptr<gloo::rendezvous::Context>> contexts_;
  std::map<int, Answer> answers_;
};

}  // namespace

std::unique_ptr<GlooPeer> GlooPeer::Create(int size, const std::vector<int>& ranks, const std::string& folder) {
  return std::make_unique<Peer>(size, ranks, folder);
}

}  // namespace omserve
