// Reading and making the small constants that rewrites look at.
#ifndef OMSERVE_CORE_PASSES_CONSTANTS_H_
#define OMSERVE_CORE_PASSES_CONSTANTS_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "core/graph/graph.h"

namespace omserve {

// The value all elements of a constant have in common, as a double. Absent when `value` is not constant, is
// empty, has differing elements or more than kMaxUniformElements, or is not a float, double, int32, int64 or
// bool. (Integers beyond 2^53 are refused: they do not fit.)
inline constexpr int64_t kMaxUniformElements = int64_t{1} << 16;
std::optional<double> UniformValue(const Graph& graph, ValueId value);

// True when all elements of the constant `value` equal `expected` up to a relative 1e-5 (exactly for
// integers).
bool IsUniform(const Graph& graph, ValueId value, double expected);

// The elements of a constant int32 or int64 tensor; absent for anything else.
std::optional<std::vector<int64_t>> ConstantInts(const Graph& graph, ValueId value);

// The elements of a constant float tensor; absent for anything else.
std::optional<std::vector<float>> ConstantFloats(const Graph& graph, ValueId value);

// A scalar of `type`, or absent when the type is not one of UniformValue's or cannot hold the value.
std::optional<Tensor> ScalarOf(DataType type, double value);

// Float types: those whose arithmetic is rounded anyway.
bool IsFloating(DataType type);

}  // namespace omserve

#endif  // OMSERVE_CORE_PASSES_CONSTANTS_H_
