#include "core/comm/network_collectives.h"

#include <algorithm>
#include <array>
#include <bit>

#include "core/base/checked.h"
#include "core/base/status.h"
#include "core/comm/reduce.h"

namespace omserve {
namespace {

using Reduction = CollectiveBackend::Reduction;

// Up to this size an all-reduce sends the whole rather than parts: one message's latency outweighs the bytes.
constexpr size_t kDoublingBytes = 32 << 10;
// Parts of a ring step: large enough to hide latency, small enough to be reduced from the second-level cache.
constexpr size_t kSegmentBytes = 256 << 10;
// Segments on their way to this node at a time.
constexpr size_t kSegmentsAhead = 3;

absl::Status RecursiveDoubling(const NodeExchange& exchange, std::byte* data, size_t count, DataType type,
                               Reduction reduction) {
  const size_t bytes = count * SizeOf(type);
  std::byte* const other = exchange.scratch->Get(bytes);
  const int nodes = exchange.num_nodes(), self = exchange.self;
  const int core = static_cast<int>(std::bit_floor(static_cast<unsigned>(nodes)));
  // Those above the largest power of two hand their part to a node of the core and get the result from it.
  if (self >= core) {
    exchange.Send(self - core, data, bytes);
    RETURN_IF_ERROR(exchange.WaitAll());
    exchange.Receive(self - core, data, bytes);
    return exchange.WaitAll();
  }
  const bool helps = self + core < nodes;
  if (helps) {
    exchange.Receive(self + core, other, bytes);
    RETURN_IF_ERROR(exchange.WaitAll());
    Reduce({{data, other}}, data, count, type, reduction);
  }
  for (int distance = 1; distance < core; distance *= 2) {
    const int partner = self ^ distance;
    exchange.Receive(partner, other, bytes);
    exchange.Send(partner, data, bytes);
    RETURN_IF_ERROR(exchange.WaitAll());
    // The same order on both sides, so that both get the same bits.
    if (self < partner) {
      Reduce({{data, other}}, data, count, type, reduction);
    } else {
      Reduce({{other, data}}, data, count, type, reduction);
    }
  }
  if (!helps) return absl::OkStatus();
  exchange.Send(self + core, data, bytes);
  return exchange.WaitAll();
}

absl::Status Ring(const NodeExchange& exchange, std::byte* data, size_t count, DataType type,
                  Reduction reduction) {
  const size_t element = SizeOf(type);
  const int nodes = exchange.num_nodes();
  const int next = (exchange.self + 1) % nodes, previous = (exchange.self + nodes - 1) % nodes;
  const size_t part_size = AlignUp((count + nodes - 1) / nodes, 64 / element);
  const auto part = [&](int index) {
    const size_t i = static_cast<size_t>((index + 2 * nodes) % nodes);
    const size_t begin = std::min(count, i * part_size);
    return std::pair(begin, std::min(count, begin + part_size));
  };

  // After step s, part self - s - 1 holds the sum over s + 2 nodes. At the end each node has one part
  // complete: computed once, so what is then handed round is the same everywhere.
  const size_t segment = kSegmentBytes / element;
  std::byte* const buffers = exchange.scratch->Get(kSegmentsAhead * kSegmentBytes);
  for (int step = 0; step < nodes - 1; ++step) {
    const auto [in_begin, in_end] = part(exchange.self - step - 1);
    const auto [out_begin, out_end] = part(exchange.self - step);
    struct Segment {
      size_t operation;
      size_t size;
      std::byte* buffer;
    };
    std::array<Segment, kSegmentsAhead> window;
    const size_t arriving = (in_end - in_begin + segment - 1) / segment;
    const auto receive = [&, first = in_begin, last = in_end](size_t i) {
      Segment& next_in = window[i % kSegmentsAhead];
      next_in.size = std::min(segment, last - first - i * segment);
      next_in.buffer = buffers + i % kSegmentsAhead * kSegmentBytes;
      next_in.operation = exchange.Receive(previous, next_in.buffer, next_in.size * element);
    };
    for (size_t i = 0; i < std::min(arriving, kSegmentsAhead); ++i) receive(i);
    for (size_t begin = out_begin; begin < out_end; begin += segment) {
      exchange.Send(next, data + begin * element, std::min(segment, out_end - begin) * element);
    }
    for (size_t i = 0; i < arriving; ++i) {
      const Segment arrived = window[i % kSegmentsAhead];
      RETURN_IF_ERROR(exchange.worker->Wait(arrived.operation, *exchange.scope));
      std::byte* const target = data + (in_begin + i * segment) * element;
      Reduce({{arrived.buffer, target}}, target, arrived.size, type, reduction);
      if (i + kSegmentsAhead < arriving) receive(i + kSegmentsAhead);
    }
    RETURN_IF_ERROR(exchange.WaitAll());
  }
  for (int step = 0; step < nodes - 1; ++step) {
    const auto [in_begin, in_end] = part(exchange.self - step);
    const auto [out_begin, out_end] = part(exchange.self - step + 1);
    if (in_begin < in_end)
      exchange.Receive(previous, data + in_begin * element, (in_end - in_begin) * element);
    if (out_begin < out_end) exchange.Send(next, data + out_begin * element, (out_end - out_begin) * element);
    RETURN_IF_ERROR(exchange.WaitAll());
  }
  return absl::OkStatus();
}

int NumBlocks(const GroupNode& node) {
  int blocks = 0;
  for (const RankRun& run : node.blocks) blocks += run.count;
  return blocks;
}

}  // namespace

size_t NodeExchange::Send(int node, const void* data, size_t bytes) const {
  return worker->StartSend(nodes[node].leader, MessageTag{false, group, number}, data, bytes);
}

size_t NodeExchange::Receive(int node, void* data, size_t bytes) const {
  return worker->StartReceive(nodes[node].leader, MessageTag{false, group, number}, data, bytes);
}

absl::Status NodeAllReduce(const NodeExchange& exchange, void* data, size_t count, DataType type,
                           Reduction reduction) {
  auto* const bytes = static_cast<std::byte*>(data);
  return count * SizeOf(type) <= kDoublingBytes ? RecursiveDoubling(exchange, bytes, count, type, reduction)
                                                : Ring(exchange, bytes, count, type, reduction);
}

absl::Status NodeAllGather(const NodeExchange& exchange, std::byte* data, size_t block_bytes) {
  const int nodes = exchange.num_nodes();
  const int next = (exchange.self + 1) % nodes, previous = (exchange.self + nodes - 1) % nodes;
  for (int step = 0; step < nodes - 1; ++step) {
    const GroupNode& arriving = exchange.nodes[(exchange.self - step - 1 + nodes) % nodes];
    const GroupNode& leaving = exchange.nodes[(exchange.self - step + nodes) % nodes];
    for (const RankRun& run : arriving.blocks) {
      exchange.Receive(previous, data + run.first * block_bytes, run.count * block_bytes);
    }
    for (const RankRun& run : leaving.blocks) {
      exchange.Send(next, data + run.first * block_bytes, run.count * block_bytes);
    }
    RETURN_IF_ERROR(exchange.WaitAll());
  }
  return absl::OkStatus();
}

absl::Status NodeReduceScatter(const NodeExchange& exchange, const std::byte* input, std::byte* output,
                               size_t count, DataType type, Reduction reduction) {
  const int nodes = exchange.num_nodes();
  const size_t block_bytes = count * SizeOf(type);
  const GroupNode& own = exchange.nodes[exchange.self];
  std::byte* const arrived = exchange.scratch->Get(NumBlocks(own) * block_bytes);
  for (int distance = 1; distance < nodes; ++distance) {
    const int to = (exchange.self + distance) % nodes, from = (exchange.self + nodes - distance) % nodes;
    size_t offset = 0;
    for (const RankRun& run : own.blocks) {
      exchange.Receive(from, arrived + offset, run.count * block_bytes);
      offset += run.count * block_bytes;
    }
    for (const RankRun& run : exchange.nodes[to].blocks) {
      exchange.Send(to, input + run.first * block_bytes, run.count * block_bytes);
    }
    RETURN_IF_ERROR(exchange.WaitAll());
    offset = 0;
    for (const RankRun& run : own.blocks) {
      const std::byte* so_far = distance == 1 ? input + run.first * block_bytes : output + offset;
      Reduce({{so_far, arrived + offset}}, output + offset, run.count * count, type, reduction);
      offset += run.count * block_bytes;
    }
  }
  return absl::OkStatus();
}

absl::Status NodeBroadcast(const NodeExchange& exchange, const void* source, void* target, size_t bytes,
                           int root) {
  const int nodes = exchange.num_nodes();
  // Numbered from the root: node i gets the data from i without its highest bit.
  const int self = (exchange.self - root + nodes) % nodes;
  const auto real = [&](int i) { return (i + root) % nodes; };
  const int highest = self == 0 ? 0 : static_cast<int>(std::bit_floor(static_cast<unsigned>(self)));
  if (self != 0) {
    exchange.Receive(real(self - highest), target, bytes);
    RETURN_IF_ERROR(exchange.WaitAll());
  }
  const void* const data = self == 0 ? source : target;
  for (int distance = self == 0 ? 1 : 2 * highest; self + distance < nodes; distance *= 2) {
    exchange.Send(real(self + distance), data, bytes);
  }
  return exchange.WaitAll();
}

}  // namespace omserve
