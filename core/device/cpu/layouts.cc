#include "core/device/cpu/layouts.h"

#include <numeric>
#include <optional>

namespace omserve::cpu {
namespace {

// Values that must lie alike.
class Groups {
 public:
  explicit Groups(const std::vector<bool>& plain) : parent_(plain.size()), layout_(plain.size()) {
    std::iota(parent_.begin(), parent_.end(), 0);
    for (size_t v = 0; v < plain.size(); ++v) {
      if (plain[v]) layout_[v] = Layout::kPlain;
    }
  }

  void Want(int value, Layout layout) {
    std::optional<Layout>& wanted = layout_[Root(value)];
    wanted = !wanted || *wanted == layout ? layout : Layout::kPlain;
  }
  void Join(int a, int b) {
    const int from = Root(a), to = Root(b);
    if (from == to) return;
    parent_[from] = to;
    if (layout_[from]) Want(to, *layout_[from]);
  }
  Layout Of(int value) { return value < 0 ? Layout::kPlain : layout_[Root(value)].value_or(Layout::kPlain); }

 private:
  int Root(int value) {
    while (parent_[value] != value) value = parent_[value] = parent_[parent_[value]];
    return value;
  }

  std::vector<int> parent_;
  std::vector<std::optional<Layout>> layout_;  // of roots: none wanted yet, or the one that all want
};

}  // namespace

void ChooseLayouts(const std::vector<LayoutUse>& uses, std::vector<bool> plain) {
  Groups groups(plain);
  for (const LayoutUse& use : uses) {
    if (use.output >= 0) {
      if (const std::optional<Layout> layout = use.kernel->OutputLayout()) groups.Want(use.output, *layout);
    }
    for (size_t i = 0; i < use.inputs.size(); ++i) {
      if (use.inputs[i] < 0) continue;
      const std::optional<Layout> layout = use.kernel->InputLayout(static_cast<int>(i));
      if (layout) groups.Want(use.inputs[i], *layout);
      else if (use.output >= 0) groups.Join(use.inputs[i], use.output);
    }
  }
  for (const LayoutUse& use : uses) {
    std::vector<bool> inputs;
    bool any = groups.Of(use.output) != Layout::kPlain;
    const bool output = any;
    for (int value : use.inputs) {
      inputs.push_back(groups.Of(value) != Layout::kPlain);
      any = any || inputs.back();
    }
    if (any) use.kernel->KeepLayouts(inputs, output);
  }
}

}  // namespace omserve::cpu
