#include "core/comm/collective_checks.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <random>
#include <thread>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "core/base/status.h"
#include "core/comm/reduce.h"

namespace omserve {
namespace {

using Reduction = CollectiveBackend::Reduction;

// Small integers are exact in every type, float16 and bfloat16 included, in any order of summation.
void Store(DataType type, std::byte* memory, int value) {
  const auto store = [&](auto typed) { std::memcpy(memory, &typed, sizeof(typed)); };
  switch (type) {
    case DataType::kFloat:
      return store(static_cast<float>(value));
    case DataType::kDouble:
      return store(static_cast<double>(value));
    case DataType::kBfloat16:
      return store(static_cast<uint16_t>(std::bit_cast<uint32_t>(static_cast<float>(value)) >> 16));
    case DataType::kFloat16: {
      if (value == 0) return store(uint16_t{0});
      int exponent = 0;
      const float fraction = std::frexp(static_cast<float>(std::abs(value)), &exponent);  // [0.5, 1)
      const int mantissa = static_cast<int>((fraction * 2 - 1) * 1024);
      return store(static_cast<uint16_t>((value < 0 ? 0x8000 : 0) | (exponent - 1 + 15) << 10 | mantissa));
    }
    case DataType::kBool:
      return store(static_cast<uint8_t>(value & 1));
    default:
      switch (SizeOf(type)) {
        case 1:
          return store(static_cast<int8_t>(value));
        case 2:
          return store(static_cast<int16_t>(value));
        case 4:
          return store(static_cast<int32_t>(value));
        default:
          return store(static_cast<int64_t>(value));
      }
  }
}

// Rank r's element i of a call: 1 to 2 for products, so that they fit an int8 for up to six ranks.
int Value(int rank, size_t i, Reduction reduction) {
  const int mixed = static_cast<int>((i * 7 + static_cast<size_t>(rank) * 3 + i / 11) % 5);
  return reduction == Reduction::kProd ? 1 + mixed % 2 : mixed;
}

using Bytes = std::vector<std::byte>;

// `blocks` blocks of `count` elements of rank `rank`.
Bytes Input(int rank, size_t count, size_t blocks, DataType type, Reduction reduction = Reduction::kSum) {
  Bytes bytes(count * blocks * SizeOf(type));
  for (size_t i = 0; i < count * blocks; ++i)
    Store(type, &bytes[i * SizeOf(type)], Value(rank, i, reduction));
  return bytes;
}

Bytes Reduced(int size, size_t count, size_t blocks, DataType type, Reduction reduction) {
  Bytes bytes(count * blocks * SizeOf(type));
  for (size_t i = 0; i < count * blocks; ++i) {
    int result = Value(0, i, reduction);
    for (int r = 1; r < size; ++r) {
      const int next = Value(r, i, reduction);
      switch (reduction) {
        case Reduction::kSum:
          result += next;
          break;
        case Reduction::kProd:
          result *= next;
          break;
        case Reduction::kMax:
          result = std::max(result, next);
          break;
        case Reduction::kMin:
          result = std::min(result, next);
          break;
      }
    }
    Store(type, &bytes[i * SizeOf(type)], result);
  }
  return bytes;
}

Bytes Part(const Bytes& bytes, size_t index, size_t size) {
  return Bytes(bytes.begin() + index * size, bytes.begin() + (index + 1) * size);
}

absl::Status Expect(const char* what, const Bytes& got, const Bytes& expected, DataType type) {
  if (got == expected) return absl::OkStatus();
  const size_t at =
      std::mismatch(got.begin(), got.end(), expected.begin(), expected.end()).first - got.begin();
  return absl::InternalError(absl::StrCat(what, " of ", got.size() / SizeOf(type), " elements of ",
                                          std::string(Name(type)), ": element ", at / SizeOf(type),
                                          " is wrong"));
}

// Above this many elements not every reduction and root is tried.
constexpr size_t kManyElements = 30000;

std::vector<Reduction> ReductionsFor(size_t count) {
  if (count > kManyElements) return {Reduction::kSum};
  return {Reduction::kSum, Reduction::kProd, Reduction::kMax, Reduction::kMin};
}

}  // namespace

std::vector<DataType> AllTypes() {
  return {DataType::kFloat,  DataType::kDouble, DataType::kFloat16, DataType::kBfloat16, DataType::kInt8,
          DataType::kInt16,  DataType::kInt32,  DataType::kInt64,   DataType::kUint8,    DataType::kUint16,
          DataType::kUint32, DataType::kUint64, DataType::kBool};
}

absl::Status CheckCollectives(CollectiveBackend& backend, const std::string& group, size_t count,
                              DataType type, const WaitLimit& limit) {
  ASSIGN_OR_RETURN(const int size, backend.GroupSize(group));
  ASSIGN_OR_RETURN(const int rank, backend.GroupRank(group));
  const size_t bytes = count * SizeOf(type);
  const Bytes input = Input(rank, count, 1, type);
  const Bytes blocks = Input(rank, count, size, type);

  if (IsReducible(type)) {
    for (const Reduction reduction : ReductionsFor(count)) {
      const Bytes own = Input(rank, count, 1, type, reduction);
      const Bytes sum = Reduced(size, count, 1, type, reduction);
      Bytes output(bytes);
      RETURN_IF_ERROR(backend.AllReduce(group, own.data(), output.data(), count, type, reduction, limit));
      RETURN_IF_ERROR(Expect("all-reduce", output, sum, type));
      Bytes in_place = own;
      RETURN_IF_ERROR(
          backend.AllReduce(group, in_place.data(), in_place.data(), count, type, reduction, limit));
      RETURN_IF_ERROR(Expect("all-reduce in place", in_place, sum, type));

      const Bytes part = Part(Reduced(size, count, size, type, reduction), rank, bytes);
      Bytes wide = Input(rank, count, size, type, reduction);
      RETURN_IF_ERROR(
          backend.ReduceScatter(group, wide.data(), output.data(), count, type, reduction, limit));
      RETURN_IF_ERROR(Expect("reduce-scatter", output, part, type));
      std::byte* const target = wide.data() + rank * bytes;
      RETURN_IF_ERROR(backend.ReduceScatter(group, wide.data(), target, count, type, reduction, limit));
      RETURN_IF_ERROR(Expect("reduce-scatter in place", Part(wide, rank, bytes), part, type));
    }
  }

  Bytes all, exchanged;
  for (int r = 0; r < size; ++r) {
    const Bytes theirs = Input(r, count, 1, type);
    all.insert(all.end(), theirs.begin(), theirs.end());
    const Bytes part = Part(Input(r, count, size, type), rank, bytes);
    exchanged.insert(exchanged.end(), part.begin(), part.end());
  }
  Bytes gathered(bytes * size);
  RETURN_IF_ERROR(backend.AllGather(group, input.data(), gathered.data(), count, type, limit));
  RETURN_IF_ERROR(Expect("all-gather", gathered, all, type));
  std::fill(gathered.begin(), gathered.end(), std::byte{0xee});
  std::copy(input.begin(), input.end(), gathered.begin() + rank * bytes);
  RETURN_IF_ERROR(
      backend.AllGather(group, gathered.data() + rank * bytes, gathered.data(), count, type, limit));
  RETURN_IF_ERROR(Expect("all-gather in place", gathered, all, type));

  RETURN_IF_ERROR(backend.AllToAll(group, blocks.data(), gathered.data(), count, type, limit));
  RETURN_IF_ERROR(Expect("all-to-all", gathered, exchanged, type));
  gathered = blocks;
  RETURN_IF_ERROR(backend.AllToAll(group, gathered.data(), gathered.data(), count, type, limit));
  RETURN_IF_ERROR(Expect("all-to-all in place", gathered, exchanged, type));

  for (int root = count > kManyElements ? size - 1 : 0; root < size; ++root) {
    Bytes output(bytes, std::byte{0xee});
    RETURN_IF_ERROR(backend.Broadcast(group, input.data(), output.data(), count, type, root, limit));
    RETURN_IF_ERROR(Expect("broadcast", output, Input(root, count, 1, type), type));
    Bytes in_place = input;
    RETURN_IF_ERROR(backend.Broadcast(group, in_place.data(), in_place.data(), count, type, root, limit));
    RETURN_IF_ERROR(Expect("broadcast in place", in_place, Input(root, count, 1, type), type));
  }
  return absl::OkStatus();
}

absl::Status CheckSameBits(CollectiveBackend& backend, const std::string& group, size_t count,
                           const WaitLimit& limit) {
  ASSIGN_OR_RETURN(const int size, backend.GroupSize(group));
  ASSIGN_OR_RETURN(const int rank, backend.GroupRank(group));
  std::mt19937 random(static_cast<unsigned>(rank));
  std::uniform_real_distribution<float> uniform(-1, 1);
  std::vector<float> data(count);
  for (float& value : data) value = uniform(random) * std::exp2(static_cast<float>(random() % 20));
  RETURN_IF_ERROR(
      backend.AllReduce(group, data.data(), data.data(), count, DataType::kFloat, Reduction::kSum, limit));
  std::vector<float> all(count * size);
  RETURN_IF_ERROR(backend.AllGather(group, data.data(), all.data(), count, DataType::kFloat, limit));
  for (int r = 0; r < size; ++r) {
    if (std::memcmp(all.data() + r * count, data.data(), count * sizeof(float)) == 0) continue;
    return absl::InternalError(
        absl::StrCat("all-reduce of ", count, " floats: rank ", r, " got other bits than rank ", rank));
  }
  return absl::OkStatus();
}

absl::Status CheckGroup(CollectiveBackend& backend, const std::string& group,
                        const std::vector<DataType>& types, const WaitLimit& limit) {
  for (const DataType type : types) {
    for (const size_t count : {17, 20011}) {
      RETURN_IF_ERROR(CheckCollectives(backend, group, count, type, limit));
    }
  }
  // Around the sizes where algorithms change. 400,003 floats are 1.6 MB: several segments of a ring step, and
  // no multiple of anything.
  for (const size_t count : {0, 1, 4096, 4097, 8192, 8193, 400003}) {
    RETURN_IF_ERROR(CheckCollectives(backend, group, count, DataType::kFloat, limit));
  }
  for (const size_t count : {3, 1000, 300001}) RETURN_IF_ERROR(CheckSameBits(backend, group, count, limit));

  // Every pair, both ways; the lower rank sends first, because a long message waits for its receiver.
  ASSIGN_OR_RETURN(const int size, backend.GroupSize(group));
  ASSIGN_OR_RETURN(const int rank, backend.GroupRank(group));
  const DataType type = DataType::kInt32;
  for (const size_t count : {0, 5, 200000}) {
    for (int peer = 0; peer < size; ++peer) {
      if (peer == rank) continue;
      for (const bool sends : {rank<peer, rank> peer}) {
        // Two messages with different tags, received in the other order where they do not wait.
        for (int64_t i = 0; i < 2; ++i) {
          const int64_t tag = sends || count > 5 ? 7 + i : 8 - i;
          const int source = sends ? rank : peer;
          const Bytes message = Input(source * 2 + static_cast<int>(tag), count, 1, type);
          if (sends) {
            RETURN_IF_ERROR(backend.Send(group, message.data(), count, type, peer, tag, limit));
          } else {
            Bytes received(message.size());
            RETURN_IF_ERROR(backend.Receive(group, received.data(), count, type, peer, tag, limit));
            RETURN_IF_ERROR(Expect("message", received, message, type));
          }
        }
      }
    }
  }
  return absl::OkStatus();
}

CommWorld ParseWorld(const std::string& text) {
  const auto numbers = [](absl::string_view list) {
    std::vector<int> result;
    for (const absl::string_view number : absl::StrSplit(list, ',')) {
      int value = 0;
      if (absl::SimpleAtoi(number, &value)) result.push_back(value);
    }
    return result;
  };
  CommWorld world;
  for (const absl::string_view word : absl::StrSplit(text, ' ')) {
    const std::vector<absl::string_view> parts = absl::StrSplit(word, ':');
    if (parts.size() == 1) {
      world.process_of = numbers(word);
    } else {
      world.groups.push_back({std::string(parts[0]), numbers(parts[1])});
    }
  }
  return world;
}

std::vector<int> RanksOf(const CommWorld& world, int process) {
  std::vector<int> ranks;
  for (size_t rank = 0; rank < world.process_of.size(); ++rank) {
    if (world.process_of[rank] == process) ranks.push_back(static_cast<int>(rank));
  }
  return ranks;
}

absl::Status CheckAllGroups(CommunicatorHub& hub, const CommWorld& world, const std::vector<int>& ranks,
                            const std::vector<DataType>& types, const WaitLimit& limit) {
  std::vector<absl::Status> statuses(ranks.size());
  std::vector<std::thread> threads;
  for (size_t i = 0; i < ranks.size(); ++i) {
    threads.emplace_back([&, i] {
      for (const CommGroup& group : world.groups) {
        if (std::count(group.ranks.begin(), group.ranks.end(), ranks[i]) == 0) continue;
        const bool first = &group == &world.groups[0];
        statuses[i] = Annotate(
            CheckGroup(*hub.backend(ranks[i]), group.name, first ? types : std::vector<DataType>{}, limit),
            group.name);
        if (!statuses[i].ok()) return;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const absl::Status& status : statuses) RETURN_IF_ERROR(status);
  return absl::OkStatus();
}

absl::Status SendAhead(CollectiveBackend& backend, int rank, int count, size_t size, const WaitLimit& limit) {
  std::vector<float> data(size);
  for (int i = 0; rank == 0 && i < count; ++i) {
    std::fill(data.begin(), data.end(), static_cast<float>(i));
    RETURN_IF_ERROR(backend.Send("all", data.data(), size, DataType::kFloat, 1, 7, limit));
  }
  // Rank 1 gets past this only after all sends of rank 0 have returned.
  int32_t met = 1;
  RETURN_IF_ERROR(backend.AllReduce("all", &met, &met, 1, DataType::kInt32, CollectiveBackend::Reduction::kSum, limit));
  for (int i = 0; rank == 1 && i < count; ++i) {
    RETURN_IF_ERROR(backend.Receive("all", data.data(), size, DataType::kFloat, 0, 7, limit));
    if (data.front() != static_cast<float>(i) || data.back() != static_cast<float>(i)) {
      return absl::InternalError(absl::StrCat("message ", i, " holds ", data.front(), " to ", data.back()));
    }
  }
  return absl::OkStatus();
}

}  // namespace omserve
