// CpuEvaluator: one node on constants.
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "core/base/status.h"
#include "core/device/cpu/cpu_device.h"
#include "core/device/cpu/kernel.h"
#include "core/device/cpu/parallel.h"

namespace omserve {

namespace {

Tensor Aligned(const Tensor& tensor) {
  const size_t element = std::max<size_t>(1, SizeOf(tensor.type()));
  if (reinterpret_cast<uintptr_t>(tensor.data()) % element == 0) return tensor;
  return *Tensor::Create(tensor.desc(), Buffer::CopyOf(tensor.data(), tensor.byte_size()));
}

int64_t CountNonZero(const Tensor& tensor) {
  // An element is zero when its bytes are, but for the sign of a floating zero.
  const size_t size = SizeOf(tensor.type());
  int64_t count = 0;
  for (int64_t i = 0; i < tensor.num_elements(); ++i) {
    const std::byte* element = tensor.data() + static_cast<size_t>(i) * size;
    bool zero = true;
    for (size_t b = 0; b < size; ++b) {
      const bool sign_byte = b == size - 1 && (tensor.type() == DataType::kFloat || tensor.type() == DataType::kDouble);
      zero = zero && (sign_byte ? element[b] & std::byte{0x7f} : element[b]) == std::byte{0};
    }
    count += zero ? 0 : 1;
  }
  return count;
}

// Fills in the number of elements found, which only the value tells.
void CompleteOutputs(const Node& node, const std::vector<Tensor>& inputs, std::vector<TensorDesc>& outputs) {
  if (!(node.is("NonZero") || node.is("Where")) || inputs.empty() || outputs.empty()) return;
  for (int64_t& dim : outputs[0].shape) {
    if (dim == kUnknownDim) dim = CountNonZero(inputs[0]);
  }
}

}  // namespace

absl::StatusOr<std::vector<Tensor>> CpuEvaluator::Evaluate(const Graph& graph, const Node& node,
                                                           absl::Span<const Tensor> inputs) {
  if (static_cast<int>(inputs.size()) != node.num_inputs()) {
    return absl::InvalidArgumentError(absl::StrCat("node '", node.name(), "' has ", node.num_inputs(),
                                                   " inputs, got ", inputs.size()));
  }
  const std::string title = absl::StrCat("operator '", node.type(), "' (node '", node.name(), "')");
  cpu::KernelRequest request{.view = NodeView(graph, node), .once = true};
  request.outputs.assign(node.outputs().begin(), node.outputs().end());
  std::vector<Tensor> aligned(inputs.size());
  for (size_t i = 0; i < inputs.size(); ++i) {
    const bool present = node.input(static_cast<int>(i)).valid();
    if (present) aligned[i] = Aligned(inputs[i]);
    request.inputs.push_back(present ? aligned[i].desc() : TensorDesc{});
    request.constants.push_back(present ? &aligned[i] : nullptr);
  }
  CompleteOutputs(node, aligned, request.outputs);
  for (const TensorDesc& output : request.outputs) {
    if (!IsStatic(output.shape)) {
      return absl::FailedPreconditionError(absl::StrCat(title, ": output ", ToString(output), " is not inferred"));
    }
    RETURN_IF_ERROR_WITH(CheckedByteSize(output).status(), title);
  }

  cpu::ThreadScope scope(1);
  auto made = cpu::KernelTable::Get().Make(request);
  RETURN_IF_ERROR(made.status());
  cpu::Kernel& kernel = **made;
  RETURN_IF_ERROR_WITH(kernel.Prepare(), title);

  std::vector<const void*> input_pointers;
  for (const Tensor& tensor : aligned) input_pointers.push_back(tensor.data());
  std::vector<void*> output_pointers(request.outputs.size(), nullptr);
  std::vector<Tensor> outputs(request.outputs.size());
  bool runs = false;
  for (size_t i = 0; i < outputs.size(); ++i) {
    const TensorDesc& desc = request.outputs[i];
    if (const std::optional<cpu::View> view = kernel.ViewOf(static_cast<int>(i))) {
      const Buffer& source = aligned[static_cast<size_t>(view->input)].buffer();
      ASSIGN_OR_RETURN(outputs[i], Tensor::Create(desc, source.Slice(view->offset, ByteSize(desc))));
      continue;
    }
    runs = true;
    std::byte* writable = nullptr;
    outputs[i] = Tensor::Allocate(desc, &writable);
    output_pointers[i] = writable;
  }
  if (runs) {
    std::byte* scratch = nullptr;
    const Buffer scratch_buffer = Buffer::Allocate(kernel.scratch_bytes(), &scratch);
    const RunContext run;
    cpu::KernelContext context{run, scratch};
    RETURN_IF_ERROR_WITH(kernel.Run(input_pointers.data(), output_pointers.data(), context), title);
  }
  return outputs;
}

}  // namespace omserve
