#include "graph/operator.h"

#include <algorithm>
#include <atomic>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "graph/operator_factory.h"
#include "messages.h"
#include "operator_impl.h"

namespace ge {
namespace {

int64_t NextSequence() {
  static std::atomic<int64_t> next{0};
  return next++;
}

template <typename Items>
std::string Names(const Items& items) {
  return absl::StrJoin(items, ", ", [](std::string* out, const auto& item) { out->append(item.name); });
}

}  // namespace

OperatorImpl::OperatorImpl(std::string op_name, std::string op_type)
    : name(std::move(op_name)), type(std::move(op_type)), sequence(NextSequence()) {
  if (name.empty()) name = absl::StrCat(type, "_", sequence);
}

std::string OperatorImpl::Title() const { return absl::StrCat("operator '", name, "' (", type, ")"); }

Slot* OperatorImpl::Find(std::vector<Slot>& slots, const std::vector<Port>& ports, const std::string& name) {
  for (Slot& slot : slots) {
    if (slot.name == name) return &slot;
  }
  Slot* only = nullptr;
  for (Slot& slot : slots) {
    if (ports[slot.port].name != name) continue;
    if (only != nullptr) return nullptr;
    only = &slot;
  }
  return only;
}

void OperatorImpl::AddPort(std::vector<Port>& ports, std::vector<Slot>& slots, const std::string& port, PortKind kind,
                           uint32_t count) {
  auto known = std::find_if(ports.begin(), ports.end(), [&](const Port& item) { return item.name == port; });
  const size_t index = static_cast<size_t>(known - ports.begin());
  if (known == ports.end()) ports.push_back({port, kind});
  if (kind != PortKind::kDynamic) {
    if (index + 1 == ports.size() && (slots.empty() || slots.back().port != index)) slots.push_back({port, index});
    return;
  }
  // The tensors of a dynamic port stand together, where the prototype has the port.
  size_t have = 0;
  size_t at = 0;
  for (size_t i = 0; i < slots.size(); ++i) {
    if (slots[i].port == index) ++have;
    if (slots[i].port <= index) at = i + 1;
  }
  for (uint32_t i = 0; i < count; ++i) {
    slots.insert(slots.begin() + static_cast<std::ptrdiff_t>(at + i), Slot{absl::StrCat(port, have + i), index});
  }
}

int OperatorImpl::CountOf(const std::vector<Port>& ports, const std::vector<Slot>& slots, const std::string& port) const {
  return static_cast<int>(
      std::count_if(slots.begin(), slots.end(), [&](const Slot& slot) { return ports[slot.port].name == port; }));
}

const AttrValue* OperatorImpl::FindAttr(const std::string& attr) const {
  for (const auto* map : {&attrs, &defaults}) {
    auto it = map->find(attr);
    if (it != map->end()) return &it->second;
  }
  return nullptr;
}

const Tensor* OperatorImpl::ConstantValue() const {
  if (type != "Const" && type != "Constant") return nullptr;
  const AttrValue* value = FindAttr("value");
  return value == nullptr || value->data() == nullptr ? nullptr : std::get_if<Tensor>(&value->data()->value);
}

TensorDesc OperatorImpl::OutputDesc(size_t index) const {
  const Tensor* constant = ConstantValue();
  return constant != nullptr ? constant->GetTensorDesc() : outputs[index].desc;
}

namespace {

// Whether `op` reads `target`, directly or through others.
bool Reads(const OperatorImpl* op, const OperatorImpl* target) {
  std::vector<const OperatorImpl*> waiting = {op};
  std::set<const OperatorImpl*> seen;
  while (!waiting.empty()) {
    const OperatorImpl* next = waiting.back();
    waiting.pop_back();
    if (next == target) return true;
    if (!seen.insert(next).second) continue;
    for (const Slot& slot : next->inputs) {
      if (slot.source != nullptr) waiting.push_back(slot.source.get());
    }
    for (const auto& control : next->controls) waiting.push_back(control.get());
  }
  return false;
}

// An operator that nobody reads yet, the usual case while a graph is made, cannot close a cycle but with itself.
bool ClosesCycle(const OperatorImpl& op, const OperatorImpl& source) {
  return &op == &source || (!op.readers.empty() && Reads(&source, &op));
}

}  // namespace

bool Connect(const std::shared_ptr<OperatorImpl>& op, Slot& slot, const std::shared_ptr<OperatorImpl>& source,
             uint32_t index) {
  if (ClosesCycle(*op, *source)) return false;
  slot.source = source;
  slot.source_index = index;
  source->readers.push_back(op);
  return true;
}

bool ConnectControl(const std::shared_ptr<OperatorImpl>& op, const std::shared_ptr<OperatorImpl>& source) {
  if (ClosesCycle(*op, *source)) return false;
  op->controls.push_back(source);
  source->readers.push_back(op);
  return true;
}

Operator::Operator(const std::string& type) : Operator(std::string(), type) {}
Operator::Operator(const std::string& name, const std::string& type)
    : impl_(std::make_shared<OperatorImpl>(name, type)) {}

std::string Operator::GetName() const { return IsEmpty() ? "" : impl_->name; }

graphStatus Operator::GetName(AscendString& name) const {
  if (IsEmpty()) return GRAPH_FAILED;
  name = AscendString(impl_->name.data(), impl_->name.size());
  return GRAPH_SUCCESS;
}

std::string Operator::GetOpType() const { return IsEmpty() ? "" : impl_->type; }

graphStatus Operator::GetOpType(AscendString& type) const {
  if (IsEmpty()) return GRAPH_FAILED;
  type = AscendString(impl_->type.data(), impl_->type.size());
  return GRAPH_SUCCESS;
}

namespace {

void Wire(const std::shared_ptr<OperatorImpl>& op, const std::string& port, Slot* slot, const Operator& source_op,
          const uint32_t* index, const std::string* source_port) {
  if (op == nullptr) return;
  const std::shared_ptr<OperatorImpl>& source = OperatorAccess::Of(source_op);
  if (slot == nullptr) {
    op->errors.push_back(absl::StrCat(op->Title(), " has no input '", port, "'; it has (", Names(op->inputs), ")"));
    return;
  }
  if (source == nullptr) {
    op->errors.push_back(absl::StrCat(op->Title(), ", input '", port, "': the source is an empty operator"));
    return;
  }
  uint32_t from = index == nullptr ? 0 : *index;
  if (source_port != nullptr && !source_port->empty()) {
    const Slot* output = source->FindOutput(*source_port);
    if (output == nullptr) {
      op->errors.push_back(absl::StrCat(op->Title(), ", input '", port, "': ", source->Title(), " has no output '",
                                        *source_port, "'; it has (", Names(source->outputs), ")"));
      return;
    }
    from = static_cast<uint32_t>(output - source->outputs.data());
  }
  if (from >= source->outputs.size()) {
    op->errors.push_back(absl::StrCat(op->Title(), ", input '", port, "': ", source->Title(), " has ",
                                      source->outputs.size(), " outputs, none with index ", from));
    return;
  }
  if (!Connect(op, *slot, source, from)) {
    op->errors.push_back(absl::StrCat(op->Title(), ", input '", port, "': reading ", source->Title(), " closes a cycle"));
  }
}

}  // namespace

Operator& Operator::SetInput(const std::string& port, const Operator& source) {
  Wire(impl_, port, IsEmpty() ? nullptr : impl_->FindInput(port), source, nullptr, nullptr);
  return *this;
}

Operator& Operator::SetInput(const std::string& port, const Operator& source, const std::string& source_port) {
  Wire(impl_, port, IsEmpty() ? nullptr : impl_->FindInput(port), source, nullptr, &source_port);
  return *this;
}

Operator& Operator::SetInput(const std::string& port, const Operator& source, uint32_t source_index) {
  Wire(impl_, port, IsEmpty() ? nullptr : impl_->FindInput(port), source, &source_index, nullptr);
  return *this;
}

Operator& Operator::SetInput(uint32_t index, const Operator& source, uint32_t source_index) {
  Slot* slot = IsEmpty() || index >= impl_->inputs.size() ? nullptr : &impl_->inputs[index];
  Wire(impl_, absl::StrCat(index), slot, source, &source_index, nullptr);
  return *this;
}

Operator& Operator::SetInput(const char_t* port, uint32_t index, const Operator& source, const char_t* source_port) {
  const std::string name = absl::StrCat(port == nullptr ? "" : port, index);
  const std::string from = source_port == nullptr ? "" : source_port;
  Wire(impl_, name, IsEmpty() ? nullptr : impl_->FindInput(name), source, nullptr, &from);
  return *this;
}

Operator& Operator::AddControlInput(const Operator& source) {
  if (!IsEmpty() && !source.IsEmpty() && !ConnectControl(impl_, source.impl_)) {
    impl_->errors.push_back(absl::StrCat(impl_->Title(), ": running after ", source.impl_->Title(), " closes a cycle"));
  }
  return *this;
}

namespace {

graphStatus Describe(Slot* slot, const TensorDesc& desc) {
  if (slot == nullptr) return GRAPH_FAILED;
  slot->desc = desc;
  slot->described = true;
  return GRAPH_SUCCESS;
}

// What an input is: as described, or as its source is.
TensorDesc DescOf(const Slot& slot) {
  if (slot.described || slot.source == nullptr) return slot.desc;
  return slot.source->OutputDesc(slot.source_index);
}

}  // namespace

graphStatus Operator::UpdateInputDesc(const std::string& port, const TensorDesc& desc) {
  return IsEmpty() ? GRAPH_FAILED : Describe(impl_->FindInput(port), desc);
}

graphStatus Operator::UpdateInputDesc(uint32_t index, const TensorDesc& desc) {
  return IsEmpty() || index >= impl_->inputs.size() ? GRAPH_FAILED : Describe(&impl_->inputs[index], desc);
}

graphStatus Operator::UpdateOutputDesc(const std::string& port, const TensorDesc& desc) {
  return IsEmpty() ? GRAPH_FAILED : Describe(impl_->FindOutput(port), desc);
}

graphStatus Operator::UpdateOutputDesc(uint32_t index, const TensorDesc& desc) {
  return IsEmpty() || index >= impl_->outputs.size() ? GRAPH_FAILED : Describe(&impl_->outputs[index], desc);
}

TensorDesc Operator::GetInputDesc(const std::string& port) const {
  const Slot* slot = IsEmpty() ? nullptr : impl_->FindInput(port);
  return slot == nullptr ? TensorDesc() : DescOf(*slot);
}

TensorDesc Operator::GetInputDesc(uint32_t index) const {
  return IsEmpty() || index >= impl_->inputs.size() ? TensorDesc() : DescOf(impl_->inputs[index]);
}

TensorDesc Operator::GetOutputDesc(const std::string& port) const {
  const Slot* slot = IsEmpty() ? nullptr : impl_->FindOutput(port);
  return slot == nullptr ? TensorDesc() : slot->desc;
}

TensorDesc Operator::GetOutputDesc(uint32_t index) const {
  return IsEmpty() || index >= impl_->outputs.size() ? TensorDesc() : impl_->outputs[index].desc;
}

graphStatus Operator::TryGetInputDesc(const std::string& port, TensorDesc& desc) const {
  const Slot* slot = IsEmpty() ? nullptr : impl_->FindInput(port);
  if (slot == nullptr || (!slot->described && slot->source == nullptr)) return GRAPH_FAILED;
  desc = DescOf(*slot);
  return GRAPH_SUCCESS;
}

graphStatus Operator::GetInputConstData(const char_t* port, Tensor& data) const {
  const Slot* slot = IsEmpty() || port == nullptr ? nullptr : impl_->FindInput(port);
  const Tensor* value = slot == nullptr || slot->source == nullptr ? nullptr : slot->source->ConstantValue();
  if (value == nullptr) return GRAPH_FAILED;
  data = *value;
  return GRAPH_SUCCESS;
}

size_t Operator::GetInputsSize() const { return IsEmpty() ? 0 : impl_->inputs.size(); }
size_t Operator::GetOutputsSize() const { return IsEmpty() ? 0 : impl_->outputs.size(); }

int Operator::GetDynamicInputNum(const std::string& port) const {
  return IsEmpty() ? 0 : impl_->CountOf(impl_->input_ports, impl_->inputs, port);
}

int Operator::GetDynamicOutputNum(const std::string& port) const {
  return IsEmpty() ? 0 : impl_->CountOf(impl_->output_ports, impl_->outputs, port);
}

#define OMSERVE_GE_DEFINE(Type)                                                     \
  Operator& Operator::SetAttr(const std::string& name, const Type& value) {         \
    if (!IsEmpty()) (void)impl_->attrs[name].SetValue(value);                       \
    return *this;                                                                   \
  }                                                                                 \
  graphStatus Operator::GetAttr(const std::string& name, Type& value) const {       \
    const AttrValue* attr = IsEmpty() ? nullptr : impl_->FindAttr(name);            \
    return attr == nullptr ? GRAPH_FAILED : attr->GetValue(value);                  \
  }
OMSERVE_GE_ATTR_TYPES(OMSERVE_GE_DEFINE)
#undef OMSERVE_GE_DEFINE

// Narrower kinds, through the wide one that GE IR holds.
#define OMSERVE_GE_DEFINE(Type, Wide)                                               \
  Operator& Operator::SetAttr(const std::string& name, const Type& value) {         \
    return SetAttr(name, static_cast<Wide>(value));                                 \
  }                                                                                 \
  graphStatus Operator::GetAttr(const std::string& name, Type& value) const {       \
    Wide wide{};                                                                    \
    if (GetAttr(name, wide) != GRAPH_SUCCESS) return GRAPH_FAILED;                  \
    value = static_cast<Type>(wide);                                                \
    return static_cast<Wide>(value) == wide ? GRAPH_SUCCESS : GRAPH_FAILED;         \
  }
OMSERVE_GE_DEFINE(int32_t, int64_t)
OMSERVE_GE_DEFINE(uint32_t, int64_t)
#undef OMSERVE_GE_DEFINE

#define OMSERVE_GE_DEFINE(Type)                                                                        \
  Operator& Operator::SetAttr(const std::string& name, const std::vector<Type>& value) {               \
    return SetAttr(name, std::vector<int64_t>(value.begin(), value.end()));                            \
  }                                                                                                    \
  graphStatus Operator::GetAttr(const std::string& name, std::vector<Type>& value) const {             \
    std::vector<int64_t> wide;                                                                         \
    if (GetAttr(name, wide) != GRAPH_SUCCESS) return GRAPH_FAILED;                                     \
    value.assign(wide.begin(), wide.end());                                                            \
    return std::equal(wide.begin(), wide.end(), value.begin(),                                         \
                      [](int64_t a, Type b) { return a == static_cast<int64_t>(b); })                  \
               ? GRAPH_SUCCESS                                                                         \
               : GRAPH_FAILED;                                                                         \
  }
OMSERVE_GE_DEFINE(int32_t)
OMSERVE_GE_DEFINE(uint32_t)
#undef OMSERVE_GE_DEFINE

Operator& Operator::SetAttr(const std::string& name, const AscendString& value) {
  return SetAttr(name, std::string(value.GetString(), value.GetLength()));
}

graphStatus Operator::GetAttr(const std::string& name, AscendString& value) const {
  const AttrValue* attr = IsEmpty() ? nullptr : impl_->FindAttr(name);
  return attr == nullptr ? GRAPH_FAILED : attr->GetValue(value);
}

Operator& Operator::SetAttr(const std::string& name, const std::vector<AscendString>& value) {
  std::vector<std::string> texts;
  for (const AscendString& text : value) texts.emplace_back(text.GetString(), text.GetLength());
  return SetAttr(name, texts);
}

graphStatus Operator::GetAttr(const std::string& name, std::vector<AscendString>& value) const {
  std::vector<std::string> texts;
  if (GetAttr(name, texts) != GRAPH_SUCCESS) return GRAPH_FAILED;
  value.clear();
  for (const std::string& text : texts) value.emplace_back(text.data(), text.size());
  return GRAPH_SUCCESS;
}

Operator& Operator::SetAttr(const std::string& name, const AttrValue& value) {
  if (!IsEmpty() && !value.IsEmpty()) impl_->attrs[name] = value;
  return *this;
}

graphStatus Operator::GetAttr(const std::string& name, AttrValue& value) const {
  const AttrValue* attr = IsEmpty() ? nullptr : impl_->FindAttr(name);
  if (attr == nullptr) return GRAPH_FAILED;
  value = *attr;
  return GRAPH_SUCCESS;
}

Operator& Operator::SetAttr(const std::string& name, const char_t* value) {
  return SetAttr(name, std::string(value == nullptr ? "" : value));
}

graphStatus Operator::GetAllAttrNamesAndTypes(std::map<AscendString, AscendString>& kinds) const {
  if (IsEmpty()) return GRAPH_FAILED;
  for (const auto* map : {&impl_->defaults, &impl_->attrs}) {
    for (const auto& [name, value] : *map) kinds[AscendString(name.c_str())] = AscendString(value.TypeName());
  }
  return GRAPH_SUCCESS;
}

graphStatus Operator::VerifyAllAttr(bool) {
  if (IsEmpty()) return GRAPH_FAILED;
  for (const Slot& slot : impl_->inputs) {
    if (slot.source == nullptr && impl_->input_ports[slot.port].kind == PortKind::kRequired && impl_->type != "Data") {
      return Report(GRAPH_FAILED, absl::InvalidArgumentError(absl::StrCat(impl_->Title(), ": input '", slot.name, "' is missing")));
    }
  }
  for (const std::string& name : impl_->required_attrs) {
    if (!impl_->attrs.contains(name)) {
      return Report(GRAPH_FAILED, absl::InvalidArgumentError(absl::StrCat(impl_->Title(), ": attribute '", name, "' is missing")));
    }
  }
  return GRAPH_SUCCESS;
}

graphStatus Operator::InferShapeAndType() {
  return Report(GRAPH_FAILED, absl::UnimplementedError("InferShapeAndType: shapes are inferred when the graph is built"));
}

void Operator::InputRegister(const char_t* port) {
  impl_->AddPort(impl_->input_ports, impl_->inputs, port, PortKind::kRequired, 1);
}
void Operator::OptionalInputRegister(const char_t* port) {
  impl_->AddPort(impl_->input_ports, impl_->inputs, port, PortKind::kOptional, 1);
}
void Operator::DynamicInputRegister(const char_t* port, uint32_t count) {
  impl_->AddPort(impl_->input_ports, impl_->inputs, port, PortKind::kDynamic, count);
}
void Operator::OutputRegister(const char_t* port) {
  impl_->AddPort(impl_->output_ports, impl_->outputs, port, PortKind::kRequired, 1);
}
void Operator::DynamicOutputRegister(const char_t* port, uint32_t count) {
  impl_->AddPort(impl_->output_ports, impl_->outputs, port, PortKind::kDynamic, count);
}
void Operator::RequiredAttrRegister(const char_t* name) { impl_->required_attrs.insert(name); }
void Operator::AttrRegister(const char_t* name, const AttrValue& fallback) { impl_->defaults[name] = fallback; }

}  // namespace ge
