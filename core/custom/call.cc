#include "core/custom/call.h"

#include <cstring>
#include <variant>

#include "absl/strings/str_cat.h"
#include "core/base/status.h"

namespace omserve {
namespace {

// Larger than any tensor; keeps products of what packages say out of trouble (CheckDesc in core/ops has the same).
constexpr int64_t kMaxDim = int64_t{1} << 40;

omserve_tensor Describe(const TensorDesc& desc) {
  omserve_tensor tensor = {};
  tensor.type = ToAclNumber(desc.type);
  tensor.rank = static_cast<int32_t>(desc.shape.size());
  for (size_t d = 0; d < desc.shape.size(); ++d) tensor.dims[d] = desc.shape[d];
  return tensor;
}

omserve_tensor Absent() { return Describe({DataType::kUndefined, {}}); }

// Model files may hold elements at any address.
Tensor Aligned(Tensor value) {
  const size_t size = SizeOf(value.type());
  if (size == 0 || reinterpret_cast<uintptr_t>(value.data()) % size == 0) return value;
  std::byte* data = nullptr;
  Tensor copy = Tensor::Allocate(value.desc(), &data);
  std::memcpy(data, value.data(), value.byte_size());
  return copy;
}

void SetValue(const AttrValue& value, omserve_attr& attr) {
  if (const auto* i = std::get_if<int64_t>(&value)) {
    attr.kind = OMSERVE_ATTR_INT;
    attr.i = *i;
  } else if (const auto* f = std::get_if<float>(&value)) {
    attr.kind = OMSERVE_ATTR_FLOAT;
    attr.f = *f;
  } else if (const auto* b = std::get_if<bool>(&value)) {
    attr.kind = OMSERVE_ATTR_BOOL;
    attr.i = *b ? 1 : 0;
  } else if (const auto* s = std::get_if<std::string>(&value)) {
    attr.kind = OMSERVE_ATTR_STRING;
    attr.s = s->c_str();
    attr.count = static_cast<int64_t>(s->size());
  } else if (const auto* ints = std::get_if<std::vector<int64_t>>(&value)) {
    attr.kind = OMSERVE_ATTR_INTS;
    attr.ints = ints->data();
    attr.count = static_cast<int64_t>(ints->size());
  } else if (const auto* floats = std::get_if<std::vector<float>>(&value)) {
    attr.kind = OMSERVE_ATTR_FLOATS;
    attr.floats = floats->data();
    attr.count = static_cast<int64_t>(floats->size());
  }
}

}  // namespace

CustomCall::CustomCall(const NodeView& view, const OpDef& def, absl::Span<const TensorDesc> outputs) {
  for (int i = 0; i < view.num_inputs(); ++i) {
    inputs_.push_back(view.has_input(i) ? Describe(view.input(i)) : Absent());
    const InputDef* input = FindInputDef(def, view.num_inputs(), i);
    const bool parameter = input != nullptr && (input->kind == InputKind::kParameter ||
                                                input->kind == InputKind::kOptionalParameter);
    const TensorSlice* constant = parameter ? view.constant(i) : nullptr;
    if (constant == nullptr) continue;
    values_.push_back(Aligned(constant->Materialize()));
    inputs_.back().data = const_cast<std::byte*>(values_.back().data());
  }
  for (const TensorDesc& output : outputs) outputs_.push_back(Describe(output));
  SetAttrs(view, def);
  Finish(view);
}

CustomCall::CustomCall(const NodeView& view, const OpDef& def, absl::Span<const TensorDesc> inputs,
                       absl::Span<const TensorDesc> outputs) {
  for (const TensorDesc& input : inputs) inputs_.push_back(Describe(input));
  for (const TensorDesc& output : outputs) outputs_.push_back(Describe(output));
  SetAttrs(view, def);
  Finish(view);
}

void CustomCall::SetAttrs(const NodeView& view, const OpDef& def) {
  for (const AttrDef& attr : def.attrs) {
    auto it = view.node().attrs().find(attr.name);
    attr_names_.push_back(attr.name);
    attr_values_.push_back(it == view.node().attrs().end() ? attr.fallback : it->second);
  }
  // All values are in place before they are pointed to.
  for (size_t i = 0; i < attr_values_.size(); ++i) {
    omserve_attr attr = {};
    attr.name = attr_names_[i].c_str();
    SetValue(attr_values_[i], attr);
    attrs_.push_back(attr);
  }
}

void CustomCall::Finish(const NodeView& view) {
  node_ = view.node().name();
  call_.node = node_.c_str();
  call_.num_inputs = static_cast<int32_t>(inputs_.size());
  call_.inputs = inputs_.data();
  call_.num_outputs = static_cast<int32_t>(outputs_.size());
  call_.outputs = outputs_.data();
  call_.num_attrs = static_cast<int32_t>(attrs_.size());
  call_.attrs = attrs_.data();
  call_.threads = 1;
  call_.error = error_.data();
  call_.error_size = error_.size();
}

absl::Status CustomCall::Run(const std::function<int(omserve_call*)>& function, absl::string_view what,
                             bool refusal) {
  error_[0] = '\0';
  const int code = function(&call_);
  if (code == 0) return absl::OkStatus();
  const std::string reason(error_.data(), ::strnlen(error_.data(), error_.size()));
  const std::string message = absl::StrCat(what, ": ", reason.empty() ? absl::StrCat("it answered ", code) : reason);
  return refusal ? absl::InvalidArgumentError(message) : absl::InternalError(message);
}

absl::StatusOr<std::vector<TensorDesc>> CustomCall::Outputs() const {
  std::vector<TensorDesc> descs;
  for (size_t i = 0; i < outputs_.size(); ++i) {
    const omserve_tensor& output = outputs_[i];
    const std::string what = absl::StrCat("output ", i);
    ASSIGN_OR_RETURN_WITH(const DataType type, DataTypeFromAclNumber(output.type), what);
    if (SizeOf(type) == 0) {
      return absl::InvalidArgumentError(absl::StrCat(what, " was given no type that has elements (", output.type, ")"));
    }
    if (output.rank < 0 || output.rank > kMaxRank) {
      return absl::InvalidArgumentError(
          absl::StrCat(what, " was given ", output.rank, " dimensions; there must be 0 to ", kMaxRank));
    }
    Shape shape(output.dims, output.dims + output.rank);
    for (int64_t dim : shape) {
      if (dim < kUnknownDim || dim > kMaxDim) {
        return absl::InvalidArgumentError(absl::StrCat(what, " was given a dimension of ", dim, "; it must be in [0, ",
                                                       kMaxDim, "], or -1 for unknown"));
      }
    }
    descs.push_back({type, std::move(shape)});
  }
  return descs;
}

}  // namespace omserve
