#include "daemon/coordinator/run_layout.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/base/status.h"

namespace omserve {
namespace {

bool IsWhole(const OutputPiece& piece, const TensorDesc& output) {
  return piece.extent == output.shape &&
         std::all_of(piece.begin.begin(), piece.begin.end(), [](int64_t begin) { return begin == 0; });
}

}  // namespace

void CopyBox(const Tensor& source, const std::vector<int64_t>& begin, const TensorDesc& target_desc,
             std::byte* target) {
  if (source.byte_size() == 0) return;
  const size_t element = SizeOf(source.type());
  const Shape& extent = source.shape();
  const std::vector<int64_t> strides = RowMajorStrides(target_desc.shape);
  // Trailing dimensions that the box fills whole are one run of bytes with the dimension before them.
  int outer = static_cast<int>(extent.size());
  int64_t run = 1;
  while (outer > 0) {
    --outer;
    run *= extent[outer];
    if (extent[outer] != target_desc.shape[outer]) break;
  }
  const std::byte* from = source.data();
  const size_t run_bytes = static_cast<size_t>(run) * element;
  std::vector<int64_t> index(outer, 0);
  while (true) {
    int64_t offset = 0;
    for (size_t i = 0; i < extent.size(); ++i) {
      offset += (begin[i] + (static_cast<int>(i) < outer ? index[i] : 0)) * strides[i];
    }
    std::memcpy(target + static_cast<size_t>(offset) * element, from, run_bytes);
    from += run_bytes;
    int dim = outer - 1;
    while (dim >= 0 && ++index[dim] == extent[dim]) index[dim--] = 0;
    if (dim < 0) return;
  }
}

RunLayout::RunLayout(const ModelInfo* model, std::vector<int> wanted)
    : model_(model), wanted_(std::move(wanted)), slice_outputs_(model->slices.size()) {
  for (int output : wanted_) {
    const TensorDesc& desc = model->outputs[output].desc;
    std::vector<Source> sources;
    bool whole = false;
    for (int rank = 0; rank < static_cast<int>(model->slices.size()) && !whole; ++rank) {
      const std::vector<OutputPiece>& pieces = model->slices[rank].outputs;
      for (int k = 0; k < static_cast<int>(pieces.size()) && !whole; ++k) {
        if (pieces[k].output != output) continue;
        whole = IsWhole(pieces[k], desc);
        if (whole) sources.clear();
        const bool repeated = std::any_of(sources.begin(), sources.end(), [&](const Source& source) {
          return source.piece->begin == pieces[k].begin && source.piece->extent == pieces[k].extent;
        });
        if (!repeated) sources.push_back({rank, k, &pieces[k]});
      }
    }
    // `position` was the slice's output so far; now that it is known which are needed, it is the place among these.
    for (Source& source : sources) {
      std::vector<int>& asked = slice_outputs_[source.rank];
      asked.push_back(source.position);
      source.position = static_cast<int>(asked.size()) - 1;
    }
    sources_.push_back(std::move(sources));
  }
}

ExecuteCall RunLayout::CallFor(const std::vector<int>& ranks, const std::vector<Tensor>& inputs) const {
  ExecuteCall call;
  std::map<int, int> position;  // of a model input among those of the call
  for (int rank : ranks) {
    SliceInputs slice;
    slice.rank = rank;
    slice.outputs = slice_outputs_[rank];
    for (int input : model_->slices[rank].inputs) {
      auto [it, added] = position.emplace(input, static_cast<int>(call.inputs.size()));
      if (added) call.inputs.push_back(inputs[input]);
      slice.inputs.push_back(it->second);
    }
    call.slices.push_back(std::move(slice));
  }
  return call;
}

absl::StatusOr<Tensor> RunLayout::AssembleOne(const NamedDesc& output, const std::vector<Source>& sources,
                                              const std::map<int, std::vector<Tensor>>& by_rank,
                                              uint64_t* copied_bytes) const {
  std::byte* target = nullptr;
  Tensor assembled;
  for (const Source& source : sources) {
    auto outputs = by_rank.find(source.rank);
    if (outputs == by_rank.end() || source.position >= static_cast<int>(outputs->second.size())) {
      return absl::InternalError(absl::StrCat("rank ", source.rank, " did not give its part of output '", output.name,
                                              "'"));
    }
    const Tensor& part = outputs->second[source.position];
    const TensorDesc expected{output.desc.type, source.piece->extent};
    if (part.desc() != expected) {
      return absl::InternalError(absl::StrCat("rank ", source.rank, " gave ", ToString(part.desc()),
                                              " for its part of output '", output.name, "', which is ",
                                              ToString(expected)));
    }
    if (IsWhole(*source.piece, output.desc)) return part;
    if (target == nullptr) assembled = Tensor::Allocate(output.desc, &target);
    CopyBox(part, source.piece->begin, output.desc, target);
    *copied_bytes += part.byte_size();
  }
  if (sources.empty()) return absl::InternalError(absl::StrCat("no slice gives output '", output.name, "'"));
  return assembled;
}

absl::StatusOr<std::vector<Tensor>> RunLayout::Assemble(const std::map<int, std::vector<Tensor>>& by_rank,
                                                        uint64_t* copied_bytes) const {
  std::vector<Tensor> outputs;
  for (size_t i = 0; i < wanted_.size(); ++i) {
    ASSIGN_OR_RETURN(Tensor output, AssembleOne(model_->outputs[wanted_[i]], sources_[i], by_rank, copied_bytes));
    outputs.push_back(std::move(output));
  }
  return outputs;
}

}  // namespace omserve
