#include "core/comm/group_channel.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "absl/container/inlined_vector.h"
#include "core/base/checked.h"
#include "core/base/status.h"
#include "core/comm/reduce.h"

namespace omserve {
namespace {

// What is reduced before it is copied on, while it is in the first-level cache.
constexpr size_t kReduceBytes = 16 << 10;

const std::byte* Bytes(const void* memory) { return static_cast<const std::byte*>(memory); }
std::byte* Bytes(void* memory) { return static_cast<std::byte*>(memory); }

// In-place calls make source and target the same.
void Copy(void* target, const void* source, size_t bytes) {
  if (target != source) std::memcpy(target, source, bytes);
}

}  // namespace

CallScope GroupChannel::Scope(const char* operation, const WaitLimit& limit) const {
  return CallScope{resources_.guard,      &limit,         operation, &layout_.name,
                   resources_.world_rank, resources_.spin};
}

NodeExchange GroupChannel::Exchange(const CallScope& scope) {
  return NodeExchange{
      resources_.worker, resources_.exchange_space, layout_.nodes, own_node(), layout_.index, calls_, &scope};
}

template <typename Algorithm>
absl::Status GroupChannel::Call(const char* operation, const WaitLimit& limit, Algorithm&& algorithm) {
  const CallScope scope = Scope(operation, limit);
  ++calls_;
  absl::Status status = scope.interrupted() ? scope.Check(resources_.world_rank) : algorithm(scope);
  if (status.ok()) return status;
  member_.Break();
  // Peers in other processes may wait for this rank: they are told now.
  if (resources_.worker != nullptr) resources_.worker->Abandon(status);
  return status;
}

absl::Status GroupChannel::AllReduce(const void* input, void* output, size_t count, DataType type,
                                     Reduction reduction, const WaitLimit& limit) {
  return Call("all-reduce", limit, [&](const CallScope& scope) {
    return AllReduce(scope, input, output, count, type, reduction);
  });
}

absl::Status GroupChannel::AllGather(const void* input, void* output, size_t count, DataType type,
                                     const WaitLimit& limit) {
  return Call("all-gather", limit,
              [&](const CallScope& scope) { return AllGather(scope, input, output, count, type); });
}

absl::Status GroupChannel::ReduceScatter(const void* input, void* output, size_t count, DataType type,
                                         Reduction reduction, const WaitLimit& limit) {
  return Call("reduce-scatter", limit, [&](const CallScope& scope) {
    return ReduceScatter(scope, input, output, count, type, reduction);
  });
}

absl::Status GroupChannel::AllToAll(const void* input, void* output, size_t count, DataType type,
                                    const WaitLimit& limit) {
  return Call("all-to-all", limit,
              [&](const CallScope& scope) { return AllToAll(scope, input, output, count, type); });
}

absl::Status GroupChannel::Broadcast(const void* input, void* output, size_t count, DataType type, int root,
                                     const WaitLimit& limit) {
  return Call("broadcast", limit,
              [&](const CallScope& scope) { return Broadcast(scope, input, output, count, type, root); });
}

std::pair<size_t, size_t> GroupChannel::PartOf(size_t count, DataType type) const {
  const size_t locals = static_cast<size_t>(num_locals());
  const size_t part = AlignUp((count + locals - 1) / locals, 64 / SizeOf(type));
  const size_t begin = std::min(count, part * static_cast<size_t>(member_.index()));
  return {begin, std::min(count, begin + part)};
}

void GroupChannel::ReducePart(size_t count, DataType type, Reduction reduction,
                              absl::Span<void* const> outputs) {
  const size_t element = SizeOf(type);
  const size_t block = kReduceBytes / element;
  const auto [begin, end] = PartOf(count, type);
  absl::InlinedVector<const void*, 8> inputs(num_locals());
  for (size_t at = begin; at < end; at += block) {
    const size_t size = std::min(block, end - at);
    for (int m = 0; m < num_locals(); ++m) inputs[m] = Bytes(member_.call(m).input) + at * element;
    std::byte* const reduced = Bytes(outputs[0]) + at * element;
    Reduce(inputs, reduced, size, type, reduction);
    for (size_t o = 1; o < outputs.size(); ++o)
      Copy(Bytes(outputs[o]) + at * element, reduced, size * element);
  }
  CountLocal((end - begin) * element * (num_locals() + outputs.size() - 2));
}

absl::Status GroupChannel::AllReduce(const CallScope& scope, const void* input, void* output, size_t count,
                                     DataType type, Reduction reduction) {
  const size_t bytes = count * SizeOf(type);
  if (num_locals() == 1) {
    Copy(output, input, bytes);
    return num_nodes() == 1 ? absl::OkStatus()
                            : NodeAllReduce(Exchange(scope), output, count, type, reduction);
  }
  const LocalCall call{scope.operation, count, type, static_cast<int>(reduction), input, output};
  return bytes <= LocalGroup::kSlotBytes ? AllReduceInSlots(scope, call, reduction)
                                         : AllReduceInPlace(scope, call, reduction);
}

// Everybody reduces everything, which for little data is cheaper than a second meeting.
absl::Status GroupChannel::AllReduceInSlots(const CallScope& scope, const LocalCall& call,
                                            Reduction reduction) {
  const size_t bytes = call.count * SizeOf(call.type);
  std::byte* const slot = member_.Start(call);
  std::memcpy(slot, call.input, bytes);
  RETURN_IF_ERROR(member_.Meet(scope));
  if (num_nodes() == 1 || is_leader()) {
    absl::InlinedVector<const void*, 8> inputs(num_locals());
    for (int m = 0; m < num_locals(); ++m) inputs[m] = member_.slot(m);
    Reduce(inputs, call.output, call.count, call.type, reduction);
    CountLocal(bytes * (num_locals() - 1));
  }
  if (num_nodes() == 1) return absl::OkStatus();
  if (is_leader()) {
    RETURN_IF_ERROR(NodeAllReduce(Exchange(scope), call.output, call.count, call.type, reduction));
    // The leader alone reads slots above, so it can use its own again.
    std::memcpy(slot, call.output, bytes);
  }
  RETURN_IF_ERROR(member_.Meet(scope));
  if (!is_leader()) {
    std::memcpy(call.output, member_.slot(0), bytes);
    CountLocal(bytes);
  }
  return absl::OkStatus();
}

absl::Status GroupChannel::AllReduceInPlace(const CallScope& scope, const LocalCall& call,
                                            Reduction reduction) {
  member_.Start(call);
  RETURN_IF_ERROR(member_.Meet(scope));
  // A part of the inputs is read by one member only, so it may be overwritten where an output is an input.
  if (num_nodes() == 1) {
    absl::InlinedVector<void*, 8> outputs(num_locals());
    for (int m = 0; m < num_locals(); ++m) outputs[m] = member_.call(m).output;
    RETURN_IF_ERROR(member_.Touch(scope, [&] { ReducePart(call.count, call.type, reduction, outputs); }));
    return member_.Meet(scope);
  }
  void* const whole = member_.call(0).output;
  RETURN_IF_ERROR(member_.Touch(scope, [&] { ReducePart(call.count, call.type, reduction, {whole}); }));
  RETURN_IF_ERROR(member_.Meet(scope));
  if (is_leader()) RETURN_IF_ERROR(NodeAllReduce(Exchange(scope), whole, call.count, call.type, reduction));
  RETURN_IF_ERROR(member_.Meet(scope));
  if (!is_leader()) {
    const size_t bytes = call.count * SizeOf(call.type);
    RETURN_IF_ERROR(member_.Touch(scope, [&] { std::memcpy(call.output, whole, bytes); }));
    CountLocal(bytes);
  }
  return member_.Meet(scope);
}

absl::Status GroupChannel::AllGather(const CallScope& scope, const void* input, void* output, size_t count,
                                     DataType type) {
  const size_t bytes = count * SizeOf(type);
  std::byte* const out = Bytes(output);
  if (num_locals() == 1) {
    Copy(out + rank() * bytes, input, bytes);
    return num_nodes() == 1 ? absl::OkStatus() : NodeAllGather(Exchange(scope), out, bytes);
  }
  const LocalCall call{scope.operation, count, type, 0, input, output};
  std::byte* const slot = member_.Start(call);
  const bool in_slots = num_nodes() == 1 && bytes <= LocalGroup::kSlotBytes;
  if (in_slots) std::memcpy(slot, input, bytes);
  RETURN_IF_ERROR(member_.Meet(scope));
  if (num_nodes() == 1) {
    // Each starts at its own block, so that not all read the same memory at the same time.
    RETURN_IF_ERROR(member_.Touch(scope, [&] {
      for (int i = 0; i < num_locals(); ++i) {
        const int m = (member_.index() + i) % num_locals();
        Copy(out + m * bytes, in_slots ? member_.slot(m) : member_.call(m).input, bytes);
      }
    }));
    CountLocal(bytes * (num_locals() - 1));
    return in_slots ? absl::OkStatus() : member_.Meet(scope);
  }

  std::byte* const whole = Bytes(member_.call(0).output);
  RETURN_IF_ERROR(member_.Touch(scope, [&] { Copy(whole + rank() * bytes, input, bytes); }));
  RETURN_IF_ERROR(member_.Meet(scope));
  if (is_leader()) RETURN_IF_ERROR(NodeAllGather(Exchange(scope), whole, bytes));
  RETURN_IF_ERROR(member_.Meet(scope));
  if (!is_leader()) {
    RETURN_IF_ERROR(member_.Touch(scope, [&] { std::memcpy(out, whole, bytes * size()); }));
    CountLocal(bytes * (size() + 1));
  }
  return member_.Meet(scope);
}

absl::Status GroupChannel::ReduceScatter(const CallScope& scope, const void* input, void* output,
                                         size_t count, DataType type, Reduction reduction) {
  const size_t bytes = count * SizeOf(type);
  if (num_locals() == 1) {
    if (num_nodes() > 1) {
      return NodeReduceScatter(Exchange(scope), Bytes(input), Bytes(output), count, type, reduction);
    }
    Copy(output, input, bytes);
    return absl::OkStatus();
  }
  LocalCall call{scope.operation, count, type, static_cast<int>(reduction), input, output};
  if (num_nodes() == 1) {
    std::byte* const slot = member_.Start(call);
    const bool in_slots = bytes * size() <= LocalGroup::kSlotBytes;
    if (in_slots) std::memcpy(slot, input, bytes * size());
    RETURN_IF_ERROR(member_.Meet(scope));
    absl::InlinedVector<const void*, 8> inputs(num_locals());
    for (int m = 0; m < num_locals(); ++m) {
      inputs[m] = (in_slots ? member_.slot(m) : Bytes(member_.call(m).input)) + rank() * bytes;
    }
    RETURN_IF_ERROR(member_.Touch(scope, [&] { Reduce(inputs, output, count, type, reduction); }));
    CountLocal(bytes * (num_locals() - 1));
    return in_slots ? absl::OkStatus() : member_.Meet(scope);
  }

  // The leader's workspace: the sum over this process' members of all blocks, then the finished blocks of
  // theirs.
  const size_t whole = bytes * size();
  if (is_leader()) call.output = resources_.workspace->Get(whole + bytes * num_locals());
  member_.Start(call);
  RETURN_IF_ERROR(member_.Meet(scope));
  std::byte* const workspace = Bytes(member_.call(0).output);
  RETURN_IF_ERROR(member_.Touch(scope, [&] { ReducePart(count * size(), type, reduction, {workspace}); }));
  RETURN_IF_ERROR(member_.Meet(scope));
  if (is_leader()) {
    RETURN_IF_ERROR(NodeReduceScatter(Exchange(scope), workspace, workspace + whole, count, type, reduction));
  }
  RETURN_IF_ERROR(member_.Meet(scope));
  RETURN_IF_ERROR(
      member_.Touch(scope, [&] { std::memcpy(output, workspace + whole + bytes * member_.index(), bytes); }));
  if (!is_leader()) CountLocal(bytes);
  return member_.Meet(scope);
}

absl::Status GroupChannel::AllToAll(const CallScope& scope, const void* input, void* output, size_t count,
                                    DataType type) {
  const size_t bytes = count * SizeOf(type);
  if (input == output) {
    input = std::memcpy(resources_.workspace->Get(bytes * size()), input, bytes * size());
  }
  const std::byte* const in = Bytes(input);
  std::byte* const out = Bytes(output);
  if (num_nodes() > 1) {
    const MessageTag tag{false, layout_.index, calls_};
    // Each starts behind itself, so that not all send to the same rank at the same time.
    for (int i = 1; i < size(); ++i) {
      const int from = (rank() + size() - i) % size(), to = (rank() + i) % size();
      if (layout_.node_of[from] != own_node()) {
        resources_.worker->StartReceive(layout_.world_ranks[from], tag, out + from * bytes, bytes);
      }
      if (layout_.node_of[to] != own_node()) {
        resources_.worker->StartSend(layout_.world_ranks[to], tag, in + to * bytes, bytes);
      }
    }
    RETURN_IF_ERROR(resources_.worker->WaitAll(scope));
  }
  if (num_locals() == 1) {
    std::memcpy(out + rank() * bytes, in + rank() * bytes, bytes);
    return absl::OkStatus();
  }
  std::byte* const slot = member_.Start(LocalCall{scope.operation, count, type, 0, input, output});
  const bool in_slots = bytes * size() <= LocalGroup::kSlotBytes;
  if (in_slots) std::memcpy(slot, in, bytes * size());
  RETURN_IF_ERROR(member_.Meet(scope));
  RETURN_IF_ERROR(member_.Touch(scope, [&] {
    for (int i = 0; i < num_locals(); ++i) {
      const int m = (member_.index() + i) % num_locals();
      const std::byte* const source = in_slots ? member_.slot(m) : Bytes(member_.call(m).input);
      std::memcpy(out + layout_.locals[m] * bytes, source + rank() * bytes, bytes);
    }
  }));
  CountLocal(bytes * (num_locals() - 1));
  return in_slots ? absl::OkStatus() : member_.Meet(scope);
}

absl::Status GroupChannel::Broadcast(const CallScope& scope, const void* input, void* output, size_t count,
                                     DataType type, int root) {
  const size_t bytes = count * SizeOf(type);
  const bool is_root = rank() == root;
  const int root_node = layout_.node_of[root];
  if (num_locals() == 1) {
    if (is_root) Copy(output, input, bytes);
    return num_nodes() == 1 ? absl::OkStatus()
                            : NodeBroadcast(Exchange(scope), input, output, bytes, root_node);
  }
  const LocalCall call{scope.operation, count, type, root, input, output};
  std::byte* const slot = member_.Start(call);
  const bool in_slots = num_nodes() == 1 && bytes <= LocalGroup::kSlotBytes;
  if (in_slots && is_root) std::memcpy(slot, input, bytes);
  RETURN_IF_ERROR(member_.Meet(scope));
  // Where this process' members find the data: with the root, or with their leader.
  const auto local_root = std::find(layout_.locals.begin(), layout_.locals.end(), root);
  const bool has_root = local_root != layout_.locals.end();
  const int holder = has_root ? static_cast<int>(local_root - layout_.locals.begin()) : 0;
  const void* const source = in_slots   ? member_.slot(holder)
                             : has_root ? member_.call(holder).input
                                        : member_.call(0).output;
  if (num_nodes() > 1) {
    if (is_leader()) {
      RETURN_IF_ERROR(member_.Touch(
          scope, [&] { return NodeBroadcast(Exchange(scope), source, output, bytes, root_node); }));
    }
    RETURN_IF_ERROR(member_.Meet(scope));
  }
  if (is_root) {
    Copy(output, input, bytes);
  } else if (has_root || !is_leader()) {
    RETURN_IF_ERROR(member_.Touch(scope, [&] { std::memcpy(output, source, bytes); }));
    CountLocal(bytes);
  }
  return in_slots ? absl::OkStatus() : member_.Meet(scope);
}

absl::Status GroupChannel::Send(const void* data, size_t bytes, int peer, int64_t tag,
                                const WaitLimit& limit) {
  const CallScope scope = Scope("send", limit);
  if (scope.interrupted()) return scope.Check(layout_.world_ranks[peer]);
  if (layout_.node_of[peer] == own_node()) {
    CountLocal(bytes);
    return resources_.mailroom->Send(
        {layout_.index, layout_.mailbox_of[rank()], layout_.mailbox_of[peer], tag}, data, bytes, scope,
        layout_.world_ranks[peer]);
  }
  const MessageTag message{true, layout_.index, static_cast<uint32_t>(tag)};
  if (by_outbox_.try_emplace({peer, tag}, bytes > Outbox::kShortest).first->second) {
    return resources_.outbox->Send(layout_.world_ranks[peer], message, data, bytes, scope);
  }
  resources_.worker->StartSend(layout_.world_ranks[peer], message, data, bytes);
  return resources_.worker->WaitAll(scope);
}

absl::Status GroupChannel::Receive(void* data, size_t bytes, int peer, int64_t tag, const WaitLimit& limit) {
  const CallScope scope = Scope("receive", limit);
  if (scope.interrupted()) return scope.Check(layout_.world_ranks[peer]);
  if (layout_.node_of[peer] == own_node()) {
    return resources_.mailroom->Receive(
        {layout_.index, layout_.mailbox_of[peer], layout_.mailbox_of[rank()], tag}, data, bytes, scope,
        layout_.world_ranks[peer]);
  }
  resources_.worker->StartReceive(layout_.world_ranks[peer],
                                  MessageTag{true, layout_.index, static_cast<uint32_t>(tag)}, data, bytes);
  return resources_.worker->WaitAll(scope);
}

}  // namespace omserve
