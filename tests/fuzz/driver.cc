// A fuzz target without libFuzzer, for any compiler: NAME [--seconds=S] [--runs=N] [--seed=X] FILE|FOLDER…
//
// Runs the seeds as they are, every truncation of the small ones, and then mutations of them until the time or the
// number of runs is used up. It learns nothing from coverage: it is the short check of every test run; the fuzz preset is
// the long one. When the target crashes or takes longer than kRunLimit seconds, the input is written to
// crash-NAME in the current folder.
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);
extern "C" __attribute__((weak)) int LLVMFuzzerInitialize(int* argc, char*** argv);

namespace {

constexpr unsigned kRunLimit = 10;  // seconds one input may take
constexpr size_t kMaxSize = 1 << 16;
constexpr size_t kTruncateUpTo = 16 << 10;

std::string crash_file;
std::string input;  // what is being run, for the handler

// Async-signal-safe: only system calls.
void Save(int signal) {
  const int fd = ::open(crash_file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd >= 0) {
    [[maybe_unused]] const ssize_t written = ::write(fd, input.data(), input.size());
    ::close(fd);
  }
  constexpr char kText[] = "fuzz: the input that crashed, or took too long, is in crash-NAME\n";
  [[maybe_unused]] const ssize_t said = ::write(STDERR_FILENO, kText, sizeof(kText) - 1);
  ::signal(signal, SIG_DFL);
  ::raise(signal);
}

void Run() {
  ::alarm(kRunLimit);
  // A copy of exactly this size on the heap, so that sanitizers see reads past its end.
  const std::vector<uint8_t> bytes(input.begin(), input.end());
  LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
  ::alarm(0);
}

class Mutator {
 public:
  Mutator(const std::vector<std::string>& seeds, uint64_t seed) : seeds_(seeds), random_(seed) {}

  std::string Next() {
    std::string bytes = seeds_[Below(seeds_.size())];
    for (size_t i = 0, count = 1 + Below(4); i < count; ++i) Mutate(bytes);
    if (bytes.size() > kMaxSize) bytes.resize(kMaxSize);
    return bytes;
  }

 private:
  size_t Below(size_t end) { return end == 0 ? 0 : random_() % end; }

  void Mutate(std::string& bytes) {
    const size_t at = Below(bytes.size());
    const size_t length = std::min(bytes.size() - at, Below(Below(2) ? 4 : 64) + 1);
    switch (Below(9)) {
      case 0:
        if (!bytes.empty()) bytes[at] = static_cast<char>(bytes[at] ^ (1 << Below(8)));
        break;
      case 1:
        if (!bytes.empty()) bytes[at] = static_cast<char>(random_());
        break;
      case 2:
        bytes.erase(at, length);
        break;
      case 3:
        bytes.insert(at, bytes.substr(at, length));
        break;
      case 4: {  // numbers at the limits, of all widths
        static constexpr std::array<int64_t, 10> kNumbers = {0,       -1,        1,         INT64_MAX, INT64_MIN,
                                                             INT32_MAX, INT32_MIN, UINT32_MAX, 255,      65536};
        const int64_t number = kNumbers[Below(kNumbers.size())];
        const size_t width = std::min(bytes.size() - at, size_t{1} << Below(4));
        bytes.replace(at, width, reinterpret_cast<const char*>(&number), width);
        break;
      }
      case 5: {  // tokens of texts
        static constexpr std::array<const char*, 16> kTokens = {
            "0", "-1", "9223372036854775808", "4294967296", "1e999", "\"", "[", "]", "{", "}", "~", ":", ",", "null",
            "\xff", "\"\""};
        bytes.insert(at, kTokens[Below(kTokens.size())]);
        break;
      }
      case 6: {  // a piece of another seed
        const std::string& other = seeds_[Below(seeds_.size())];
        const size_t from = Below(other.size());
        bytes.insert(at, other.substr(from, Below(64) + 1));
        break;
      }
      case 7:
        bytes.resize(at);
        break;
      default: {  // the same piece, elsewhere
        const std::string piece = bytes.substr(at, length);
        bytes.replace(Below(bytes.size()), std::min(piece.size(), bytes.size()), piece);
        if (bytes.size() > kMaxSize) bytes.resize(kMaxSize);
        break;
      }
    }
  }

  const std::vector<std::string>& seeds_;
  std::mt19937_64 random_;
};

std::string ReadAll(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

}  // namespace

int main(int argc, char** argv) {
  if (LLVMFuzzerInitialize != nullptr) LLVMFuzzerInitialize(&argc, &argv);
  crash_file = "crash-" + std::filesystem::path(argv[0]).filename().string();
  double seconds = 0;
  uint64_t runs = 0, seed = 1;
  std::vector<std::string> seeds;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    const std::string value = argument.substr(std::min(argument.size(), argument.find('=') + 1));
    if (argument.starts_with("--seconds=")) {
      seconds = std::strtod(value.c_str(), nullptr);
    } else if (argument.starts_with("--runs=")) {
      runs = std::strtoull(value.c_str(), nullptr, 10);
    } else if (argument.starts_with("--seed=")) {
      seed = std::strtoull(value.c_str(), nullptr, 10);
    } else if (std::filesystem::is_directory(argument)) {
      std::vector<std::filesystem::path> files;
      for (const auto& entry : std::filesystem::directory_iterator(argument)) files.push_back(entry.path());
      std::sort(files.begin(), files.end());  // the same run everywhere
      for (const auto& file : files) seeds.push_back(ReadAll(file));
    } else if (std::filesystem::is_regular_file(argument)) {
      seeds.push_back(ReadAll(argument));
    } else {
      std::fprintf(stderr, "fuzz: '%s' is no option, file or folder\n", argument.c_str());
      return 2;
    }
  }
  if (seeds.empty()) {
    std::fprintf(stderr, "fuzz: no seeds\n");
    return 2;
  }
  for (int signal : {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGALRM}) ::signal(signal, Save);

  uint64_t done = 0;
  const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
  for (const std::string& bytes : seeds) {
    input = bytes;
    Run();
    ++done;
    for (size_t size = 0; bytes.size() <= kTruncateUpTo && size < bytes.size(); ++size, ++done) {
      input = bytes.substr(0, size);
      Run();
    }
  }
  Mutator mutator(seeds, seed);
  for (uint64_t run = 0; run < runs || std::chrono::steady_clock::now() < end; ++run, ++done) {
    input = mutator.Next();
    Run();
  }
  std::printf("%s: %llu inputs from %zu seeds, no findings\n", crash_file.c_str() + 6,
              static_cast<unsigned long long>(done), seeds.size());
  return 0;
}
