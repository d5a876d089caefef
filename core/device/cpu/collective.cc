// Hcom* operators: the collectives of the run's backend.
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "core/base/status.h"
#include "core/device/cpu/kernel.h"

namespace omserve::cpu {

namespace {

using Made = absl::StatusOr<std::unique_ptr<Kernel>>;
using Reduction = CollectiveBackend::Reduction;

absl::StatusOr<Reduction> ReductionOf(const KernelRequest& request) {
  const std::string name = request.Attr<std::string>("reduction");
  if (name == "sum") return Reduction::kSum;
  if (name == "prod") return Reduction::kProd;
  if (name == "max") return Reduction::kMax;
  if (name == "min") return Reduction::kMin;
  return absl::InvalidArgumentError(
      absl::StrCat("attribute 'reduction' is '", name, "', expected sum, prod, max or min"));
}

// What all of them share: group and element type, and the checks that make the sizes fit before anything is sent.
class CollectiveKernel : public Kernel {
 public:
  explicit CollectiveKernel(const KernelRequest& request)
      : group_(request.Attr<std::string>("group")),
        type_(request.num_inputs() > 0 ? request.inputs[0].type : request.outputs[0].type),
        input_count_(request.num_inputs() > 0 ? NumElements(request.input_shape(0)) : 0),
        output_count_(request.outputs.empty() ? 0 : NumElements(request.output_shape())) {}

 protected:
  absl::StatusOr<CollectiveBackend*> Backend(const KernelContext& context) const {
    if (context.run.collectives == nullptr) {
      return absl::FailedPreconditionError(
          absl::StrCat("the slice has collectives (group '", group_, "') but runs without communicators"));
    }
    return context.run.collectives;
  }
  // INVALID_ARGUMENT unless many == few * (devices of the group).
  absl::Status CheckSizes(CollectiveBackend* backend, int64_t few, int64_t many) const {
    ASSIGN_OR_RETURN(const int size, backend->GroupSize(group_));
    if (few * size == many) return absl::OkStatus();
    return absl::InvalidArgumentError(absl::StrCat("group '", group_, "' has ", size, " devices, which does not fit ",
                                                   input_count_, " elements in and ", output_count_, " out"));
  }

  const std::string group_;
  const DataType type_;
  const int64_t input_count_, output_count_;
};

class AllReduceKernel : public CollectiveKernel {
 public:
  AllReduceKernel(const KernelRequest& request, Reduction reduction)
      : CollectiveKernel(request), reduction_(reduction) {}
  absl::Status Run(const void* const* inputs, void* const* outputs, KernelContext& context) override {
    ASSIGN_OR_RETURN(CollectiveBackend * backend, Backend(context));
    return backend->AllReduce(group_, inputs[0], outputs[0], static_cast<size_t>(input_count_), type_, reduction_,
                              context.run.limit);
  }
  bool MayOverwrite(int) const override { return true; }

 private:
  const Reduction reduction_;
};

class AllGatherKernel : public CollectiveKernel {
 public:
  using CollectiveKernel::CollectiveKernel;
  absl::Status Run(const void* const* inputs, void* const* outputs, KernelContext& context) override {
    ASSIGN_OR_RETURN(CollectiveBackend * backend, Backend(context));
    RETURN_IF_ERROR(CheckSizes(backend, input_count_, output_count_));
    return backend->AllGather(group_, inputs[0], outputs[0], static_cast<size_t>(input_count_), type_,
                              context.run.limit);
  }
};

class ReduceScatterKernel : public CollectiveKernel {
 public:
  ReduceScatterKernel(const KernelRequest& request, Reduction reduction)
      : CollectiveKernel(request), reduction_(reduction) {}
  absl::Status Run(const void* const* inputs, void* const* outputs, KernelContext& context) override {
    ASSIGN_OR_RETURN(CollectiveBackend * backend, Backend(context));
    RETURN_IF_ERROR(CheckSizes(backend, output_count_, input_count_));
    return backend->ReduceScatter(group_, inputs[0], outputs[0], static_cast<size_t>(output_count_), type_, reduction_,
                                  context.run.limit);
  }

 private:
  const Reduction reduction_;
};

class AllToAllKernel : public CollectiveKernel {
 public:
  using CollectiveKernel::CollectiveKernel;
  absl::Status Run(const void* const* inputs, void* const* outputs, KernelContext& context) override {
    ASSIGN_OR_RETURN(CollectiveBackend * backend, Backend(context));
    ASSIGN_OR_RETURN(const int size, backend->GroupSize(group_));
    if (size <= 0 || input_count_ % size != 0 || input_count_ != output_count_) {
      return CheckSizes(backend, input_count_ / std::max(1, size), output_count_);
    }
    return backend->AllToAll(group_, inputs[0], outputs[0], static_cast<size_t>(input_count_ / size), type_,
                             context.run.limit);
  }
};

class BroadcastKernel : public CollectiveKernel {
 public:
  explicit BroadcastKernel(const KernelRequest& request)
      : CollectiveKernel(request), root_(static_cast<int>(request.Attr<int64_t>("root_rank"))) {
    for (const TensorDesc& input : request.inputs) descs_.push_back(input);
  }
  absl::Status Run(const void* const* inputs, void* const* outputs, KernelContext& context) override {
    ASSIGN_OR_RETURN(CollectiveBackend * backend, Backend(context));
    for (size_t i = 0; i < descs_.size(); ++i) {
      RETURN_IF_ERROR(backend->Broadcast(group_, inputs[i], outputs[i],
                                         static_cast<size_t>(NumElements(descs_[i].shape)), descs_[i].type, root_,
                                         context.run.limit));
    }
    return absl::OkStatus();
  }

 private:
  const int root_;
  std::vector<TensorDesc> descs_;
};

class SendKernel : public CollectiveKernel {
 public:
  explicit SendKernel(const KernelRequest& request)
      : CollectiveKernel(request), peer_(static_cast<int>(request.Attr<int64_t>("dest_rank"))),
        tag_(request.Attr<int64_t>("sr_tag")) {}
  absl::Status Run(const void* const* inputs, void* const*, KernelContext& context) override {
    ASSIGN_OR_RETURN(CollectiveBackend * backend, Backend(context));
    return backend->Send(group_, inputs[0], static_cast<size_t>(input_count_), type_, peer_, tag_, context.run.limit);
  }

 private:
  const int peer_;
  const int64_t tag_;
};

class ReceiveKernel : public CollectiveKernel {
 public:
  explicit ReceiveKernel(const KernelRequest& request)
      : CollectiveKernel(request), peer_(static_cast<int>(request.Attr<int64_t>("src_rank"))),
        tag_(request.Attr<int64_t>("sr_tag")) {}
  absl::Status Run(const void* const*, void* const* outputs, KernelContext& context) override {
    ASSIGN_OR_RETURN(CollectiveBackend * backend, Backend(context));
    return backend->Receive(group_, outputs[0], static_cast<size_t>(output_count_), type_, peer_, tag_,
                            context.run.limit);
  }

 private:
  const int peer_;
  const int64_t tag_;
};

// A part of a buffer, in elements.
struct Part {
  int64_t begin = 0;
  int64_t count = 0;
};

// What every V operator comes down to: part r of what is sent goes to rank r, part r of what is received comes from it.
class ExchangeKernel : public CollectiveKernel {
 public:
  using CollectiveKernel::CollectiveKernel;
  absl::Status Run(const void* const* inputs, void* const* outputs, KernelContext& context) override {
    ASSIGN_OR_RETURN(CollectiveBackend * backend, Backend(context));
    ASSIGN_OR_RETURN(const int size, backend->GroupSize(group_));
    ASSIGN_OR_RETURN(const int rank, backend->GroupRank(group_));
    std::vector<Part> sent(static_cast<size_t>(size)), received(static_cast<size_t>(size));
    RETURN_IF_ERROR(SetParts(inputs, rank, sent, received));
    RETURN_IF_ERROR(CheckParts("sends", sent, input_count_));
    RETURN_IF_ERROR(CheckParts("receives", received, output_count_));
    const auto* from = static_cast<const std::byte*>(inputs[0]);
    auto* to = static_cast<std::byte*>(outputs[0]);
    const int64_t element = static_cast<int64_t>(SizeOf(type_));
    if (sent[rank].count != received[rank].count) {
      return absl::InvalidArgumentError(absl::StrCat("rank ", rank, " of group '", group_, "' sends itself ",
                                                     sent[rank].count, " elements and receives ",
                                                     received[rank].count));
    }
    if (output_count_ > 0) std::memset(to, 0, static_cast<size_t>(output_count_ * element));
    if (sent[rank].count > 0) {
      std::memcpy(to + received[rank].begin * element, from + sent[rank].begin * element,
                  static_cast<size_t>(sent[rank].count * element));
    }
    // A tournament: in each round every rank meets another one, and of a pair the lower one sends first. So nobody
    // waits for one who waits, though a long message waits for its receiver.
    const int players = size + size % 2, others = players - 1;
    for (int round = 0; round < others; ++round) {
      int peer = ((round - rank) % others + others) % others;
      if (rank == others) peer = round * (players / 2) % others;
      if (rank != others && peer == rank) peer = others;
      if (peer >= size) continue;
      const auto send = [&] {
        return backend->Send(group_, from + sent[peer].begin * element, static_cast<size_t>(sent[peer].count), type_,
                             peer, kExchangeTag, context.run.limit);
      };
      const auto receive = [&] {
        return backend->Receive(group_, to + received[peer].begin * element,
                                static_cast<size_t>(received[peer].count), type_, peer, kExchangeTag,
                                context.run.limit);
      };
      RETURN_IF_ERROR(rank < peer ? send() : receive());
      RETURN_IF_ERROR(rank < peer ? receive() : send());
    }
    return absl::OkStatus();
  }

 protected:
  // Fills the parts, which have an element for each rank of the group.
  virtual absl::Status SetParts(const void* const* inputs, int rank, std::vector<Part>& sent,
                                std::vector<Part>& received) const = 0;

  // INVALID_ARGUMENT unless an input with a value for each rank has as many as the group.
  absl::Status CheckRanks(int64_t values, size_t ranks) const {
    if (values == static_cast<int64_t>(ranks)) return absl::OkStatus();
    return absl::InvalidArgumentError(
        absl::StrCat("group '", group_, "' has ", ranks, " devices, but counts are given for ", values));
  }

 private:
  static constexpr int64_t kExchangeTag = 0xffffffff;  // no operator's sr_tag: see core/ops/collective.cc

  absl::Status CheckParts(const char* what, const std::vector<Part>& parts, int64_t count) const {
    for (const Part& part : parts) {
      if (part.begin >= 0 && part.count >= 0 && part.begin <= count && part.count <= count - part.begin) continue;
      return absl::InvalidArgumentError(absl::StrCat("in group '", group_, "' it ", what, " ", part.count,
                                                     " elements at ", part.begin, " of a tensor of ", count));
    }
    return absl::OkStatus();
  }
};

void Place(std::vector<Part>& parts, const int64_t* counts, const int64_t* displacements) {
  int64_t next = 0;
  for (size_t i = 0; i < parts.size(); ++i) {
    parts[i] = {displacements != nullptr ? displacements[i] : next, counts[i]};
    // What does not fit is found when parts are checked; here it must only not overflow.
    next = counts[i] < 0 || counts[i] > INT64_MAX - next ? INT64_MAX : next + counts[i];
  }
}

class AllToAllVKernel : public ExchangeKernel {
 public:
  explicit AllToAllVKernel(const KernelRequest& request) : ExchangeKernel(request) {
    for (int i = 1; i < 5; ++i) ranks_.push_back(NumElements(request.input_shape(i)));
  }

 protected:
  absl::Status SetParts(const void* const* inputs, int, std::vector<Part>& sent,
                        std::vector<Part>& received) const override {
    for (const int64_t ranks : ranks_) RETURN_IF_ERROR(CheckRanks(ranks, sent.size()));
    const auto ints = [&](int i) { return static_cast<const int64_t*>(inputs[i]); };
    Place(sent, ints(1), ints(2));
    Place(received, ints(3), ints(4));
    return absl::OkStatus();
  }

 private:
  std::vector<int64_t> ranks_;
};

class AllToAllVCKernel : public ExchangeKernel {
 public:
  explicit AllToAllVCKernel(const KernelRequest& request)
      : ExchangeKernel(request), values_(NumElements(request.input_shape(1))) {}

 protected:
  absl::Status SetParts(const void* const* inputs, int rank, std::vector<Part>& sent,
                        std::vector<Part>& received) const override {
    const size_t size = sent.size();
    RETURN_IF_ERROR(CheckRanks(values_, size * size));
    const auto* matrix = static_cast<const int64_t*>(inputs[1]);
    std::vector<int64_t> column;
    for (size_t i = 0; i < size; ++i) column.push_back(matrix[i * size + rank]);
    Place(sent, matrix + size * rank, nullptr);
    Place(received, column.data(), nullptr);
    return absl::OkStatus();
  }

 private:
  const int64_t values_;
};

class AllGatherVKernel : public ExchangeKernel {
 public:
  explicit AllGatherVKernel(const KernelRequest& request)
      : ExchangeKernel(request),
        counts_(NumElements(request.input_shape(2))),
        displaced_(request.num_inputs() > 3 && request.view.has_input(3)),
        displacements_(displaced_ ? NumElements(request.input_shape(3)) : counts_) {}

 protected:
  absl::Status SetParts(const void* const* inputs, int, std::vector<Part>& sent,
                        std::vector<Part>& received) const override {
    RETURN_IF_ERROR(CheckRanks(counts_, sent.size()));
    RETURN_IF_ERROR(CheckRanks(displacements_, sent.size()));
    for (Part& part : sent) part = {0, *static_cast<const int64_t*>(inputs[1])};
    Place(received, static_cast<const int64_t*>(inputs[2]),
          displaced_ ? static_cast<const int64_t*>(inputs[3]) : nullptr);
    return absl::OkStatus();
  }

 private:
  const int64_t counts_;
  const bool displaced_;
  const int64_t displacements_;
};

template <typename K>
Made MakePlain(const KernelRequest& request) {
  return std::make_unique<K>(request);
}

template <typename K>
Made MakeReducing(const KernelRequest& request) {
  ASSIGN_OR_RETURN(const Reduction reduction, ReductionOf(request));
  return std::make_unique<K>(request, reduction);
}

}  // namespace

void AddCollectiveKernels(KernelTable& table) {
  // HcomReduce leaves the result on the root alone; giving it to everybody is the same for the root.
  table.Add({"HcomAllReduce", "HcomReduce"}, MakeReducing<AllReduceKernel>);
  table.Add({"HcomAllGather"}, MakePlain<AllGatherKernel>);
  table.Add({"HcomReduceScatter"}, MakeReducing<ReduceScatterKernel>);
  table.Add({"HcomAllToAll"}, MakePlain<AllToAllKernel>);
  table.Add({"HcomAllToAllV"}, MakePlain<AllToAllVKernel>);
  table.Add({"HcomAllToAllVC"}, MakePlain<AllToAllVCKernel>);
  table.Add({"HcomAllGatherV"}, MakePlain<AllGatherVKernel>);
  table.Add({"HcomBroadcast"}, MakePlain<BroadcastKernel>);
  table.Add({"HcomSend"}, MakePlain<SendKernel>);
  table.Add({"HcomReceive"}, MakePlain<ReceiveKernel>);
}

}  // namespace omserve::cpu
