// Operators of packages.
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/strings/str_cat.h"
#include "core/import/onnx/converter.h"

namespace omserve {
namespace {

// Reads an attribute as the kind that the schema's default has.
struct AttrReader {
  Conversion& c;
  const std::string& name;

  AttrValue operator()(int64_t) const { return c.Int(name, 0); }
  AttrValue operator()(float) const { return c.Float(name, 0); }
  // ONNX has no attributes of type bool.
  AttrValue operator()(bool) const { return c.Int(name, 0) != 0; }
  AttrValue operator()(const std::string&) const { return c.String(name, ""); }
  AttrValue operator()(const std::vector<int64_t>&) const { return c.Ints(name); }
  AttrValue operator()(const std::vector<float>&) const { return c.Floats(name); }
  template <typename Other>
  AttrValue operator()(const Other&) const {
    c.Fail(absl::UnimplementedError(absl::StrCat("attribute '", name, "' has a kind that ONNX has not")));
    return int64_t{0};
  }
};

}  // namespace

absl::Status ConvertCustom(Conversion& c, const PackagedOp& op) {
  const OpDef& def = op.def;
  const int outputs = static_cast<int>(def.outputs.size());
  if (c.num_outputs() > outputs) {
    return absl::InvalidArgumentError(
        absl::StrCat("it has ", c.num_outputs(), " outputs; operator '", def.type, "' has ", outputs));
  }
  AttrMap attrs;
  for (const AttrDef& attr : def.attrs) {
    if (c.HasAttr(attr.name)) attrs[attr.name] = std::visit(AttrReader{c, attr.name}, attr.fallback);
  }
  std::vector<ValueId> inputs;
  for (int i = 0; i < c.num_inputs(); ++i) inputs.push_back(c.optional_input(i));
  const ValueId first = c.Node(def.type, std::move(inputs), std::move(attrs), {}, outputs);
  for (int i = 0; i < c.num_outputs(); ++i) c.SetOutput(i, {first.node, i});
  return absl::OkStatus();
}

}  // namespace omserve
