// Helpers of the operator tests: one node with its inputs, described in a line, and what is inferred for it
// as text.
#ifndef OMSERVE_CORE_OPS_TEST_UTIL_H_
#define OMSERVE_CORE_OPS_TEST_UTIL_H_

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "core/ops/op.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace omserve {

// An input of a node under test: a value that is only described, a constant, or an absent optional input.
struct In {
  std::optional<TensorDesc> desc;
  std::optional<Tensor> constant;
};

inline In F(Shape shape) { return {TensorDesc{DataType::kFloat, std::move(shape)}, {}}; }
inline In Of(DataType type, Shape shape) { return {TensorDesc{type, std::move(shape)}, {}}; }
inline In I64(Shape shape) { return Of(DataType::kInt64, std::move(shape)); }
inline In I32(Shape shape) { return Of(DataType::kInt32, std::move(shape)); }
inline In Bool(Shape shape) { return Of(DataType::kBool, std::move(shape)); }
inline In Ints(const std::vector<int64_t>& values) { return {{}, Tensor::Int64s(values)}; }
inline In Int(int64_t value) { return {{}, Tensor::Scalar(value)}; }
inline In Value(Tensor tensor) { return {{}, std::move(tensor)}; }
inline In None() { return {}; }

using IntList = std::vector<int64_t>;

// A graph of one operator.
struct OneNode {
  std::unique_ptr<Graph> graph = std::make_unique<Graph>("test");
  Node* node = nullptr;
};

inline OneNode MakeNode(const std::string& type, const std::vector<In>& inputs, const AttrMap& attrs = {}) {
  OneNode result;
  std::vector<ValueId> values;
  for (const In& input : inputs) {
    if (input.desc) {
      values.push_back(result.graph->AddData(absl::StrCat("in", values.size()), *input.desc)->out());
    } else if (input.constant) {
      values.push_back(result.graph->AddConst(absl::StrCat("const", values.size()), *input.constant)->out());
    } else {
      values.push_back(ValueId{});
    }
  }
  result.node = result.graph->AddNode(type, "op", std::move(values));
  for (const auto& [name, value] : attrs) result.node->SetAttr(name, value);
  return result;
}

// The outputs as text, "float32[2,3] int32[2]", or the error, "INVALID_ARGUMENT: …".
inline std::string Infer(const OneNode& one) {
  const absl::Status status = InferNode(*one.graph, *one.node);
  if (!status.ok()) return absl::StrCat(absl::StatusCodeToString(status.code()), ": ", status.message());
  return absl::StrJoin(one.node->outputs(), " ",
                       [](std::string* out, const TensorDesc& desc) { out->append(ToString(desc)); });
}

struct InferCase {
  std::string type;
  std::vector<In> inputs;
  AttrMap attrs;
  std::string expected;  // the outputs
};

inline void CheckInference(const std::vector<InferCase>& cases) {
  for (const InferCase& c : cases)
    EXPECT_EQ(Infer(MakeNode(c.type, c.inputs, c.attrs)), c.expected) << c.type;
}

struct ErrorCase {
  std::string type;
  std::vector<In> inputs;
  AttrMap attrs;
  absl::StatusCode code;
  std::string message;  // a part of it
};

inline void CheckErrors(const std::vector<ErrorCase>& cases) {
  for (const ErrorCase& c : cases) {
    const std::string actual = Infer(MakeNode(c.type, c.inputs, c.attrs));
    EXPECT_THAT(actual, testing::StartsWith(absl::StrCat(absl::StatusCodeToString(c.code), ": operator '",
                                                         c.type, "' (node 'op')")));
    EXPECT_THAT(actual, testing::HasSubstr(c.message));
  }
}

// A rule as text: each factor a letter (in order of definition) with its size, '+' for a sum and '!' for
// whole; dimensions in brackets, '.' for one that is never cut, factors of a dimension joined by '*'.
//   MatMul: [a4 c8+][c8+ b6] -> [a4 b6] {0}{1}
inline std::string RuleText(const ShardingRule& rule) {
  auto operand = [&](const OperandFactors& dims) {
    std::vector<std::string> texts;
    for (const DimFactors& dim : dims) {
      texts.push_back(dim.empty() ? "." : absl::StrJoin(dim, "*", [&](std::string* out, int f) {
        const Factor& factor = rule.factors[f];
        const char* mark = factor.kind == FactorKind::kSum     ? "+"
                           : factor.kind == FactorKind::kWhole ? "!"
                                                               : "";
        absl::StrAppend(out, std::string(1, static_cast<char>('a' + f)), factor.size, mark);
      }));
    }
    return absl::StrCat("[", absl::StrJoin(texts, " "), "]");
  };
  std::string text;
  for (const OperandFactors& input : rule.inputs) text += operand(input);
  text += " -> ";
  for (const OperandFactors& output : rule.outputs) text += operand(output);
  if (!rule.linear.empty()) text += " ";
  for (const std::vector<int>& set : rule.linear) absl::StrAppend(&text, "{", absl::StrJoin(set, ","), "}");
  return text;
}

struct RuleCase {
  std::string type;
  std::vector<In> inputs;
  AttrMap attrs;
  std::string expected;
};

inline void CheckRules(const std::vector<RuleCase>& cases) {
  for (const RuleCase& c : cases) {
    OneNode one = MakeNode(c.type, c.inputs, c.attrs);
    ASSERT_TRUE(InferNode(*one.graph, *one.node).ok()) << c.type << ": " << Infer(one);
    absl::StatusOr<ShardingRule> rule = RuleOf(*one.graph, *one.node);
    ASSERT_TRUE(rule.ok()) << c.type << ": " << rule.status();
    EXPECT_EQ(RuleText(*rule), c.expected) << c.type << " " << Infer(one);
  }
}

}  // namespace omserve

#endif  // OMSERVE_CORE_OPS_TEST_UTIL_H_
