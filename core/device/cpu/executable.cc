#include "core/device/cpu/executable.h"

#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/base/status.h"
#include "core/device/cpu/parallel.h"

namespace omserve::cpu {

absl::Status CpuExecutable::BindInputs(absl::Span<const Tensor> inputs) {
  if (inputs.size() != input_descs_.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat("the slice takes ", input_descs_.size(), " inputs, got ", inputs.size()));
  }
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (!(inputs[i].desc() == input_descs_[i])) {
      return absl::InvalidArgumentError(absl::StrCat("input '", input_names_[i], "' must be ",
                                                     ToString(input_descs_[i]), ", got ", ToString(inputs[i].desc())));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<Tensor>> CpuExecutable::Run(absl::Span<const Tensor> inputs, const RunContext& context) {
  RETURN_IF_ERROR(BindInputs(inputs));
  RETURN_IF_ERROR(context.limit.Check("a slice to start"));

  for (size_t s = 0; s < storages_.size(); ++s) {
    const Storage& storage = storages_[s];
    if (storage.kind != Storage::Kind::kInput) continue;
    const Tensor& input = inputs[static_cast<size_t>(storage.input)];
    const bool aligned = reinterpret_cast<uintptr_t>(input.data()) % SizeOf(input.type()) == 0;
    addresses_[s] = const_cast<std::byte*>(input.data());
    if (input.byte_size() == 0) addresses_[s] = arena_.data();
    else if (!aligned) addresses_[s] = static_cast<std::byte*>(std::memcpy(storage.address, input.data(), input.byte_size()));
  }
  // Results by storage: several outputs may show the same one.
  std::vector<Tensor> outputs(results_.size());
  std::vector<std::pair<int, Buffer>> buffers;
  for (size_t r = 0; r < results_.size(); ++r) {
    const Result& result = results_[r];
    if (result.copy) continue;
    const Buffer* buffer = nullptr;
    for (const auto& [storage, made] : buffers) {
      if (storage == result.place.storage) buffer = &made;
    }
    if (buffer == nullptr) {
      std::byte* writable = nullptr;
      buffers.emplace_back(result.place.storage, Buffer::Allocate(ByteSize(result.desc), &writable));
      addresses_[static_cast<size_t>(result.place.storage)] = writable;
      buffer = &buffers.back().second;
    }
    ASSIGN_OR_RETURN(outputs[r], Tensor::Create(result.desc, *buffer));
  }

  for (Step& step : steps_) {
    if (context.limit.cancelled()) return Annotate(context.limit.Check(step.title), step.title);
    for (size_t i = 0; i < step.inputs.size(); ++i) input_pointers_[i] = Address(step.inputs[i]);
    for (size_t i = 0; i < step.outputs.size(); ++i) {
      output_pointers_[i] = const_cast<std::byte*>(Address(step.outputs[i]));
    }
    const ThreadScope scope(step.threads);
    KernelContext kernel_context{context, arena_.data() + step.scratch_offset};
    RETURN_IF_ERROR_WITH(step.kernel->Run(input_pointers_.data(), output_pointers_.data(), kernel_context),
                         step.title);
  }

  for (size_t r = 0; r < results_.size(); ++r) {
    const Result& result = results_[r];
    if (!result.copy) continue;
    std::byte* writable = nullptr;
    outputs[r] = Tensor::Allocate(result.desc, &writable);
    if (outputs[r].byte_size() > 0) std::memcpy(writable, Address(result.place), outputs[r].byte_size());
  }
  return outputs;
}

std::vector<std::string> CpuExecutable::StepNames() const {
  std::vector<std::string> names;
  for (const Step& step : steps_) names.push_back(step.title);
  return names;
}

std::vector<int> CpuExecutable::StepThreads() const {
  std::vector<int> threads;
  for (const Step& step : steps_) threads.push_back(step.threads);
  return threads;
}

}  // namespace omserve::cpu
