#include "core/partition/testing/emulator.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <numeric>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "core/base/status.h"

namespace omserve {
namespace {

bool IsCollective(const Node& node) { return node.type().rfind("Hcom", 0) == 0; }
bool IsMessage(const Node& node) { return node.is("HcomSend") || node.is("HcomReceive"); }

// One rank: its slice, how far it is, and what it has computed.
struct Rank {
  const Graph* graph = nullptr;
  std::vector<int32_t> order;
  size_t next = 0;
  std::map<ValueId, Tensor> values;
  std::vector<int> inputs;  // per input of the graph: position among the inputs given

  bool done() const { return next == order.size(); }
  const Node& node() const { return *graph->node(order[next]); }
};

absl::Status StepLocally(Rank& rank, const std::vector<Tensor>& inputs, Evaluator& evaluator) {
  const Node& node = rank.node();
  if (node.is_data()) {
    const auto& ids = rank.graph->inputs();
    rank.values[node.out()] = inputs[rank.inputs[std::find(ids.begin(), ids.end(), node.id()) - ids.begin()]];
  } else if (node.is_const()) {
    rank.values[node.out()] = node.constant()->Materialize();
  } else {
    std::vector<Tensor> arguments;
    for (ValueId input : node.inputs()) arguments.push_back(input.valid() ? rank.values.at(input) : Tensor());
    ASSIGN_OR_RETURN_WITH(std::vector<Tensor> results, evaluator.Evaluate(*rank.graph, node, arguments),
                          absl::StrCat("node '", node.name(), "' (", node.type(), ")"));
    for (size_t i = 0; i < results.size(); ++i) {
      if (results[i].desc() != node.output(static_cast<int>(i))) {
        return absl::InternalError(absl::StrCat("node '", node.name(), "' (", node.type(), ") gave ",
                                                ToString(results[i].desc()), ", inferred was ",
                                                ToString(node.output(static_cast<int>(i)))));
      }
      rank.values[node.out(static_cast<int>(i))] = std::move(results[i]);
    }
  }
  ++rank.next;
  return absl::OkStatus();
}

template <typename T>
void AddTo(std::byte* sum, const std::byte* term, size_t count) {
  T* a = reinterpret_cast<T*>(sum);
  const T* b = reinterpret_cast<const T*>(term);
  for (size_t i = 0; i < count; ++i) a[i] += b[i];
}

template <typename T>
void MaxTo(std::byte* result, const std::byte* term, size_t count, bool greatest) {
  T* a = reinterpret_cast<T*>(result);
  const T* b = reinterpret_cast<const T*>(term);
  for (size_t i = 0; i < count; ++i) a[i] = greatest ? std::max(a[i], b[i]) : std::min(a[i], b[i]);
}

// What the collective makes of all ranks' terms.
absl::StatusOr<Tensor> Reduced(const std::vector<Tensor>& terms, const Node& node) {
  const std::string* reduction = node.FindAttr<std::string>("reduction");
  if (reduction != nullptr && (*reduction == "max" || *reduction == "min")) {
    std::byte* writable = nullptr;
    Tensor result = Tensor::Allocate(terms[0].desc(), &writable);
    std::memcpy(writable, terms[0].data(), terms[0].byte_size());
    if (result.type() != DataType::kFloat) {
      return absl::UnimplementedError(absl::StrCat(*reduction, " of ", ToString(result.desc())));
    }
    for (size_t i = 1; i < terms.size(); ++i) {
      MaxTo<float>(writable, terms[i].data(), static_cast<size_t>(result.num_elements()), *reduction == "max");
    }
    return result;
  }
  if (reduction != nullptr && *reduction != "sum") {
    return absl::UnimplementedError(absl::StrCat("reduction ", *reduction, " in the emulator"));
  }
  std::byte* writable = nullptr;
  Tensor sum = Tensor::Allocate(terms[0].desc(), &writable);
  std::memcpy(writable, terms[0].data(), terms[0].byte_size());
  const size_t count = static_cast<size_t>(sum.num_elements());
  for (size_t i = 1; i < terms.size(); ++i) {
    switch (sum.type()) {
      case DataType::kFloat: AddTo<float>(writable, terms[i].data(), count); break;
      case DataType::kInt32: AddTo<int32_t>(writable, terms[i].data(), count); break;
      case DataType::kInt64: AddTo<int64_t>(writable, terms[i].data(), count); break;
      default: return absl::UnimplementedError(absl::StrCat("sum of ", ToString(sum.desc())));
    }
  }
  return sum;
}

// Part `index` of `parts` along dimension 0 of flat bytes.
Buffer Part(const Tensor& tensor, size_t index, size_t parts) {
  const size_t size = tensor.byte_size() / parts;
  return tensor.buffer().Slice(index * size, size);
}

Buffer Join(const std::vector<Buffer>& parts) {
  size_t size = 0;
  for (const Buffer& part : parts) size += part.size();
  std::byte* writable = nullptr;
  Buffer joined = Buffer::Allocate(size, &writable);
  for (const Buffer& part : parts) {
    if (part.size() > 0) std::memcpy(writable, part.data(), part.size());
    writable += part.size();
  }
  return joined;
}

// Hands a message over: sender and receiver both stand at it, as when neither has room for it.
absl::Status StepMessage(Rank& sender, Rank& receiver) {
  const Node& send = sender.node();
  const Node& receive = receiver.node();
  const Tensor& tensor = sender.values.at(send.input(0));
  if (send.AttrOr<int64_t>("sr_tag", -1) != receive.AttrOr<int64_t>("sr_tag", -2) || tensor.desc() != receive.output()) {
    return absl::InternalError(absl::StrCat("'", send.name(), "' sends ", ToString(tensor.desc()), ", '", receive.name(),
                                            "' expects ", ToString(receive.output()), " or another tag"));
  }
  receiver.values[receive.out()] = tensor;
  ++sender.next;
  ++receiver.next;
  return absl::OkStatus();
}

// Performs one collective for all members of a group; all stand at it.
absl::Status StepTogether(std::vector<Rank>& ranks, const std::vector<int>& members) {
  const Node& first = ranks[members[0]].node();
  std::vector<Tensor> terms;
  for (int member : members) {
    Rank& rank = ranks[member];
    if (rank.node().type() != first.type()) {
      return absl::InternalError(absl::StrCat("rank ", members[0], " is at ", first.type(), " '", first.name(),
                                              "' while rank ", member, " is at ", rank.node().type()));
    }
    terms.push_back(rank.values.at(rank.node().input(0)));
  }
  const size_t p = members.size();
  for (size_t i = 0; i < p; ++i) {
    Rank& rank = ranks[members[i]];
    const Node& node = rank.node();
    Buffer bytes;
    if (node.is("HcomAllReduce")) {
      ASSIGN_OR_RETURN(const Tensor sum, Reduced(terms, node));
      bytes = sum.buffer();
    } else if (node.is("HcomReduceScatter")) {
      ASSIGN_OR_RETURN(const Tensor sum, Reduced(terms, node));
      bytes = Part(sum, i, p);
    } else if (node.is("HcomAllGather")) {
      std::vector<Buffer> parts;
      for (const Tensor& term : terms) parts.push_back(term.buffer());
      bytes = Join(parts);
    } else if (node.is("HcomAllToAll")) {
      std::vector<Buffer> parts;
      for (const Tensor& term : terms) parts.push_back(Part(term, i, p));
      bytes = Join(parts);
    } else {
      return absl::UnimplementedError(absl::StrCat("collective ", node.type(), " in the emulator"));
    }
    ASSIGN_OR_RETURN(rank.values[node.out()], Tensor::Create(node.output(), std::move(bytes)));
  }
  for (int member : members) ++ranks[member].next;
  return absl::OkStatus();
}

// Copies a piece into the whole tensor; elements that another rank wrote before must be equal in every bit.
absl::Status Place(const Tensor& piece, const SlicePiece& where, const TensorDesc& desc, std::byte* whole,
                   std::vector<bool>* written) {
  const std::vector<int64_t> strides = RowMajorStrides(desc.shape);
  const size_t element = SizeOf(desc.type);
  std::vector<int64_t> index(desc.shape.size(), 0);
  for (int64_t n = 0; n < piece.num_elements(); ++n) {
    int64_t offset = 0;
    for (size_t d = 0; d < index.size(); ++d) offset += (where.begin[d] + index[d]) * strides[d];
    std::byte* target = whole + static_cast<size_t>(offset) * element;
    const std::byte* source = piece.data() + static_cast<size_t>(n) * element;
    if ((*written)[static_cast<size_t>(offset)]) {
      if (std::memcmp(target, source, element) != 0) {
        return absl::InternalError(absl::StrCat("two ranks disagree about element ", offset, " of output ", where.output));
      }
    } else {
      std::memcpy(target, source, element);
      (*written)[static_cast<size_t>(offset)] = true;
    }
    for (size_t d = index.size(); d-- > 0;) {
      if (++index[d] < where.extent[d]) break;
      index[d] = 0;
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::vector<Tensor>> RunWhole(const Graph& graph, const std::vector<Tensor>& inputs,
                                             Evaluator& evaluator) {
  Rank rank{&graph, {}, 0, {}, {}};
  rank.inputs.resize(inputs.size());
  std::iota(rank.inputs.begin(), rank.inputs.end(), 0);
  ASSIGN_OR_RETURN(rank.order, graph.TopologicalOrder());
  while (!rank.done()) RETURN_IF_ERROR(StepLocally(rank, inputs, evaluator));
  std::vector<Tensor> outputs;
  for (const GraphOutput& output : graph.outputs()) outputs.push_back(rank.values.at(output.value));
  return outputs;
}

absl::StatusOr<std::vector<Tensor>> RunSlices(const Graph& whole, const CutGraph& cut,
                                              const std::vector<Tensor>& inputs, Evaluator& evaluator) {
  std::vector<Rank> ranks;
  for (const Graph& slice : cut.slices) {
    Rank rank{&slice, {}, 0, {}, cut.inputs[ranks.size()]};
    ASSIGN_OR_RETURN(rank.order, slice.TopologicalOrder());
    ranks.push_back(std::move(rank));
  }
  while (true) {
    bool progress = false, all_done = true;
    for (Rank& rank : ranks) {
      while (!rank.done() && !IsCollective(rank.node())) {
        RETURN_IF_ERROR(StepLocally(rank, inputs, evaluator));
        progress = true;
      }
      all_done &= rank.done();
    }
    if (all_done) break;
    for (const SliceGroup& group : cut.groups) {
      const bool all_here = std::all_of(group.ranks.begin(), group.ranks.end(), [&](int member) {
        const Rank& rank = ranks[member];
        return !rank.done() && IsCollective(rank.node()) && rank.node().AttrOr<std::string>("group", "") == group.name;
      });
      if (!all_here) continue;
      const Rank& first = ranks[group.ranks[0]];
      if (group.ranks.size() == 2 && IsMessage(first.node())) {
        RETURN_IF_ERROR(StepMessage(ranks[group.ranks[0]], ranks[group.ranks[1]]));
        progress = true;
        continue;
      }
      RETURN_IF_ERROR(StepTogether(ranks, group.ranks));
      progress = true;
    }
    if (!progress) {
      std::vector<std::string> waiting;
      for (const Rank& rank : ranks) waiting.push_back(rank.done() ? "(done)" : rank.node().name());
      return absl::InternalError(absl::StrCat("the slices wait for each other at ", absl::StrJoin(waiting, ", ")));
    }
  }
  std::vector<Tensor> outputs;
  for (size_t o = 0; o < whole.outputs().size(); ++o) {
    const TensorDesc& desc = whole.desc(whole.outputs()[o].value);
    std::byte* writable = nullptr;
    Tensor tensor = Tensor::Allocate(desc, &writable);
    std::vector<bool> written(static_cast<size_t>(tensor.num_elements()), false);
    for (size_t r = 0; r < ranks.size(); ++r) {
      for (size_t k = 0; k < cut.pieces[r].size(); ++k) {
        if (cut.pieces[r][k].output != static_cast<int>(o)) continue;
        const Tensor& piece = ranks[r].values.at(cut.slices[r].outputs()[k].value);
        RETURN_IF_ERROR(Place(piece, cut.pieces[r][k], desc, writable, &written));
      }
    }
    if (std::find(written.begin(), written.end(), false) != written.end()) {
      return absl::InternalError(absl::StrCat("no rank holds all of output ", o));
    }
    outputs.push_back(std::move(tensor));
  }
  return outputs;
}

}  // namespace omserve
