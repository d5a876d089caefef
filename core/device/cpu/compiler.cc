// Compilation of a slice: kernels, storages, liveness, memory.
#include <algorithm>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "core/base/status.h"
#include "core/device/cpu/executable.h"
#include "core/device/cpu/fusion.h"
#include "core/device/cpu/layouts.h"
#include "core/device/cpu/parallel.h"

namespace omserve::cpu {
namespace {

// Of one thread, roughly: to tell operators worth sharing from those that are not.
constexpr double kFlopsPerSecond = 5e10;
constexpr double kBytesPerSecond = 1e10;

std::string TitleOf(const Node& node) { return absl::StrCat("operator '", node.type(), "' (node '", node.name(), "')"); }

bool RunsNothing(const Node& node) { return node.is_data() || node.is_const() || node.is("NetOutput"); }

// The constant as dense bytes aligned to its elements: in place where it is so already.
Tensor Dense(const TensorSlice& slice) {
  Tensor tensor = slice.Materialize();
  const size_t element = std::max<size_t>(1, SizeOf(tensor.type()));
  if (reinterpret_cast<uintptr_t>(tensor.data()) % element == 0) return tensor;
  return *Tensor::Create(tensor.desc(), Buffer::CopyOf(tensor.data(), tensor.byte_size()));
}

// A clone of the slice with inferred shapes, which must be those it declares: kernels rely on them.
absl::StatusOr<Graph> CheckedClone(const Graph& slice) {
  RETURN_IF_ERROR(Verify(slice));
  for (int32_t id : slice.NodeIds()) {
    const Node& node = *slice.node(id);
    for (const TensorDesc& desc : node.outputs()) {
      if (!IsStatic(desc.shape)) {
        return absl::InvalidArgumentError(
            absl::StrCat(TitleOf(node), ": shape ", ToString(desc), " is not static; a device runs fixed shapes"));
      }
      RETURN_IF_ERROR_WITH(CheckedByteSize(desc).status(), TitleOf(node));
    }
  }
  Graph graph = slice.Clone();
  RETURN_IF_ERROR(InferGraph(graph));
  for (int32_t id : slice.NodeIds()) {
    const Node& declared = *slice.node(id);
    const Node& inferred = *graph.node(id);
    for (int i = 0; i < std::max(declared.num_outputs(), inferred.num_outputs()); ++i) {
      if (i < declared.num_outputs() && i < inferred.num_outputs() && declared.output(i) == inferred.output(i)) continue;
      return absl::InvalidArgumentError(absl::StrCat(
          TitleOf(declared), ": output ", i, " is declared ",
          i < declared.num_outputs() ? ToString(declared.output(i)) : std::string("absent"), ", its inputs make it ",
          i < inferred.num_outputs() ? ToString(inferred.output(i)) : std::string("absent")));
    }
  }
  return graph;
}

}  // namespace

class Compiler {
 public:
  using Storage = CpuExecutable::Storage;
  using Place = CpuExecutable::Place;
  using Step = CpuExecutable::Step;

  explicit Compiler(const CompileOptions& options) : options_(options) {}

  absl::StatusOr<std::unique_ptr<Executable>> Compile(const Graph& slice, const std::shared_ptr<MemoryBudget>& budget) {
    ASSIGN_OR_RETURN(Graph graph, CheckedClone(slice));
    ASSIGN_OR_RETURN(const std::vector<int32_t> order, graph.TopologicalOrder());
    if (options_.fuse) FuseEpilogues(graph);
    executable_.reset(new CpuExecutable);
    AddSources(graph);
    for (int32_t id : order) {
      const Node* node = graph.node(id);  // null when it was fused into another
      if (node != nullptr && !RunsNothing(*node)) RETURN_IF_ERROR(AddStep(graph, *node));
    }
    AddResults(graph);
    ChooseLayouts(uses_, std::move(plain_));
    ReuseInputs();
    RETURN_IF_ERROR(Finish(budget));
    return std::unique_ptr<Executable>(std::move(executable_));
  }

 private:
  // What liveness knows of a storage besides what the executable keeps.
  struct Life {
    int first = 0;
    int last = -1;     // -1: never read
    int merged = -1;   // the storage whose memory this one continues (an in-place result)
  };

  int AddStorage(Storage::Kind kind, size_t bytes, int first) {
    executable_->storages_.push_back({.kind = kind, .bytes = bytes});
    lives_.push_back({.first = first});
    return static_cast<int>(lives_.size()) - 1;
  }

  int NumberOf(ValueId value) const { return base_[value.node] + value.output; }
  Place& PlaceOf(ValueId value) { return places_[static_cast<size_t>(NumberOf(value))]; }

  void AddSources(const Graph& graph) {
    base_.assign(static_cast<size_t>(graph.id_limit()), 0);
    int values = 0;
    for (int32_t id : graph.NodeIds()) {
      base_[id] = values;
      values += graph.node(id)->num_outputs();
    }
    places_.resize(static_cast<size_t>(values));
    plain_.assign(static_cast<size_t>(values), false);
    constants_.resize(static_cast<size_t>(graph.id_limit()));
    for (int32_t id : graph.inputs()) {
      const Node& node = *graph.node(id);
      const int storage = AddStorage(Storage::Kind::kInput, ByteSize(node.output()), 0);
      executable_->storages_[storage].input = static_cast<int>(executable_->input_descs_.size());
      executable_->input_descs_.push_back(node.output());
      executable_->input_names_.push_back(node.name());
      PlaceOf(node.out()) = {storage, 0};
      plain_[NumberOf(node.out())] = true;
    }
    for (int32_t id : graph.NodeIds()) {
      const Node& node = *graph.node(id);
      if (!node.is_const()) continue;
      constants_[id] = Dense(*node.constant());
      const int storage = AddStorage(Storage::Kind::kConstant, ByteSize(node.output()), 0);
      PlaceOf(node.out()) = {storage, 0};
      plain_[NumberOf(node.out())] = true;
      constant_of_.push_back({storage, id});
    }
  }

  // All of them or one: OpenMP lets go of threads that a smaller team does not need.
  int ThreadsFor(const Graph& graph, const Node& node) const {
    const OpCost cost = CostOf(graph, node);
    const double seconds = std::max(cost.flops / kFlopsPerSecond, cost.bytes / kBytesPerSecond);
    return seconds * (1 - 1.0 / options_.threads) > options_.wake_seconds ? options_.threads : 1;
  }

  absl::Status AddStep(const Graph& graph, const Node& node) {
    Step step;
    step.threads = ThreadsFor(graph, node);
    const ThreadScope scope(step.threads);
    KernelRequest request{.view = NodeView(graph, node), .threads = step.threads};
    for (ValueId input : node.inputs()) {
      request.inputs.push_back(input.valid() ? graph.desc(input) : TensorDesc{});
      const bool is_constant = input.valid() && graph.node(input.node)->is_const();
      request.constants.push_back(is_constant ? &constants_[input.node] : nullptr);
    }
    request.outputs.assign(node.outputs().begin(), node.outputs().end());

    step.title = TitleOf(node);
    auto kernel = KernelTable::Get().Make(request);
    if (!kernel.ok()) return WithTitle(kernel.status(), step.title);
    step.kernel = std::move(kernel).value();

    const int index = static_cast<int>(executable_->steps_.size());
    bool runs = node.num_outputs() == 0;
    for (int i = 0; i < node.num_outputs(); ++i) runs = runs || !step.kernel->ViewOf(i);
    for (int i = 0; i < node.num_inputs(); ++i) {
      Place place;
      if (node.input(i).valid() && (!runs || step.kernel->ReadsInput(i))) place = PlaceOf(node.input(i));
      if (runs && place.storage >= 0) lives_[place.storage].last = index;
      step.inputs.push_back(place);
    }
    for (int i = 0; i < node.num_outputs(); ++i) {
      Place place;
      if (const std::optional<View> view = step.kernel->ViewOf(i)) {
        const Place& source = PlaceOf(node.input(view->input));
        place = {source.storage, source.offset + view->offset};
      } else {
        place = {AddStorage(Storage::Kind::kArena, ByteSize(node.output(i)), index), 0};
      }
      PlaceOf(node.out(i)) = place;
      if (i > 0 || !runs) plain_[NumberOf(node.out(i))] = true;
      step.outputs.push_back(place);
    }
    LayoutUse use{.kernel = step.kernel.get(), .output = node.num_outputs() > 0 ? NumberOf(node.out()) : -1};
    for (ValueId input : node.inputs()) {
      use.inputs.push_back(input.valid() ? NumberOf(input) : -1);
      if (input.valid() && !runs) plain_[NumberOf(input)] = true;
    }
    if (runs) {
      uses_.push_back(std::move(use));
      executable_->steps_.push_back(std::move(step));
    }
    return absl::OkStatus();
  }

  // Factories name the node themselves where they report what is missing.
  static absl::Status WithTitle(const absl::Status& status, const std::string& title) {
    const bool named = absl::string_view(status.message()).substr(0, title.size()) == title;
    return named ? status : Annotate(status, title);
  }

  // A result's producer writes straight into the tensor that the caller gets, if that is all the storage holds.
  void AddResults(const Graph& graph) {
    const int end = static_cast<int>(executable_->steps_.size());
    for (const GraphOutput& output : graph.outputs()) {
      const TensorDesc& desc = graph.desc(output.value);
      const Place place = PlaceOf(output.value);
      plain_[NumberOf(output.value)] = true;
      Storage& storage = executable_->storages_[place.storage];
      const bool whole = place.offset == 0 && storage.bytes == ByteSize(desc);
      const bool own = storage.kind == Storage::Kind::kArena || storage.kind == Storage::Kind::kResult;
      if (whole && own) storage.kind = Storage::Kind::kResult;
      lives_[place.storage].last = end;
      executable_->results_.push_back({desc, place, !(whole && own)});
    }
  }

  int Root(int storage) const {
    while (storage >= 0 && lives_[storage].merged >= 0) storage = lives_[storage].merged;
    return storage;
  }

  // In-place results: where a kernel allows it and an input dies with it, the output continues in its memory.
  void ReuseInputs() {
    for (size_t t = 0; t < executable_->steps_.size(); ++t) {
      const Step& step = executable_->steps_[t];
      if (step.outputs.empty() || step.kernel->ViewOf(0)) continue;
      const int output = step.outputs[0].storage;
      const Storage& target = executable_->storages_[output];
      if (target.kind != Storage::Kind::kArena || target.bytes == 0) continue;
      for (size_t i = 0; i < step.inputs.size(); ++i) {
        const int source = Root(step.inputs[i].storage);
        if (source < 0 || !MayContinue(step, source, static_cast<int>(t), target.bytes)) continue;
        lives_[output].merged = source;
        lives_[source].last = std::max(lives_[source].last, lives_[output].last);
        break;
      }
    }
  }

  bool MayContinue(const Step& step, int source, int t, size_t bytes) const {
    const Storage& storage = executable_->storages_[source];
    if (storage.kind != Storage::Kind::kArena || storage.bytes != bytes || lives_[source].last != t) return false;
    // Every input in that memory must allow it, and other outputs of the node must not be views of it.
    for (size_t i = 0; i < step.inputs.size(); ++i) {
      if (Root(step.inputs[i].storage) != source) continue;
      if (step.inputs[i].offset != 0 || !step.kernel->MayOverwrite(static_cast<int>(i))) return false;
    }
    for (size_t i = 1; i < step.outputs.size(); ++i) {
      if (Root(step.outputs[i].storage) == source) return false;
    }
    return true;
  }

  absl::Status Finish(const std::shared_ptr<MemoryBudget>& budget) {
    CpuExecutable& made = *executable_;
    // Later steps see the storage that really holds their values.
    const auto resolve = [&](Place& place) { place.storage = Root(place.storage); };
    for (Step& step : made.steps_) {
      for (Place& place : step.inputs) resolve(place);
      for (Place& place : step.outputs) resolve(place);
    }
    for (auto& result : made.results_) resolve(result.place);

    size_t weights = 0;
    for (const auto& [storage, id] : constant_of_) {
      if (lives_[storage].last < 0) continue;
      weights += constants_[id].byte_size();
      made.storages_[storage].address = const_cast<std::byte*>(constants_[id].data());
      made.constants_.push_back(constants_[id]);
    }
    for (const Step& step : made.steps_) weights += step.kernel->weight_bytes();

    std::vector<MemoryRequest> requests;
    for (size_t s = 0; s < lives_.size(); ++s) {
      const Storage& storage = made.storages_[s];
      const bool in_arena = lives_[s].merged < 0 && (storage.kind == Storage::Kind::kArena ||
                                                     (storage.kind == Storage::Kind::kInput && lives_[s].last >= 0));
      requests.push_back({in_arena ? storage.bytes : 0, lives_[s].first, std::max(lives_[s].first, lives_[s].last)});
    }
    for (size_t t = 0; t < made.steps_.size(); ++t) {
      requests.push_back({made.steps_[t].kernel->scratch_bytes(), static_cast<int>(t), static_cast<int>(t)});
    }
    const MemoryPlan plan = PlanMemory(requests);

    ASSIGN_OR_RETURN(made.reservation_, budget->Reserve(weights, plan.total));
    made.weight_bytes_ = weights;
    constants_.clear();
    for (Step& step : made.steps_) {
      const ThreadScope scope(step.threads);
      RETURN_IF_ERROR_WITH(step.kernel->Prepare(), step.title);
    }
    // Never empty, so that values without elements have an address too.
    ASSIGN_OR_RETURN(made.arena_, Arena::Create(std::max(plan.total, kArenaAlignment)));
    made.addresses_.resize(made.storages_.size());
    for (size_t s = 0; s < made.storages_.size(); ++s) {
      Storage& storage = made.storages_[s];
      if (storage.kind != Storage::Kind::kConstant) storage.address = made.arena_.data() + plan.offsets[s];
      made.addresses_[s] = storage.address;
    }
    size_t most_inputs = 0, most_outputs = 0;
    for (size_t t = 0; t < made.steps_.size(); ++t) {
      made.steps_[t].scratch_offset = plan.offsets[made.storages_.size() + t];
      most_inputs = std::max(most_inputs, made.steps_[t].inputs.size());
      most_outputs = std::max(most_outputs, made.steps_[t].outputs.size());
    }
    made.input_pointers_.resize(most_inputs);
    made.output_pointers_.resize(most_outputs);
    return absl::OkStatus();
  }

  const CompileOptions options_;
  std::unique_ptr<CpuExecutable> executable_;
  std::vector<int> base_;       // by node id: position of its first output in places_
  std::vector<Place> places_;   // by value
  std::vector<bool> plain_;     // by value: others than kernels see it
  std::vector<LayoutUse> uses_;
  std::vector<Life> lives_;     // by storage
  std::vector<Tensor> constants_;                   // by node id
  std::vector<std::pair<int, int32_t>> constant_of_;  // storage, node id
};

absl::StatusOr<std::unique_ptr<Executable>> CpuExecutable::Compile(const Graph& slice, const CompileOptions& options,
                                                                   const std::shared_ptr<MemoryBudget>& budget) {
  return Compiler(options).Compile(slice, budget);
}

}  // namespace omserve::cpu
