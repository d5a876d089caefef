#include "daemon/coordinator/micro_batches.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "core/base/status.h"

namespace omserve {

std::vector<std::vector<Tensor>> SplitRequest(const ModelInfo& model, const std::vector<Tensor>& inputs) {
  std::vector<std::vector<Tensor>> runs(static_cast<size_t>(std::max(1, model.micro_batches)));
  for (size_t i = 0; i < inputs.size(); ++i) {
    const TensorDesc& part = model.inputs[i].desc;
    const size_t bytes = inputs[i].byte_size() / runs.size();
    for (size_t run = 0; run < runs.size(); ++run) {
      // Cannot fail: the request was checked to be so many parts of this shape.
      runs[run].push_back(part.shape.empty()
                              ? inputs[i]
                              : Tensor::Create(part, inputs[i].buffer().Slice(run * bytes, bytes)).value());
    }
  }
  return runs;
}

void MicroBatchAnswers::Answer(int run, absl::StatusOr<std::vector<Tensor>> outputs) {
  absl::StatusOr<std::vector<Tensor>> result;
  uint64_t copied_bytes = 0;
  {
    absl::MutexLock lock(&mutex_);
    if (outputs.ok()) {
      outputs_[static_cast<size_t>(run)] = *std::move(outputs);
    } else {
      error_.Update(outputs.status());
    }
    if (--waiting_ > 0) return;
    result = error_.ok() ? Join(&copied_bytes) : error_;
  }
  done_(std::move(result), copied_bytes);
}

absl::StatusOr<std::vector<Tensor>> MicroBatchAnswers::Join(uint64_t* copied_bytes) {
  std::vector<Tensor> joined;
  for (size_t i = 0; i < outputs_[0].size(); ++i) {
    TensorDesc desc = outputs_[0][i].desc();
    desc.shape[0] *= static_cast<int64_t>(outputs_.size());
    std::byte* target = nullptr;
    Tensor whole = Tensor::Allocate(desc, &target);
    for (const std::vector<Tensor>& outputs : outputs_) {
      const size_t bytes = outputs[i].byte_size();
      if (bytes > 0) std::memcpy(target, outputs[i].data(), bytes);
      target += bytes;
      *copied_bytes += bytes;
    }
    joined.push_back(std::move(whole));
  }
  return joined;
}

}  // namespace omserve
