// One process of a world, for communicator_process_test: comm_test_worker WORLD PROCESS MODE
//
// It prints "ADDRESS rank hex" for each local rank and "END", reads the same for all ranks, connects, prints
// "CONNECTED", and then: check: runs the checks on all groups · loop: repeats an all-reduce of group "all"
// until it fails, printing "LOOPING" once · ahead: takes what rank 0 has sent ahead · stall: does nothing until told. "CANCEL text" on its input
// cancels the epoch with UNAVAILABLE, the end of its input, too. At the end it prints "RESULT code message",
// waits for the end of its input, destroys the hub and prints "DONE".
#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <iostream>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "core/comm/collective_checks.h"
#include "core/comm/communicator.h"

namespace omserve {
namespace {

void Say(const std::string& line) { std::cout << line << std::endl; }

absl::Status Loop(CommunicatorHub& hub, const std::vector<int>& ranks, size_t count, const WaitLimit& limit) {
  std::vector<absl::Status> statuses(ranks.size());
  std::vector<std::thread> threads;
  std::atomic<bool> announced{false};
  for (size_t i = 0; i < ranks.size(); ++i) {
    threads.emplace_back([&, i] {
      std::vector<float> data(count, 1.0f);
      for (int round = 0; statuses[i].ok(); ++round) {
        statuses[i] =
            hub.backend(ranks[i])->AllReduce("all", data.data(), data.data(), count, DataType::kFloat,
                                             CollectiveBackend::Reduction::kMax, limit);
        if (round == 3 && !announced.exchange(true)) Say("LOOPING");
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  return statuses[0];
}

int Main(const CommWorld& world, int process, const std::string& mode) {
  Cancellation epoch;
  absl::StatusOr<std::unique_ptr<CommunicatorHub>> hub = CommunicatorHub::Create(world, process, &epoch);
  if (!hub.ok()) {
    Say(absl::StrCat("RESULT ", static_cast<int>(hub.status().code()), " ", hub.status().message()));
    return 1;
  }
  for (const auto& [rank, address] : (*hub)->local_addresses()) {
    Say(absl::StrCat("ADDRESS ", rank, " ", absl::BytesToHexString(address)));
  }
  Say("END");
  std::map<int, std::string> addresses;
  for (std::string line; std::getline(std::cin, line) && line != "END";) {
    const std::vector<std::string> words = absl::StrSplit(line, ' ');
    addresses[std::stoi(words[1])] = absl::HexStringToBytes(words[2]);
  }

  std::thread input([&] {
    for (std::string line; std::getline(std::cin, line);) {
      absl::string_view cause = line;
      if (absl::ConsumePrefix(&cause, "CANCEL ")) epoch.Cancel(absl::UnavailableError(cause));
    }
    epoch.Cancel(absl::CancelledError("the test has ended"));
  });
  const WaitLimit limit{absl::Now() + absl::Seconds(200), nullptr, &epoch};
  const std::vector<int> ranks = RanksOf(world, process);
  absl::Status status = (*hub)->Connect(addresses, limit);
  if (status.ok()) {
    Say("CONNECTED");
    if (mode == "check") status = CheckAllGroups(**hub, world, ranks, kProcessTypes, limit);
    if (mode == "ahead") status = SendAhead(*(*hub)->backend(1), 1, 4, 400000, limit);
    if (mode == "loop") status = Loop(**hub, ranks, 1000, limit);
    if (mode == "loop_large") status = Loop(**hub, ranks, 4 << 20, limit);
  }
  Say(absl::StrCat("RESULT ", static_cast<int>(status.code()), " ", status.message()));
  input.join();
  hub->reset();
  Say("DONE");
  return 0;
}

}  // namespace
}  // namespace omserve

int main(int argc, char** argv) {
  if (argc != 4) {
    std::cerr << "usage: comm_test_worker WORLD PROCESS MODE\n";
    return 2;
  }
  return omserve::Main(omserve::ParseWorld(argv[1]), std::stoi(argv[2]), argv[3]);
}
