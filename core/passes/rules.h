// The rewrite rules, by family. Each rule is a function of its own beside its comment in the family's file.
#ifndef OMSERVE_CORE_PASSES_RULES_H_
#define OMSERVE_CORE_PASSES_RULES_H_

#include <vector>

#include "core/passes/rewriter.h"

namespace omserve {

// Simplify: canonical operators, and fewer of them.
std::vector<Rule> ArithmeticRules();  // neutral elements, casts, powers, constants that meet
std::vector<Rule> ReshapeRules();     // what only renames, permutes or repeats elements
std::vector<Rule> SliceRules();   // slices, pads, joins, gathers and reductions that do less than they say
std::vector<Rule> MatrixRules();  // the matrix-product family and transposes around it
std::vector<Rule> ConvolutionRules();  // batch normalisation and constant scales and shifts of convolutions
std::vector<Rule> SplitRules();        // products whose result is split

// FusePatterns: one operator for a subgraph.
std::vector<Rule> NormalizationFusions();  // LayerNormV4, RmsNorm, SoftmaxV2
std::vector<Rule> ActivationFusions();     // Gelu, GeluV2, Swish, HardSwish, HardSigmoid

}  // namespace omserve

#endif  // OMSERVE_CORE_PASSES_RULES_H_
