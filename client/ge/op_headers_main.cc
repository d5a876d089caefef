// Writes the classes ge::op::… from the operators that the project has:
//   ge_op_headers all_ops|hcom_ops OUTPUT
#include <algorithm>
#include <fstream>
#include <iostream>
#include <limits>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "core/ops/op.h"

namespace omserve {
namespace {

std::string FloatText(float value) {
  if (value == std::numeric_limits<float>::infinity()) return "std::numeric_limits<float>::infinity()";
  if (value == -std::numeric_limits<float>::infinity()) return "-std::numeric_limits<float>::infinity()";
  std::string text = absl::StrFormat("%.9g", value);
  if (text.find_first_of(".e") == std::string::npos) text += ".0";
  return text + "f";
}

// "Int, 3": the kind and the default.
struct AttrText {
  template <typename T>
  static std::string List(const std::vector<T>& values, std::string (*text)(T)) {
    return absl::StrCat("{", absl::StrJoin(values, ", ", [&](std::string* out, T v) { out->append(text(v)); }), "}");
  }
  std::string operator()(int64_t v) const { return absl::StrCat("Int, ", v); }
  std::string operator()(float v) const { return absl::StrCat("Float, ", FloatText(v)); }
  std::string operator()(bool v) const { return absl::StrCat("Bool, ", v ? "true" : "false"); }
  std::string operator()(const std::string& v) const { return absl::StrCat("String, \"", v, "\""); }
  std::string operator()(DataType v) const { return absl::StrCat("Type, ::ge::", std::string(GeName(v))); }
  std::string operator()(const std::vector<int64_t>& v) const {
    return "ListInt, " + List<int64_t>(v, [](int64_t item) { return absl::StrCat(item); });
  }
  std::string operator()(const std::vector<float>& v) const { return "ListFloat, " + List<float>(v, FloatText); }
  std::string operator()(const std::vector<bool>& v) const {
    return "ListBool, " + List<bool>(v, [](bool item) { return std::string(item ? "true" : "false"); });
  }
  std::string operator()(const std::vector<std::string>& v) const {
    return "ListString, " + List<std::string>(v, [](std::string item) { return absl::StrCat("\"", item, "\""); });
  }
  std::string operator()(const std::vector<DataType>& v) const {
    return "ListType, " + List<DataType>(v, [](DataType item) { return absl::StrCat("::ge::", std::string(GeName(item))); });
  }
  std::string operator()(const std::vector<std::vector<int64_t>>&) const { return "ListListInt, {}"; }
};

std::string ClassText(const OpDef& def) {
  std::string text = absl::StrCat("REG_OP(", def.type, ")\n");
  // Prototypes of GE give Data an input that nobody wires, and Const its value.
  if (def.type == "Data") absl::StrAppend(&text, "    .INPUT(x, TensorType::ALL())\n");
  for (const InputDef& input : def.inputs) {
    const bool optional = input.kind == InputKind::kOptional || input.kind == InputKind::kOptionalParameter;
    const char* macro = input.kind == InputKind::kDynamic ? "DYNAMIC_INPUT" : optional ? "OPTIONAL_INPUT" : "INPUT";
    absl::StrAppend(&text, "    .", macro, "(", input.name, ", TensorType::ALL())\n");
  }
  for (const std::string& output : def.outputs) {
    const bool dynamic = absl::EndsWith(output, "*");
    absl::StrAppend(&text, "    .", dynamic ? "DYNAMIC_OUTPUT" : "OUTPUT", "(",
                    dynamic ? output.substr(0, output.size() - 1) : output, ", TensorType::ALL())\n");
  }
  if (def.type == "Const") absl::StrAppend(&text, "    .ATTR(value, Tensor, ::ge::Tensor())\n");
  for (const AttrDef& attr : def.attrs) {
    std::string kind = std::visit(AttrText(), attr.fallback);
    if (attr.required) kind = kind.substr(0, kind.find(','));
    absl::StrAppend(&text, "    .", attr.required ? "REQUIRED_ATTR(" : "ATTR(", attr.name, ", ", kind, ")\n");
  }
  return absl::StrCat(text, "    .OP_END_FACTORY_REG(", def.type, ")\n\n");
}

int Main(const std::string& which, const std::string& path) {
  const bool hcom = which == "hcom_ops";
  std::vector<std::string> types = OpRegistry::Get().Types();
  std::sort(types.begin(), types.end());
  const std::string guard = hcom ? "OMSERVE_GE_HCOM_OPS_H_" : "OMSERVE_GE_ALL_OPS_H_";
  std::string text = absl::StrCat("// Operators that omserve runs, made by ge_op_headers from their definitions.\n#ifndef ", guard,
                                  "\n#define ", guard, "\n\n#include <limits>\n\n#include \"graph/operator_reg.h\"\n");
  if (!hcom) absl::StrAppend(&text, "#include \"hcom_ops.h\"\n");
  absl::StrAppend(&text, "\nnamespace ge {\n\n");
  for (const std::string& type : types) {
    if (absl::StartsWith(type, "Hcom") != hcom) continue;
    const OpDef& def = *OpRegistry::Get().Find(type);
    absl::StrAppend(&text, ClassText(def));
    if (type != "Const") continue;
    // The older spelling of a constant.
    absl::StrAppend(&text, "REG_OP(Constant)\n    .OUTPUT(y, TensorType::ALL())\n    .ATTR(value, Tensor, ::ge::Tensor())\n",
                    "    .OP_END_FACTORY_REG(Constant)\n\n");
  }
  absl::StrAppend(&text, "}  // namespace ge\n\n#endif  // ", guard, "\n");
  std::ofstream file(path);
  file << text;
  file.close();
  if (!file) std::cerr << "ge_op_headers: cannot write " << path << "\n";
  return file ? 0 : 1;
}

}  // namespace
}  // namespace omserve

int main(int argc, char** argv) {
  if (argc != 3 || (std::string(argv[1]) != "all_ops" && std::string(argv[1]) != "hcom_ops")) {
    std::cerr << "usage: ge_op_headers all_ops|hcom_ops OUTPUT\n";
    return 2;
  }
  return omserve::Main(argv[1], argv[2]);
}
