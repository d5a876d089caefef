// Kernel: the code of one node on the CPU, made once for its static shapes. Each operator family registers its
// factories from one file (matmul.cc, elementwise_binary.cc, …); a factory may choose between implementations by
// shape, type or instruction set, so an own kernel can stand in for a library's.
#ifndef OMSERVE_CORE_DEVICE_CPU_KERNEL_H_
#define OMSERVE_CORE_DEVICE_CPU_KERNEL_H_

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "core/device/device.h"
#include "core/ops/op.h"

namespace omserve::cpu {

// What a kernel may use while it runs.
struct KernelContext {
  const RunContext& run;
  std::byte* scratch;  // scratch_bytes() of 64-byte aligned memory, contents undefined
};

// An output that is part of an input's bytes.
struct View {
  int input = 0;
  size_t offset = 0;  // bytes
};

// The order of a tensor's elements in memory: row-major (NCHW), channels last (NHWC), or channels in blocks of 8 or 16 (NCHW16c).
enum class Layout { kPlain, kChannelsLast, kBlocks8, kBlocks16 };

// Lives in one executable; Run is called from one thread at a time. Life: a factory makes it (all shape work, no large
// memory), Prepare packs weights, then any number of Runs.
class Kernel {
 public:
  virtual ~Kernel() = default;

  // Packs constants. Called once, after the memory it needs (weight_bytes) has been granted.
  virtual absl::Status Prepare() { return absl::OkStatus(); }

  // Pointers are dense data of the described tensors, row-major but where KeepLayouts says otherwise, aligned to their element; null for absent inputs and
  // for those ReadsInput refuses. Outputs do not overlap inputs but where MayOverwrite allows it. Allocates nothing.
  virtual absl::Status Run(const void* const* inputs, void* const* outputs, KernelContext& context) = 0;

  virtual size_t scratch_bytes() const { return 0; }
  // Own copies of constants, made by Prepare.
  virtual size_t weight_bytes() const { return 0; }
  // False when a (constant) input was taken over at creation: its bytes are not needed in Run.
  virtual bool ReadsInput(int input) const { return true; }
  // True when output 0 may be written to the memory of this input, which has as many bytes.
  virtual bool MayOverwrite(int input) const { return false; }
  // The layout in which an input is taken, or output 0 given, without a change around the kernel; none: that of output 0,
  // or of the inputs, whatever it is. Others than kPlain only where every element has a place and no more (full blocks).
  virtual std::optional<Layout> InputLayout(int input) const { return Layout::kPlain; }
  virtual std::optional<Layout> OutputLayout() const { return Layout::kPlain; }
  // Called once, before scratch_bytes, if any of them is to lie in that layout (see layouts.h); else all are row-major.
  virtual void KeepLayouts(const std::vector<bool>& inputs, bool output) {}
  // Set when the output merely shows an input's bytes. If all outputs are views, Run is never called.
  virtual std::optional<View> ViewOf(int output) const { return std::nullopt; }
};

// A node to make a kernel for. Descriptions are static and have been inferred from each other (ops/), so factories
// may rely on the operator's shape rules; they check what the device restricts further.
struct KernelRequest {
  NodeView view;  // type, name, attributes; shapes are read below
  std::vector<TensorDesc> inputs;  // type kUndefined where absent
  std::vector<TensorDesc> outputs;
  std::vector<const Tensor*> constants;  // dense, aligned; null where not constant. They outlive the kernel's creation
                                         // only if it reads that input.
  int threads = 1;
  bool once = false;  // run once on small tensors (constant folding): packing weights does not pay

  const std::string& type() const { return view.node().type(); }
  int num_inputs() const { return static_cast<int>(inputs.size()); }
  bool has_input(int i) const { return i < num_inputs() && inputs[i].type != DataType::kUndefined; }
  const Shape& input_shape(int i) const { return inputs[i].shape; }
  const Shape& output_shape(int i = 0) const { return outputs[i].shape; }
  const Tensor* constant(int i) const { return i < num_inputs() ? constants[i] : nullptr; }
  // Elements of a constant int32/int64 input. FAILED_PRECONDITION when it is not constant.
  absl::StatusOr<std::vector<int64_t>> ConstantInts(int i) const;
  template <typename T>
  T Attr(const std::string& name) const {
    return view.Attr<T>(name);
  }
  // UNIMPLEMENTED "operator 'Foo' (node 'bar'): no CPU kernel for <what>".
  absl::Status Unsupported(absl::string_view what) const;
  // The same for the type of an input.
  absl::Status UnsupportedType(int input) const;
};

// Layouts of kernels that do the same to every element: what has the output's shape lies as it does, one element lies anyhow.
// Where other shapes are spread over the output, all is row-major.
class ElementwiseLayouts {
 public:
  explicit ElementwiseLayouts(const KernelRequest& request);
  std::optional<Layout> Input(int input) const { return Is(input) ? std::nullopt : std::optional(Layout::kPlain); }
  std::optional<Layout> Output() const { return any_ ? std::nullopt : std::optional(Layout::kPlain); }

 private:
  bool Is(int input) const { return any_ && whole_[static_cast<size_t>(input)]; }
  bool any_ = true;
  std::vector<bool> whole_;
};

using KernelFactory = absl::StatusOr<std::unique_ptr<Kernel>> (*)(const KernelRequest&);

// Factories by operator type, immutable once made.
class KernelTable {
 public:
  static const KernelTable& Get();

  // UNIMPLEMENTED for an operator without kernel; else what the factory returns.
  absl::StatusOr<std::unique_ptr<Kernel>> Make(const KernelRequest& request) const;
  bool Has(absl::string_view type) const { return factories_.contains(type); }

  // Called by the families while the table is made.
  void Add(std::initializer_list<absl::string_view> types, KernelFactory factory);

 private:
  absl::flat_hash_map<std::string, KernelFactory> factories_;
};

// A node whose only output has the bytes of `input`, from `offset` on.
std::unique_ptr<Kernel> MakeView(int input, size_t offset = 0);

// The families, one file each.
void AddMatMulKernels(KernelTable& table);
void AddEinsumKernels(KernelTable& table);
void AddConvolutionKernels(KernelTable& table);
void AddPoolingKernels(KernelTable& table);
void AddResizeKernels(KernelTable& table);
void AddElementwiseBinaryKernels(KernelTable& table);
void AddElementwiseUnaryKernels(KernelTable& table);
void AddComparisonKernels(KernelTable& table);
void AddCastKernels(KernelTable& table);
void AddActivationKernels(KernelTable& table);
void AddNormalizationKernels(KernelTable& table);
void AddSoftmaxKernels(KernelTable& table);
void AddReductionKernels(KernelTable& table);
void AddSearchKernels(KernelTable& table);
void AddDataMovementKernels(KernelTable& table);
void AddGatherScatterKernels(KernelTable& table);
void AddShapeKernels(KernelTable& table);
void AddCollectiveKernels(KernelTable& table);

}  // namespace omserve::cpu

#endif  // OMSERVE_CORE_DEVICE_CPU_KERNEL_H_
