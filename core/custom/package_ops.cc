#include "core/custom/package_ops.h"

#include <cmath>
#include <cstring>
#include <set>
#include <string>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "core/base/checked.h"
#include "core/base/status.h"
#include "core/custom/call.h"
#include "core/ops/rule_util.h"

namespace omserve {
namespace {

// Of names and versions, and of things in one list: more is an error of the package, not a need.
constexpr size_t kMaxName = 128;
constexpr int32_t kMaxList = 256;

absl::Status CheckName(const char* name, absl::string_view what, absl::string_view also = "") {
  if (name == nullptr) return absl::InvalidArgumentError(absl::StrCat(what, " has no name"));
  const size_t size = ::strnlen(name, kMaxName + 1);
  bool good = size >= 1 && size <= kMaxName;
  for (size_t i = 0; good && i < size; ++i) {
    good = absl::ascii_isalnum(name[i]) || name[i] == '_' || also.find(name[i]) != absl::string_view::npos;
  }
  if (good) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(what, " is named '", absl::string_view(name, std::min(size, kMaxName)),
                                                 "'; a name has 1 to ", kMaxName, " letters, digits, '_'",
                                                 also.empty() ? "" : " or any of ", also));
}

absl::Status CheckList(const void* list, int32_t count, int32_t least, absl::string_view what) {
  if (count < least || count > kMaxList) {
    return absl::InvalidArgumentError(
        absl::StrCat("it has ", count, " ", what, "; there must be ", least, " to ", kMaxList));
  }
  if (count > 0 && list == nullptr) return absl::InvalidArgumentError(absl::StrCat("its list of ", what, " is NULL"));
  return absl::OkStatus();
}

absl::StatusOr<AttrValue> DefaultOf(const omserve_attr& attr) {
  if (attr.kind == OMSERVE_ATTR_INTS || attr.kind == OMSERVE_ATTR_FLOATS) {
    const void* list = attr.kind == OMSERVE_ATTR_INTS ? static_cast<const void*>(attr.ints) : attr.floats;
    if (attr.count < 0 || attr.count > (1 << 20) || (attr.count > 0 && list == nullptr)) {
      return absl::InvalidArgumentError(
          absl::StrCat("its default is a list of ", attr.count, " elements", list == nullptr ? " at NULL" : ""));
    }
  }
  switch (attr.kind) {
    case OMSERVE_ATTR_INT:
      return AttrValue(attr.i);
    case OMSERVE_ATTR_FLOAT:
      return AttrValue(attr.f);
    case OMSERVE_ATTR_BOOL:
      return AttrValue(attr.i != 0);
    case OMSERVE_ATTR_STRING:
      return AttrValue(std::string(attr.s == nullptr ? "" : attr.s));
    case OMSERVE_ATTR_INTS:
      return AttrValue(std::vector<int64_t>(attr.ints, attr.ints + attr.count));
    case OMSERVE_ATTR_FLOATS:
      return AttrValue(std::vector<float>(attr.floats, attr.floats + attr.count));
    default:
      return absl::InvalidArgumentError(absl::StrCat("its kind ", attr.kind, " is not known"));
  }
}

absl::Status AddSchema(const omserve_op& op, OpDef& def) {
  RETURN_IF_ERROR(CheckList(op.inputs, op.num_inputs, 0, "inputs"));
  RETURN_IF_ERROR(CheckList(op.outputs, op.num_outputs, 1, "outputs"));
  RETURN_IF_ERROR(CheckList(op.attrs, op.num_attrs, 0, "attributes"));
  std::set<std::string> names;
  const auto fresh = [&names](const char* name, absl::string_view what) -> absl::Status {
    RETURN_IF_ERROR(CheckName(name, what));
    if (names.insert(name).second) return absl::OkStatus();
    return absl::InvalidArgumentError(absl::StrCat(what, ": the name '", name, "' is given twice"));
  };
  bool dynamic = false;
  for (int32_t i = 0; i < op.num_inputs; ++i) {
    const omserve_input& input = op.inputs[i];
    const std::string what = absl::StrCat("input ", i);
    RETURN_IF_ERROR(fresh(input.name, what));
    if (input.kind < OMSERVE_REQUIRED || input.kind > OMSERVE_OPTIONAL_PARAMETER) {
      return absl::InvalidArgumentError(
          absl::StrCat(what, " ('", input.name, "'): its kind ", input.kind, " is not known"));
    }
    // Inputs behind a dynamic one are found by counting from the end, so they must all be there.
    const bool optional = input.kind == OMSERVE_OPTIONAL || input.kind == OMSERVE_OPTIONAL_PARAMETER;
    if (dynamic && (optional || input.kind == OMSERVE_DYNAMIC)) {
      return absl::InvalidArgumentError(
          absl::StrCat(what, " ('", input.name, "'): only required inputs may follow a dynamic one"));
    }
    dynamic = dynamic || input.kind == OMSERVE_DYNAMIC;
    // The enumerators of both sides have the same numbers.
    def.inputs.push_back({input.name, static_cast<InputKind>(input.kind)});
  }
  names.clear();
  for (int32_t i = 0; i < op.num_outputs; ++i) {
    RETURN_IF_ERROR(fresh(op.outputs[i], absl::StrCat("output ", i)));
    def.outputs.emplace_back(op.outputs[i]);
  }
  names.clear();
  for (int32_t i = 0; i < op.num_attrs; ++i) {
    const omserve_attr& attr = op.attrs[i];
    RETURN_IF_ERROR(fresh(attr.name, absl::StrCat("attribute ", i)));
    if (attr.name[0] == '_') {
      return absl::InvalidArgumentError(
          absl::StrCat("attribute '", attr.name, "': names that begin with '_' are the compiler's own"));
    }
    ASSIGN_OR_RETURN_WITH(AttrValue fallback, DefaultOf(attr), absl::StrCat("attribute '", attr.name, "'"));
    def.attrs.push_back({attr.name, std::move(fallback), attr.required != 0});
  }
  return absl::OkStatus();
}
static_assert(static_cast<int>(InputKind::kRequired) == OMSERVE_REQUIRED);
static_assert(static_cast<int>(InputKind::kOptional) == OMSERVE_OPTIONAL);
static_assert(static_cast<int>(InputKind::kDynamic) == OMSERVE_DYNAMIC);
static_assert(static_cast<int>(InputKind::kParameter) == OMSERVE_PARAMETER);
static_assert(static_cast<int>(InputKind::kOptionalParameter) == OMSERVE_OPTIONAL_PARAMETER);
static_assert(OMSERVE_MAX_RANK == kMaxRank);

absl::Status AddOnnxName(const omserve_op& op, PackagedOp& def) {
  if (op.onnx_domain == nullptr && op.onnx_type == nullptr) return absl::OkStatus();
  RETURN_IF_ERROR(CheckName(op.onnx_domain, "its ONNX domain", ".-"));
  RETURN_IF_ERROR(CheckName(op.onnx_type, "its ONNX operator"));
  def.onnx_domain = op.onnx_domain;
  def.onnx_type = op.onnx_type;
  if (def.onnx_domain != "ai.onnx") return absl::OkStatus();
  return absl::InvalidArgumentError("its ONNX domain is 'ai.onnx', which is ONNX's own");
}

// What a package's rule function writes to. Collects the first thing that is wrong.
class RuleWriter {
 public:
  explicit RuleWriter(const NodeView& view) : view_(view), builder_(view) {
    raw_.self = this;
    raw_.factor = [](omserve_rule* rule, int64_t size, int32_t kind, const char* name) {
      return Of(rule).AddFactor(size, kind, name);
    };
    raw_.input = [](omserve_rule* rule, int32_t input, int32_t dim, int32_t factor) {
      RuleWriter& writer = Of(rule);
      const int rank = input >= 0 && input < writer.view_.num_inputs() && writer.view_.has_input(input)
                           ? static_cast<int>(writer.view_.input_shape(input).size())
                           : -1;
      if (writer.Place("input", input, dim, factor, rank)) writer.builder_.Input(input, dim, writer.ids_[factor]);
    };
    raw_.output = [](omserve_rule* rule, int32_t output, int32_t dim, int32_t factor) {
      RuleWriter& writer = Of(rule);
      const int rank = output >= 0 && output < writer.view_.node().num_outputs()
                           ? static_cast<int>(writer.view_.output(output).shape.size())
                           : -1;
      if (writer.Place("output", output, dim, factor, rank)) writer.builder_.Output(output, dim, writer.ids_[factor]);
    };
    raw_.linear = [](omserve_rule* rule, const int32_t* inputs, int32_t count) {
      Of(rule).AddLinear(inputs, count);
    };
  }
  RuleWriter(const RuleWriter&) = delete;

  omserve_rule* raw() { return &raw_; }

  absl::StatusOr<ShardingRule> Finish() {
    RETURN_IF_ERROR(error_);
    ShardingRule rule = builder_.Finish();
    // CheckRule multiplies without looking at overflow, as built-in rules cannot bring one about.
    for (const auto* operands : {&rule.inputs, &rule.outputs}) {
      for (const OperandFactors& dims : *operands) {
        for (const DimFactors& factors : dims) {
          int64_t product = 1;
          for (int factor : factors) {
            const auto next = CheckedMul(product, rule.factors[factor].size);
            if (!next) return absl::InvalidArgumentError("sharding rule: the factors of a dimension overflow");
            product = *next;
          }
        }
      }
    }
    return rule;
  }

 private:
  static RuleWriter& Of(omserve_rule* rule) { return *static_cast<RuleWriter*>(rule->self); }

  void Fail(std::string what) {
    error_.Update(absl::InvalidArgumentError(absl::StrCat("sharding rule: ", what)));
  }

  int32_t AddFactor(int64_t size, int32_t kind, const char* name) {
    if (size < 0 || kind < OMSERVE_PARALLEL || kind > OMSERVE_WHOLE || ids_.size() >= kMaxList) {
      Fail(absl::StrCat("a factor of size ", size, " and kind ", kind, " cannot be (of ", ids_.size(), " so far)"));
    } else {
      ids_.push_back(builder_.Add(size, static_cast<FactorKind>(kind),
                                  name == nullptr ? "" : std::string(name, ::strnlen(name, kMaxName))));
    }
    return static_cast<int32_t>(ids_.size()) - 1;
  }

  // True when the factor may be appended to that dimension; a factor is in one dimension of an operand at most.
  bool Place(const char* what, int32_t operand, int32_t dim, int32_t factor, int rank) {
    if (dim < 0 || dim >= rank || factor < 0 || factor >= static_cast<int32_t>(ids_.size())) {
      Fail(absl::StrCat("factor ", factor, " in dimension ", dim, " of ", what, " ", operand,
                        ": there is no such thing"));
    } else if (!placed_.insert(absl::StrCat(what, operand, ".", factor)).second) {
      Fail(absl::StrCat("factor ", factor, " is twice in ", what, " ", operand));
    }
    return error_.ok();
  }

  void AddLinear(const int32_t* inputs, int32_t count) {
    if (count < 1 || count > kMaxList || inputs == nullptr) return Fail(absl::StrCat("linear in ", count, " inputs"));
    std::vector<int> set;
    for (int32_t i = 0; i < count; ++i) {
      if (inputs[i] < 0 || inputs[i] >= view_.num_inputs() || !view_.has_input(inputs[i])) {
        return Fail(absl::StrCat("linear in input ", inputs[i], ", which is not there"));
      }
      set.push_back(inputs[i]);
    }
    builder_.Linear(std::move(set));
  }

  const NodeView& view_;
  RuleBuilder builder_;
  omserve_rule raw_ = {};
  std::vector<int> ids_;  // by the package's number
  std::set<std::string> placed_;
  absl::Status error_;
};
static_assert(static_cast<int>(FactorKind::kParallel) == OMSERVE_PARALLEL);
static_assert(static_cast<int>(FactorKind::kSum) == OMSERVE_SUM);
static_assert(static_cast<int>(FactorKind::kWhole) == OMSERVE_WHOLE);

const OpDef& DefOf(const NodeView& view) { return *OpRegistry::Get().Find(view.node().type()); }

OpCost CostOfCall(const omserve_op& op, const NodeView& view) {
  CustomCall call(view, DefOf(view), view.node().outputs());
  double flops = 0, bytes = 0;
  const absl::Status status =
      call.Run([&](omserve_call* raw) { return op.cost(raw, &flops, &bytes); }, "cost");
  // A price that cannot be is none: costs steer plans, they never change results.
  const bool good = status.ok() && std::isfinite(flops) && std::isfinite(bytes) && flops >= 0 && bytes >= 0;
  return good ? OpCost{flops, bytes} : OpCost{};
}

void AddFunctions(const omserve_op& op, OpDef& def) {
  def.infer = [&op](const NodeView& view) -> absl::StatusOr<std::vector<TensorDesc>> {
    const std::vector<TensorDesc> blank(static_cast<size_t>(op.num_outputs));
    CustomCall call(view, DefOf(view), blank);
    RETURN_IF_ERROR(call.Run(op.infer, "shape inference", /*refusal=*/true));
    return call.Outputs();
  };
  if (op.rule != nullptr) {
    def.rule = [&op](const NodeView& view) -> absl::StatusOr<ShardingRule> {
      CustomCall call(view, DefOf(view), view.node().outputs());
      RuleWriter writer(view);
      RETURN_IF_ERROR(call.Run([&](omserve_call* raw) { return op.rule(raw, writer.raw()); }, "sharding rule"));
      return writer.Finish();
    };
  }
  if (op.cost != nullptr) def.cost = [&op](const NodeView& view) { return CostOfCall(op, view); };
}

absl::StatusOr<PackagedOp> DefOfOp(const omserve_package& package, const omserve_op& op) {
  PackagedOp made;
  made.def.type = op.type;
  made.package = package.name;
  made.version = package.version;
  RETURN_IF_ERROR(AddSchema(op, made.def));
  RETURN_IF_ERROR(AddOnnxName(op, made));
  if (op.infer == nullptr) return absl::InvalidArgumentError("it has no infer function");
  if (op.compute == nullptr) return absl::InvalidArgumentError("it has no compute function");
  AddFunctions(op, made.def);
  return made;
}

}  // namespace

absl::StatusOr<std::vector<PackagedOp>> OpsOfPackage(const omserve_package& package) {
  if (package.abi != OMSERVE_CUSTOM_ABI) {
    return absl::FailedPreconditionError(absl::StrCat("it is made for version ", package.abi,
                                                      " of the custom operator interface; this omserve has version ",
                                                      OMSERVE_CUSTOM_ABI));
  }
  RETURN_IF_ERROR(CheckName(package.name, "the package", "-."));
  RETURN_IF_ERROR(CheckName(package.version, "the package's version", "-.+"));
  RETURN_IF_ERROR_WITH(CheckList(package.ops, package.num_ops, 1, "operators"),
                       absl::StrCat("package '", package.name, "'"));
  std::vector<PackagedOp> ops;
  for (int32_t i = 0; i < package.num_ops; ++i) {
    const omserve_op& op = package.ops[i];
    RETURN_IF_ERROR(CheckName(op.type, absl::StrCat("operator ", i)));
    if (absl::ascii_isdigit(op.type[0])) {
      return absl::InvalidArgumentError(absl::StrCat("operator '", op.type, "': a type begins with a letter or '_'"));
    }
    ASSIGN_OR_RETURN_WITH(PackagedOp made, DefOfOp(package, op), absl::StrCat("operator '", op.type, "'"));
    ops.push_back(std::move(made));
  }
  return ops;
}

}  // namespace omserve
