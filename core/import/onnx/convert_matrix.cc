// Matrix products.
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "core/import/onnx/converter.h"

namespace omserve {
namespace {

// numpy's matmul: a vector operand becomes a matrix for the product and loses the added dimension afterwards.
absl::Status ConvertMatMul(Conversion& c) {
  ValueId a = c.input(0);
  ValueId b = c.input(1);
  ValueInfo info{c.type(0)};
  if (c.rank(0) >= 1 && c.rank(1) >= 1) info.rank = std::max({c.rank(0), c.rank(1), 2});
  std::vector<int64_t> added;
  if (c.rank(0) == 1) {
    a = c.Unsqueeze(a, {0});
    added.push_back(-2);
  }
  if (c.rank(1) == 1) {
    b = c.Unsqueeze(b, {1});
    added.push_back(-1);
  }
  ValueId product = c.Node("BatchMatMulV2", {a, b}, {{"adj_x1", false}, {"adj_x2", false}}, info);
  if (!added.empty()) product = c.Squeeze(product, std::move(added));
  c.SetOutput(0, product);
  return absl::OkStatus();
}

// alpha * A' B' + beta * C
absl::Status ConvertGemm(Conversion& c) {
  const ValueInfo info{c.type(0), 2};
  const float alpha = c.Float("alpha", 1.0f);
  const float beta = c.Float("beta", 1.0f);
  const AttrMap attrs{{"transpose_x1", c.Int("transA", 0) != 0}, {"transpose_x2", c.Int("transB", 0) != 0}};
  ValueId product = c.Node("MatMulV2", {c.input(0), c.input(1)}, attrs, info);
  if (alpha != 1.0f) product = c.Helper("Muls", {product}, {{"value", alpha}}, info);
  if (c.has_input(2) && beta != 0.0f) {
    ValueId bias = c.input(2);
    if (beta != 1.0f) bias = c.Helper("Muls", {bias}, {{"value", beta}}, c.info(bias));
    product = c.Helper("Add", {product, bias}, {}, info);
  }
  c.SetOutput(0, product);
  return absl::OkStatus();
}

absl::Status ConvertEinsum(Conversion& c) {
  const std::string equation = c.String("equation", "");
  if (equation.empty()) return absl::InvalidArgumentError("its attribute 'equation' is missing");
  c.SetOutput(0, c.Node("Einsum", c.inputs(), {{"equation", equation}, {"N", int64_t{c.num_inputs()}}},
                        {c.type(0)}));
  return absl::OkStatus();
}

constexpr Converter kConverters[] = {
    {"Einsum", 12, kNewestOpset, 1, kAnyNumber, ConvertEinsum},
    {"Gemm", 7, kNewestOpset, 2, 3, ConvertGemm},
    {"MatMul", 1, kNewestOpset, 2, 2, ConvertMatMul},
};

}  // namespace

absl::Span<const Converter> MatrixConverters() { return kConverters; }

}  // namespace omserve
