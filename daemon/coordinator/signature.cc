#include "daemon/coordinator/signature.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace omserve {
namespace {

// "'ids' int64[1,128], 'mask' int64[1,128]"
std::string Describe(const std::vector<NamedDesc>& tensors) {
  return absl::StrJoin(tensors, ", ", [](std::string* out, const NamedDesc& tensor) {
    absl::StrAppend(out, "'", tensor.name, "' ", ToString(tensor.desc));
  });
}

// Names come from outside: no control characters into messages, and not without end.
std::string Shown(absl::string_view name) { return absl::Utf8SafeCEscape(name.substr(0, 128)); }

int IndexOf(const std::vector<NamedDesc>& tensors, const std::string& name) {
  auto it = std::find_if(tensors.begin(), tensors.end(), [&](const NamedDesc& tensor) { return tensor.name == name; });
  return it == tensors.end() ? -1 : static_cast<int>(it - tensors.begin());
}

}  // namespace

absl::StatusOr<std::vector<Tensor>> BindInputs(const ModelInfo& model, std::vector<NamedTensor> inputs) {
  const std::vector<NamedDesc> wanted = model.request_inputs();
  std::vector<Tensor> bound(wanted.size());
  std::vector<bool> given(wanted.size());
  for (NamedTensor& input : inputs) {
    const int index = IndexOf(wanted, input.name);
    if (index < 0) {
      return absl::InvalidArgumentError(absl::StrCat("model '", model.name, "' has no input '", Shown(input.name),
                                                     "'; it takes ", Describe(wanted)));
    }
    if (given[index]) {
      return absl::InvalidArgumentError(absl::StrCat("input '", input.name, "' is given twice"));
    }
    const TensorDesc& expected = wanted[index].desc;
    if (input.tensor.desc() != expected) {
      return absl::InvalidArgumentError(absl::StrCat("input '", input.name, "' is ", ToString(input.tensor.desc()),
                                                     "; expected ", ToString(expected)));
    }
    given[index] = true;
    bound[index] = std::move(input.tensor);
  }
  for (size_t i = 0; i < given.size(); ++i) {
    if (!given[i]) {
      return absl::InvalidArgumentError(absl::StrCat("input '", wanted[i].name, "' is missing; the model takes ",
                                                     Describe(wanted)));
    }
  }
  return bound;
}

absl::StatusOr<std::vector<int>> BindOutputs(const ModelInfo& model, const std::vector<std::string>& outputs) {
  std::vector<int> wanted;
  if (outputs.empty()) {
    wanted.resize(model.outputs.size());
    std::iota(wanted.begin(), wanted.end(), 0);
    return wanted;
  }
  for (const std::string& name : outputs) {
    const int index = IndexOf(model.outputs, name);
    if (index < 0) {
      return absl::InvalidArgumentError(absl::StrCat("model '", model.name, "' has no output '", Shown(name),
                                                     "'; it gives ", Describe(model.outputs)));
    }
    if (std::find(wanted.begin(), wanted.end(), index) != wanted.end()) {
      return absl::InvalidArgumentError(absl::StrCat("output '", name, "' is asked for twice"));
    }
    wanted.push_back(index);
  }
  return wanted;
}

}  // namespace omserve
