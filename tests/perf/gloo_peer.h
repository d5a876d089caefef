// gloo over TCP, for comm_bench: one context per rank of this process.
#ifndef OMSERVE_TESTS_PERF_GLOO_PEER_H_
#define OMSERVE_TESTS_PERF_GLOO_PEER_H_

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

namespace omserve {

// Each rank by one thread at a time. gloo's exceptions end the program.
class GlooPeer {
 public:
  // Connects `ranks` of this process with the others; all processes call it at the same time. `folder`: where they meet,
  // empty at first.
  static std::unique_ptr<GlooPeer> Create(int size, const std::vector<int>& ranks, const std::string& folder);
  virtual ~GlooPeer() = default;

  // By gloo's ring or bcube algorithm.
  virtual void AllReduce(int rank, float* input, float* output, size_t count, bool ring) = 0;
  // `count` elements of each rank.
  virtual void AllGather(int rank, float* input, float* output, size_t count) = 0;
  // A message and one of four bytes back.
  virtual void SendAndHear(int rank, int peer, float* data, size_t count) = 0;
  virtual void ReceiveAndAnswer(int rank, int peer, float* data, size_t count) = 0;
};

}  // namespace omserve

#endif  // OMSERVE_TESTS_PERF_GLOO_PEER_H_
