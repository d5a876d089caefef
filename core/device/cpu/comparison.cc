// Comparisons, logic and selection, with numpy broadcasting.
#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <type_traits>

#include "core/device/cpu/broadcast.h"
#include "core/device/cpu/dispatch.h"
#include "core/device/cpu/kernel.h"

namespace omserve::cpu {

namespace {

using Made = absl::StatusOr<std::unique_ptr<Kernel>>;

struct Equal {
  template <typename T>
  static uint8_t Apply(T a, T b) { return a == b; }
};
struct NotEqual {
  template <typename T>
  static uint8_t Apply(T a, T b) { return a != b; }
};
struct Less {
  template <typename T>
  static uint8_t Apply(T a, T b) { return a < b; }
};
struct LessEqual {
  template <typename T>
  static uint8_t Apply(T a, T b) { return a <= b; }
};
struct Greater {
  template <typename T>
  static uint8_t Apply(T a, T b) { return a > b; }
};
struct GreaterEqual {
  template <typename T>
  static uint8_t Apply(T a, T b) { return a >= b; }
};
struct And {
  template <typename T>
  static uint8_t Apply(T a, T b) { return a != 0 && b != 0; }
};
struct Or {
  template <typename T>
  static uint8_t Apply(T a, T b) { return a != 0 || b != 0; }
};
struct Xor {
  template <typename T>
  static uint8_t Apply(T a, T b) { return (a != 0) != (b != 0); }
};

template <typename Op, typename T>
class CompareKernel : public Kernel {
 public:
  explicit CompareKernel(const KernelRequest& request)
      : broadcast_(request.output_shape(), {&request.input_shape(0), &request.input_shape(1)}),
        threads_(request.threads) {}

  absl::Status Run(const void* const* inputs, void* const* outputs, KernelContext&) override {
    const T* a = static_cast<const T*>(inputs[0]);
    const T* b = static_cast<const T*>(inputs[1]);
    uint8_t* y = static_cast<uint8_t*>(outputs[0]);
    broadcast_.ForEachRow(threads_, [&](int64_t to, const std::array<int64_t, 2>& from, int64_t count) {
      const T* left = a + from[0];
      const T* right = b + from[1];
      uint8_t* result = y + to;
      const int64_t left_step = broadcast_.step(0), right_step = broadcast_.step(1);
      if (left_step == 1 && right_step == 0) {
        const T value = *right;
        for (int64_t i = 0; i < count; ++i) result[i] = Op::Apply(left[i], value);
      } else {
        for (int64_t i = 0; i < count; ++i) result[i] = Op::Apply(left[i * left_step], right[i * right_step]);
      }
    });
    return absl::OkStatus();
  }

 private:
  const Broadcast<2> broadcast_;
  const int threads_;
};

template <typename Op>
Made MakeCompare(const KernelRequest& request) {
  std::unique_ptr<Kernel> kernel;
  if (request.inputs[0].type == DataType::kBool) {
    kernel = std::make_unique<CompareKernel<Op, uint8_t>>(request);
  } else {
    DispatchNumeric(request.inputs[0].type, [&](auto tag) {
      kernel = std::make_unique<CompareKernel<Op, typename decltype(tag)::type>>(request);
    });
  }
  if (kernel == nullptr) return request.UnsupportedType(0);
  return kernel;
}

template <typename Op>
Made MakeLogic(const KernelRequest& request) {
  if (request.inputs[0].type != DataType::kBool) return request.UnsupportedType(0);
  return std::make_unique<CompareKernel<Op, uint8_t>>(request);
}

struct BitAnd {
  template <typename T>
  static T Apply(T a, T b) { return static_cast<T>(a & b); }
};
struct BitOr {
  template <typename T>
  static T Apply(T a, T b) { return static_cast<T>(a | b); }
};
// Shifts by the width or more give what all smaller shifts tend to; negative amounts count as none.
struct ShiftLeft {
  template <typename T>
  static T Apply(T a, T b) {
    using U = std::make_unsigned_t<T>;
    if (b < 0) return a;
    return b >= static_cast<T>(8 * sizeof(T)) ? T{0} : static_cast<T>(static_cast<uint64_t>(static_cast<U>(a)) << b);
  }
};
struct ShiftRight {
  template <typename T>
  static T Apply(T a, T b) {
    if (b < 0) return a;
    return static_cast<T>(a >> std::min<T>(b, static_cast<T>(8 * sizeof(T) - 1)));
  }
};
struct BitXor {
  template <typename T>
  static T Apply(T a, T b) { return static_cast<T>(a ^ b); }
};

template <typename Op, typename U>
class BitwiseKernel : public Kernel {
 public:
  explicit BitwiseKernel(const KernelRequest& request)
      : broadcast_(request.output_shape(), {&request.input_shape(0), &request.input_shape(1)}),
        threads_(request.threads) {}

  absl::Status Run(const void* const* inputs, void* const* outputs, KernelContext&) override {
    const U* a = static_cast<const U*>(inputs[0]);
    const U* b = static_cast<const U*>(inputs[1]);
    U* y = static_cast<U*>(outputs[0]);
    broadcast_.ForEachRow(threads_, [&](int64_t to, const std::array<int64_t, 2>& from, int64_t count) {
      for (int64_t i = 0; i < count; ++i) {
        y[to + i] = Op::Apply(a[from[0] + i * broadcast_.step(0)], b[from[1] + i * broadcast_.step(1)]);
      }
    });
    return absl::OkStatus();
  }

 private:
  const Broadcast<2> broadcast_;
  const int threads_;
};

template <typename Op>
Made MakeShift(const KernelRequest& request) {
  std::unique_ptr<Kernel> kernel;
  Dispatch<int8_t, int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t>(
      request.inputs[0].type,
      [&](auto tag) { kernel = std::make_unique<BitwiseKernel<Op, typename decltype(tag)::type>>(request); });
  if (kernel == nullptr) return request.UnsupportedType(0);
  return kernel;
}

template <typename Op>
Made MakeBitwise(const KernelRequest& request) {
  const DataType type = request.inputs[0].type;
  std::unique_ptr<Kernel> kernel;
  if (type != DataType::kFloat && type != DataType::kDouble && type != DataType::kFloat16 &&
      type != DataType::kBfloat16) {
    DispatchSize(type, [&](auto tag) {
      kernel = std::make_unique<BitwiseKernel<Op, typename decltype(tag)::type>>(request);
    });
  }
  if (kernel == nullptr) return request.UnsupportedType(0);
  return kernel;
}

// condition ? a : b, on elements of any type of one size.
template <typename U>
class SelectKernel : public Kernel {
 public:
  SelectKernel(const KernelRequest& request, const Shape& condition)
      : broadcast_(request.output_shape(), {&condition, &request.input_shape(1), &request.input_shape(2)}),
        threads_(request.threads) {}

  absl::Status Run(const void* const* inputs, void* const* outputs, KernelContext&) override {
    const uint8_t* condition = static_cast<const uint8_t*>(inputs[0]);
    const U* a = static_cast<const U*>(inputs[1]);
    const U* b = static_cast<const U*>(inputs[2]);
    U* y = static_cast<U*>(outputs[0]);
    broadcast_.ForEachRow(threads_, [&](int64_t to, const std::array<int64_t, 3>& from, int64_t count) {
      const uint8_t* c = condition + from[0];
      const U* yes = a + from[1];
      const U* no = b + from[2];
      U* result = y + to;
      const int64_t c_step = broadcast_.step(0), yes_step = broadcast_.step(1), no_step = broadcast_.step(2);
      if (c_step == 1 && yes_step == 1 && no_step == 0) {
        const U value = *no;
        for (int64_t i = 0; i < count; ++i) result[i] = c[i] ? yes[i] : value;
      } else if (c_step == 1 && yes_step == 0 && no_step == 1) {
        const U value = *yes;
        for (int64_t i = 0; i < count; ++i) result[i] = c[i] ? value : no[i];
      } else {
        for (int64_t i = 0; i < count; ++i) result[i] = c[i * c_step] ? yes[i * yes_step] : no[i * no_step];
      }
    });
    return absl::OkStatus();
  }

 private:
  const Broadcast<3> broadcast_;
  const int threads_;
};

Made MakeSelect(const KernelRequest& request) {
  if (request.inputs[0].type != DataType::kBool) return request.UnsupportedType(0);
  Shape condition = request.input_shape(0);
  // Select (not V2): a condition of one dimension chooses rows.
  if (request.type() == "Select" && condition.size() == 1 && request.input_shape(1).size() > 1) {
    condition.resize(request.input_shape(1).size(), 1);
  }
  std::unique_ptr<Kernel> kernel;
  DispatchSize(request.inputs[1].type, [&](auto tag) {
    kernel = std::make_unique<SelectKernel<typename decltype(tag)::type>>(request, condition);
  });
  if (kernel == nullptr) return request.UnsupportedType(1);
  return kernel;
}

// MaskedFill: mask ? value : x; the mask broadcasts.
template <typename U>
class MaskedFillKernel : public Kernel {
 public:
  explicit MaskedFillKernel(const KernelRequest& request)
      : broadcast_(request.output_shape(),
                   {&request.input_shape(0), &request.input_shape(1), &request.input_shape(2)}),
        threads_(request.threads),
        whole_(request.input_shape(0) == request.output_shape()) {}

  absl::Status Run(const void* const* inputs, void* const* outputs, KernelContext&) override {
    const U* x = static_cast<const U*>(inputs[0]);
    const uint8_t* mask = static_cast<const uint8_t*>(inputs[1]);
    const U* value = static_cast<const U*>(inputs[2]);
    U* y = static_cast<U*>(outputs[0]);
    broadcast_.ForEachRow(threads_, [&](int64_t to, const std::array<int64_t, 3>& from, int64_t count) {
      for (int64_t i = 0; i < count; ++i) {
        y[to + i] = mask[from[1] + i * broadcast_.step(1)] ? value[from[2] + i * broadcast_.step(2)]
                                                           : x[from[0] + i * broadcast_.step(0)];
      }
    });
    return absl::OkStatus();
  }
  bool MayOverwrite(int input) const override { return input == 0 && whole_; }

 private:
  const Broadcast<3> broadcast_;
  const int threads_;
  const bool whole_;
};

Made MakeMaskedFill(const KernelRequest& request) {
  if (request.inputs[1].type != DataType::kBool) return request.UnsupportedType(1);
  std::unique_ptr<Kernel> kernel;
  DispatchSize(request.inputs[0].type, [&](auto tag) {
    kernel = std::make_unique<MaskedFillKernel<typename decltype(tag)::type>>(request);
  });
  if (kernel == nullptr) return request.UnsupportedType(0);
  return kernel;
}

}  // namespace

void AddComparisonKernels(KernelTable& table) {
  table.Add({"Equal"}, MakeCompare<Equal>);
  table.Add({"NotEqual"}, MakeCompare<NotEqual>);
  table.Add({"Less"}, MakeCompare<Less>);
  table.Add({"LessEqual"}, MakeCompare<LessEqual>);
  table.Add({"Greater"}, MakeCompare<Greater>);
  table.Add({"GreaterEqual"}, MakeCompare<GreaterEqual>);
  table.Add({"LogicalAnd"}, MakeLogic<And>);
  table.Add({"LogicalOr"}, MakeLogic<Or>);
  table.Add({"LogicalXor"}, MakeLogic<Xor>);
  table.Add({"BitwiseAnd"}, MakeBitwise<BitAnd>);
  table.Add({"BitwiseOr"}, MakeBitwise<BitOr>);
  table.Add({"BitwiseXor"}, MakeBitwise<BitXor>);
  table.Add({"LeftShift"}, MakeShift<ShiftLeft>);
  table.Add({"RightShift"}, MakeShift<ShiftRight>);
  table.Add({"SelectV2", "Select"}, MakeSelect);
  table.Add({"MaskedFill"}, MakeMaskedFill);
}

}  // namespace omserve::cpu
