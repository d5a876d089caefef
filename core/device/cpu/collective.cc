// Hcom* operators: the collectives of the run's backend.
#include <algorithm>
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
  table.Add({"HcomBroadcast"}, MakePlain<BroadcastKernel>);
  table.Add({"HcomSend"}, MakePlain<SendKernel>);
  table.Add({"HcomReceive"}, MakePlain<ReceiveKernel>);
}

}  // namespace omserve::cpu
