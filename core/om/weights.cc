#include "core/om/weights.h"

#include <algorithm>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "core/base/checked.h"
#include "core/base/status.h"

namespace omserve {
namespace {

// Up to here constants are compared by content: parameters (axes, shapes) that importers make anew for every
// node.
constexpr size_t kCompareContent = 4096;

// Equal for constants that have the same bytes.
std::string IdentityOf(const TensorSlice& constant) {
  std::string key;
  if (constant.byte_size() <= kCompareContent) {
    key = "bytes ";
    constant
        .ForEachRun([&](const std::byte* data, size_t size) {
          key.append(reinterpret_cast<const char*>(data), size);
          return absl::OkStatus();
        })
        .IgnoreError();
    return key;
  }
  // The box as its source is laid out in memory.
  return absl::StrCat("box ", reinterpret_cast<uintptr_t>(constant.source().data()), " ",
                      SizeOf(constant.source().type()), " ", absl::StrJoin(constant.source().shape(), ","),
                      " ", absl::StrJoin(constant.begin(), ","), " ", absl::StrJoin(constant.shape(), ","));
}

}  // namespace

WeightPlan::WeightPlan(const Graph& graph, absl::Span<const int32_t> order) {
  absl::flat_hash_map<std::string, uint64_t> known;  // offset by identity
  uint64_t end = kWeightAlignment;
  for (int32_t id : order) {
    const TensorSlice* constant = graph.node(id)->constant();
    if (constant == nullptr || constant->byte_size() == 0) continue;
    const uint64_t size = constant->byte_size();
    const auto [entry, fresh] = known.try_emplace(IdentityOf(*constant), end);
    if (fresh) {
      blocks_.push_back({constant, end, size});
      end += AlignUp(size, kWeightAlignment);
    }
    ranges_[id] = {entry->second, size};
  }
  if (!blocks_.empty()) size_ = end;
}

absl::Status WeightPlan::Stream(const ByteSink& sink) const {
  static constexpr char kZeros[kWeightAlignment] = {};
  uint64_t position = 0;
  const auto pad_to = [&](uint64_t end) {
    const size_t size = static_cast<size_t>(end - position);
    position = end;
    return size == 0 ? absl::OkStatus() : sink(kZeros, size);
  };
  for (const Block& block : blocks_) {
    // Blocks are back to back, so less than one alignment is missing (exactly one before the first).
    RETURN_IF_ERROR(pad_to(block.offset));
    RETURN_IF_ERROR(block.constant->ForEachRun([&](const std::byte* data, size_t size) {
      position += size;
      return sink(data, size);
    }));
  }
  return pad_to(size_);
}

}  // namespace omserve
