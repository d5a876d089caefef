// Times the collectives against gloo (TCP, the peer to beat) and the limits: memcpy, a TCP and a unix socket. All of them
// run in turns in the same processes; the result is a table in Markdown. See scripts/bench --comm.
//
//   comm_bench [--rounds N] [--sizes BYTES,…]
//
// A size is what one rank holds afterwards. A send is answered by an acknowledgement, and so are those of the sockets.
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "CLI/CLI.hpp"
#include "core/comm/communicator.h"
#include "tests/perf/gloo_peer.h"

namespace omserve {
namespace {

[[noreturn]] void Fail(const std::string& what) {
  std::fprintf(stderr, "comm_bench: %s\n", what.c_str());
  std::_Exit(1);
}

void Must(const absl::Status& status) {
  if (!status.ok()) Fail(status.ToString());
}

void MustDo(bool done, const char* what) {
  if (!done) Fail(std::string(what) + ": " + std::strerror(errno));
}

void WriteAll(int fd, const void* data, size_t size) {
  for (size_t done = 0; done < size;) {
    const ssize_t count = ::write(fd, static_cast<const char*>(data) + done, size - done);
    MustDo(count > 0, "write");
    done += static_cast<size_t>(count);
  }
}

void ReadAll(int fd, void* data, size_t size) {
  for (size_t done = 0; done < size;) {
    const ssize_t count = ::read(fd, static_cast<char*>(data) + done, size - done);
    MustDo(count > 0, "read");
    done += static_cast<size_t>(count);
  }
}

struct SocketPair {
  int ends[2];
};

SocketPair UnixPair() {
  SocketPair pair;
  MustDo(::socketpair(AF_UNIX, SOCK_STREAM, 0, pair.ends) == 0, "socketpair");
  return pair;
}

SocketPair TcpPair() {
  SocketPair pair;
  const int listener = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof(address);
  auto* any = reinterpret_cast<sockaddr*>(&address);
  MustDo(::bind(listener, any, length) == 0 && ::listen(listener, 1) == 0, "listen");
  MustDo(::getsockname(listener, any, &length) == 0, "getsockname");
  pair.ends[0] = ::socket(AF_INET, SOCK_STREAM, 0);
  MustDo(::connect(pair.ends[0], any, length) == 0, "connect");
  pair.ends[1] = ::accept(listener, nullptr, nullptr);
  ::close(listener);
  for (int end : pair.ends) {
    const int on = 1;
    MustDo(::setsockopt(end, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) == 0, "TCP_NODELAY");
  }
  return pair;
}

// Where the ranks are. Ranks of one process are threads of it.
struct Layout {
  int ranks;
  int processes;
  int process_of(int rank) const { return rank * processes / ranks; }
};

enum class Operation { kAllReduce, kAllGather, kSend };
constexpr Operation kOperations[] = {Operation::kAllReduce, Operation::kAllGather, Operation::kSend};
const char* Name(Operation operation) {
  switch (operation) {
    case Operation::kAllReduce:
      return "all-reduce";
    case Operation::kAllGather:
      return "all-gather";
    case Operation::kSend:
      return "send";
  }
  return "";
}

// One way to do an operation once, on behalf of one rank.
using Step = std::function<void(int rank, float* input, float* output, size_t count)>;
struct Contender {
  std::string name;
  Step step;
};

// All that the ranks of one process need.
class Bench {
 public:
  Bench(const Layout& layout, int process, int control, SocketPair tcp, SocketPair local, const std::string& folder)
      : layout_(layout), process_(process), tcp_(tcp), local_(local) {
    CommWorld world;
    CommGroup all{"all", {}};
    for (int rank = 0; rank < layout.ranks; ++rank) {
      world.process_of.push_back(layout.process_of(rank));
      all.ranks.push_back(rank);
      if (layout.process_of(rank) == process) ranks_.push_back(rank);
    }
    world.groups = {all};
    auto hub = CommunicatorHub::Create(world, process, nullptr);
    Must(hub.status());
    hub_ = *std::move(hub);
    std::map<int, std::string> addresses;
    if (layout.processes > 1) addresses = Exchange(control);
    Must(hub_->Connect(addresses, limit_));
    gloo_ = GlooPeer::Create(layout.ranks, ranks_, folder);
  }

  // Times of `rounds` turns of each contender, in microseconds, as rank 0 sees them; only it has any.
  std::vector<std::vector<double>> Measure(const std::vector<Contender>& contenders, size_t count, int rounds) {
    std::vector<std::vector<double>> times(contenders.size());
    const size_t bytes = count * sizeof(float);
    const int repeats = static_cast<int>(std::clamp<size_t>((size_t{16} << 20) / bytes, 3, 100));
    for (int round = 0; round < rounds; ++round) {
      for (size_t c = 0; c < contenders.size(); ++c) {
        std::vector<std::thread> threads;
        for (int rank : ranks_) {
          threads.emplace_back([&, rank] {
            auto& [input, output] = buffers_[static_cast<size_t>(rank)];
            for (int i = -2; i < repeats; ++i) {  // the first two warm up
              const auto begin = std::chrono::steady_clock::now();
              contenders[c].step(rank, input.data(), output.data(), count);
              const std::chrono::duration<double, std::micro> took = std::chrono::steady_clock::now() - begin;
              if (rank == 0 && i >= 0) times[c].push_back(took.count());
            }
          });
        }
        for (std::thread& thread : threads) thread.join();
      }
    }
    return times;
  }

  std::vector<Contender> Contenders(Operation operation) {
    std::vector<Contender> contenders = {{"omserve", OwnStep(operation)}};
    switch (operation) {
      case Operation::kAllReduce:
        for (bool ring : {true, false}) {
          contenders.push_back({"gloo", [this, ring](int rank, float* input, float* output, size_t count) {
                                  gloo_->AllReduce(rank, input, output, count, ring);
                                }});
        }
        break;
      case Operation::kAllGather:
        contenders.push_back({"gloo", [this](int rank, float* input, float* output, size_t count) {
                                gloo_->AllGather(rank, input, output, count / static_cast<size_t>(layout_.ranks));
                              }});
        break;
      case Operation::kSend:
        contenders.push_back({"gloo", [this](int rank, float* input, float* output, size_t count) {
                                if (rank == 0) gloo_->SendAndHear(rank, 1, input, count);
                                if (rank == 1) gloo_->ReceiveAndAnswer(rank, 0, output, count);
                              }});
        break;
    }
    contenders.push_back({"memcpy", [](int rank, float* input, float* output, size_t count) {
                            if (rank == 0) std::memcpy(output, input, count * sizeof(float));
                          }});
    contenders.push_back({"TCP", SocketStep(tcp_)});
    contenders.push_back({"unix", SocketStep(local_)});
    return contenders;
  }

  void Allocate(size_t count) {
    buffers_.assign(static_cast<size_t>(layout_.ranks), {});
    for (int rank : ranks_) {
      buffers_[static_cast<size_t>(rank)] = {std::vector<float>(count, 1.0f), std::vector<float>(count, 0.0f)};
    }
  }

 private:
  Step OwnStep(Operation operation) {
    return [this, operation](int rank, float* input, float* output, size_t count) {
      CollectiveBackend& own = *hub_->backend(rank);
      char answer = 0;
      switch (operation) {
        case Operation::kAllReduce:
          Must(own.AllReduce("all", input, output, count, DataType::kFloat, CollectiveBackend::Reduction::kSum, limit_));
          break;
        case Operation::kAllGather:
          Must(own.AllGather("all", input, output, count / static_cast<size_t>(layout_.ranks), DataType::kFloat, limit_));
          break;
        case Operation::kSend:
          if (rank == 0) {
            Must(own.Send("all", input, count, DataType::kFloat, 1, 0, limit_));
            Must(own.Receive("all", &answer, 1, DataType::kInt8, 1, 1, limit_));
          } else if (rank == 1) {
            Must(own.Receive("all", output, count, DataType::kFloat, 0, 0, limit_));
            Must(own.Send("all", &answer, 1, DataType::kInt8, 0, 1, limit_));
          }
          break;
      }
    };
  }

  // Between the first and the last rank, which are in different processes if there are two.
  Step SocketStep(SocketPair pair) {
    return [this, pair](int rank, float* input, float* output, size_t count) {
      char answer = 0;
      if (rank == 0) {
        WriteAll(pair.ends[0], input, count * sizeof(float));
        ReadAll(pair.ends[0], &answer, 1);
      } else if (rank == layout_.ranks - 1) {
        ReadAll(pair.ends[1], output, count * sizeof(float));
        WriteAll(pair.ends[1], &answer, 1);
      }
    };
  }

  // The other process' addresses.
  std::map<int, std::string> Exchange(int control) {
    std::string own;
    for (const auto& [rank, address] : hub_->local_addresses()) {
      const uint32_t header[2] = {static_cast<uint32_t>(rank), static_cast<uint32_t>(address.size())};
      own.append(reinterpret_cast<const char*>(header), sizeof(header)).append(address);
    }
    const uint64_t size = own.size();
    WriteAll(control, &size, sizeof(size));
    WriteAll(control, own.data(), own.size());
    uint64_t other_size = 0;
    ReadAll(control, &other_size, sizeof(other_size));
    std::string other(other_size, '\0');
    ReadAll(control, other.data(), other.size());
    std::map<int, std::string> addresses;
    for (size_t at = 0; at < other.size();) {
      uint32_t header[2];
      std::memcpy(header, other.data() + at, sizeof(header));
      addresses[static_cast<int>(header[0])] = other.substr(at + sizeof(header), header[1]);
      at += sizeof(header) + header[1];
    }
    return addresses;
  }

  const Layout layout_;
  const int process_;
  const SocketPair tcp_, local_;
  const WaitLimit limit_{absl::Now() + absl::Minutes(30), nullptr, nullptr};
  std::vector<int> ranks_;  // of this process
  std::unique_ptr<CommunicatorHub> hub_;
  std::unique_ptr<GlooPeer> gloo_;
  std::vector<std::pair<std::vector<float>, std::vector<float>>> buffers_;  // by rank
};

struct Summary {
  double median = 0, best = 0;
};

Summary Summarize(std::vector<double> times) {
  std::sort(times.begin(), times.end());
  return {times[times.size() / 2], times[0]};
}

std::string Text(const Summary& s) {
  char text[64];
  std::snprintf(text, sizeof(text), "%.1f (%.1f)", s.median, s.best);
  return text;
}

std::string SizeText(size_t bytes) {
  return bytes >= (1 << 20) ? std::to_string(bytes >> 20) + " MiB" : std::to_string(bytes >> 10) + " KiB";
}

void RunProcess(const Layout& layout, int process, int control, SocketPair tcp, SocketPair local,
                const std::string& folder, const std::vector<size_t>& sizes, int rounds) {
  Bench bench(layout, process, control, tcp, local, folder);
  for (Operation operation : kOperations) {
    if (operation == Operation::kSend && layout.ranks > 2) continue;  // the same between any two
    const std::vector<Contender> contenders = bench.Contenders(operation);
    for (size_t bytes : sizes) {
      const size_t count = bytes / sizeof(float);
      bench.Allocate(count);
      const auto times = bench.Measure(contenders, count, rounds);
      if (process != 0) continue;
      std::map<std::string, Summary> by_name;  // of gloo's algorithms the faster one
      for (size_t c = 0; c < contenders.size(); ++c) {
        const Summary s = Summarize(times[c]);
        auto [it, fresh] = by_name.emplace(contenders[c].name, s);
        if (!fresh && s.median < it->second.median) it->second = s;
      }
      const Summary& own = by_name["omserve"];
      std::printf("| %s | %d in %d | %s | %s | %s | **%.1f** | %s | %.2f | %s | %s |\n", Name(operation), layout.ranks,
                  layout.processes, SizeText(bytes).c_str(), Text(own).c_str(), Text(by_name["gloo"]).c_str(),
                  by_name["gloo"].median / own.median, Text(by_name["memcpy"]).c_str(),
                  own.median / by_name["memcpy"].median, Text(by_name["TCP"]).c_str(), Text(by_name["unix"]).c_str());
      std::fflush(stdout);
    }
  }
}

// Runs one layout in processes of its own, so that none inherits threads or connections of another.
void RunLayout(const Layout& layout, const std::vector<size_t>& sizes, int rounds) {
  std::string folder = (std::filesystem::temp_directory_path() / "omserve_comm_bench_XXXXXX").string();
  MustDo(::mkdtemp(folder.data()) != nullptr, "mkdtemp");
  const SocketPair control = UnixPair(), tcp = TcpPair(), local = UnixPair();
  std::vector<pid_t> children;
  for (int process = 0; process < layout.processes; ++process) {
    children.push_back(::fork());
    MustDo(children.back() >= 0, "fork");
    if (children.back() == 0) {
      RunProcess(layout, process, control.ends[process], tcp, local, folder, sizes, rounds);
      std::_Exit(0);
    }
  }
  for (const SocketPair& pair : {control, tcp, local}) {
    for (int end : pair.ends) ::close(end);
  }
  bool failed = false;
  for (pid_t child : children) {
    int status = 0;
    MustDo(::waitpid(child, &status, 0) == child, "waitpid");
    failed |= !WIFEXITED(status) || WEXITSTATUS(status) != 0;
  }
  std::filesystem::remove_all(folder);
  if (failed) Fail("a process failed");
}

}  // namespace
}  // namespace omserve

int main(int argc, char** argv) {
  CLI::App app{"Times the collectives against gloo, memcpy and sockets"};
  int rounds = 5;
  std::vector<size_t> sizes = {4 << 10, 64 << 10, 1 << 20, 16 << 20, 64 << 20};
  app.add_option("--rounds", rounds, "Turns of each contender")->check(CLI::PositiveNumber);
  app.add_option("--sizes", sizes, "Bytes")->delimiter(',')->check(CLI::Range(size_t{64}, size_t{1} << 30));
  CLI11_PARSE(app, argc, argv);
  std::printf(
      "| operation | ranks in processes | size | omserve us median (best) | gloo us | gloo / omserve | memcpy us | "
      "omserve / memcpy | TCP us | unix socket us |\n|---|---|---|---|---|---|---|---|---|---|\n");
  std::fflush(stdout);
  for (const omserve::Layout& layout : {omserve::Layout{2, 1}, {2, 2}, {4, 1}, {4, 2}}) {
    omserve::RunLayout(layout, sizes, rounds);
  }
  return 0;
}
