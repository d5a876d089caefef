// CustomCall: one node in the form that the functions of a package take, with all the memory that form points to.
#ifndef OMSERVE_CORE_CUSTOM_CALL_H_
#define OMSERVE_CORE_CUSTOM_CALL_H_

#include <array>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "core/custom/include/omserve/custom_op.h"
#include "core/ops/op.h"

namespace omserve {

// Not thread-safe, not movable (it points into itself).
class CustomCall {
 public:
  // Inputs and attributes are the node's; constant parameters have their values. `outputs`: those of the node, or as
  // many empty ones where it is yet to be inferred.
  CustomCall(const NodeView& view, const OpDef& def, absl::Span<const TensorDesc> outputs);
  // The same with inputs (kUndefined: absent) that are described apart from the graph, without values.
  CustomCall(const NodeView& view, const OpDef& def, absl::Span<const TensorDesc> inputs,
             absl::Span<const TensorDesc> outputs);
  CustomCall(const CustomCall&) = delete;
  CustomCall& operator=(const CustomCall&) = delete;

  omserve_call& raw() { return call_; }
  omserve_tensor& input(int i) { return inputs_[i]; }
  omserve_tensor& output(int i) { return outputs_[i]; }

  // Calls `function`; INTERNAL with the package's words when it does not return 0, INVALID_ARGUMENT when `refusal` (the
  // package may find the node wrong).
  absl::Status Run(const std::function<int(omserve_call*)>& function, absl::string_view what, bool refusal = false);

  // What `infer` wrote; INVALID_ARGUMENT for a rank, type or dimension that cannot be.
  absl::StatusOr<std::vector<TensorDesc>> Outputs() const;

 private:
  void SetAttrs(const NodeView& view, const OpDef& def);
  void Finish(const NodeView& view);

  std::string node_;
  std::vector<Tensor> values_;  // of parameters
  std::vector<AttrValue> attr_values_;
  std::vector<std::string> attr_names_;
  std::vector<omserve_tensor> inputs_;
  std::vector<omserve_tensor> outputs_;
  std::vector<omserve_attr> attrs_;
  std::array<char, 512> error_;
  omserve_call call_ = {};
};

}  // namespace omserve

#endif  // OMSERVE_CORE_CUSTOM_CALL_H_
