#include "client/cli/probe.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numeric>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/base/status.h"
#include "core/ops/op.h"
#include "core/partition/epilogues.h"
#include "core/partition/local_work.h"

namespace omserve::cli {
namespace {

constexpr char kGroup[] = "probe";
constexpr char kDone[] = "done";
// Of an image that is pooled or resized.
constexpr int64_t kChannels = 16;
// Of what is transposed or masked as in attention.
constexpr int64_t kHeads = 4, kHeadSize = 32;

Tensor Filled(Shape shape, float value) {
  return Tensor::Of<float>(shape, std::vector<float>(static_cast<size_t>(NumElements(shape)), value));
}

bool IsOfImages(absl::string_view type) {
  return type == "MaxPoolV3" || type == "GlobalAveragePool" || type == "Resize";
}

// A result that is smaller than its operand each time would soon be denormal.
bool Shrinks(absl::string_view type) { return type == "Gelu" || type == "Swish" || type == "HardSwish"; }

// The slice of one rank.
class Builder {
 public:
  Builder(const Probe& probe, int rank, int ranks)
      : probe_(probe), rank_(rank), ranks_(ranks), graph_(absl::StrCat("probe_rank", rank)) {}

  absl::StatusOr<Graph> Build(int repetitions) {
    // What makes it a run: something goes in and comes out.
    const Node* go = graph_.AddData("go", {DataType::kFloat, {1}});
    ASSIGN_OR_RETURN(const ValueId done, Add("Neg", kDone, {go->out()}));
    x_ = graph_.AddConst("x", Filled(StartShape(), 1))->out();
    for (int i = 0; i < repetitions; ++i) RETURN_IF_ERROR(Repeat(i));
    graph_.AddOutput("done", done);
    return std::move(graph_);
  }

 private:
  Shape StartShape() const {
    switch (probe_.what) {
      case Probe::What::kOperator: {
        if (probe_.type == "Transpose") return {probe_.size / (kHeads * kHeadSize), kHeads, kHeadSize};
        if (probe_.type == "SelectV2") return {kHeads, probe_.size / (kHeads * kHeadSize), kHeadSize};
        if (!IsOfImages(probe_.type)) return {probe_.size / probe_.row, probe_.row};
        const int64_t side = std::llround(std::sqrt(static_cast<double>(probe_.size) / kChannels));
        return {1, kChannels, side, side};
      }
      case Probe::What::kProduct:
        if (probe_.batch > 1) return {probe_.batch, probe_.size, probe_.inner};
        return {probe_.size, probe_.inner};
      case Probe::What::kConvolution:
        return {1, probe_.inner > 0 ? probe_.inner : probe_.columns, probe_.size, probe_.size};
      case Probe::What::kCollective: break;
    }
    const int64_t elements = probe_.size / static_cast<int64_t>(sizeof(float));
    if (probe_.collective == CollectiveKind::kAllGather) return {elements / ranks_};
    if (probe_.collective == CollectiveKind::kAllToAll) return {ranks_, elements / ranks_};
    return {elements / ranks_ * ranks_};
  }

  absl::Status Repeat(int number) {
    switch (probe_.what) {
      case Probe::What::kOperator: return Operator(number);
      case Probe::What::kProduct: {
        if (probe_.batch > 1) {
          if (number == 0) {
            second_ = graph_.AddConst("second", Filled({probe_.batch, probe_.inner, probe_.columns}, 1))->out();
          }
          return Add("BatchMatMulV2", "product", {x_, second_}).status();  // read by nobody
        }
        // Weights of their own, so that they come from memory as those of a model do.
        const Node* weight = graph_.AddConst("w", Filled({probe_.inner, probe_.columns},
                                                         // So that values stay as they are.
                                                         probe_.epilogue ? 0 : 1 / static_cast<float>(probe_.inner)));
        const ValueId before = x_;
        ASSIGN_OR_RETURN(x_, Add("MatMulV2", "product", {x_, weight->out()}));
        if (!probe_.epilogue) return absl::OkStatus();
        ASSIGN_OR_RETURN(x_, Add("Relu", "activation", {x_}));
        ASSIGN_OR_RETURN(x_, Add("Add", "residual", {x_, before}));
        return absl::OkStatus();
      }
      case Probe::What::kConvolution: {
        const int64_t from = StartShape()[1], to = probe_.columns;
        ASSIGN_OR_RETURN(const ValueId y, Convolution(from, to));
        if (graph_.desc(y).shape[2] != probe_.size) return absl::OkStatus();  // read by nobody
        x_ = y;
        if (from == to) return absl::OkStatus();
        ASSIGN_OR_RETURN(x_, Convolution(to, from));
        return absl::OkStatus();
      }
      case Probe::What::kCollective: return Collective(number);
    }
    return absl::OkStatus();
  }

  // Of x_, whose values stay as they are: only the middle of the window counts.
  absl::StatusOr<ValueId> Convolution(int64_t from, int64_t to) {
    const int64_t groups = probe_.depthwise ? from : 1, window = probe_.window, stride = probe_.stride;
    Shape shape{to, from / groups, window, window};
    if (probe_.transposed) std::swap(shape[0], shape[1]);
    std::vector<float> weights(static_cast<size_t>(NumElements(shape)));
    const int64_t taps = window * window;
    for (size_t tap = static_cast<size_t>(taps / 2); tap < weights.size(); tap += static_cast<size_t>(taps)) {
      weights[tap] = static_cast<float>(groups) / static_cast<float>(from);
    }
    AttrMap attrs{{"strides", std::vector<int64_t>{1, 1, stride, stride}},
                  {"pads", std::vector<int64_t>(4, probe_.transposed ? (window - stride) / 2 : window / 2)},
                  {"groups", groups},
                  {"data_format", std::string("NCHW")}};
    const ValueId filter = graph_.AddConst("w", Tensor::Of<float>(shape, weights))->out();
    if (!probe_.transposed) return Add("Conv2D", "convolution", {x_, filter}, attrs);
    const int64_t side = probe_.size * stride;
    attrs.emplace("input_size", std::vector<int64_t>{1, to, side, side});
    return Add("Conv2DTransposeD", "convolution", {x_, filter}, attrs);
  }

  // What an operator has beside x_, the same each time.
  absl::Status AddParameters() {
    const auto floats = [&](Shape shape) { rest_.push_back(graph_.AddConst("second", Filled(std::move(shape), 1))->out()); };
    const auto ints = [&](const std::vector<int64_t>& values) {
      rest_.push_back(graph_.AddConst("parameter", Tensor::Int64s(values))->out());
    };
    const std::string& type = probe_.type;
    const Shape shape = StartShape();
    if (type == "Transpose") {
      ints({1, 0, 2});
    } else if (type == "ReduceMean") {
      ints({1});
    } else if (type == "GatherV2") {
      std::vector<int64_t> backwards(static_cast<size_t>(shape[0]));
      std::iota(backwards.rbegin(), backwards.rend(), 0);
      ints(backwards);
      ints({0});
    } else if (type == "ConcatD") {
      rest_.push_back(x_);
      attrs_ = {{"concat_dim", int64_t{1}}, {"N", int64_t{2}}};
    } else if (type == "SelectV2") {
      // One mask for all heads, which lets everything through.
      std::byte* mask = nullptr;
      Tensor all = Tensor::Allocate({DataType::kBool, {shape[1], shape[2]}}, &mask);
      std::fill_n(mask, all.byte_size(), std::byte{1});
      first_ = {graph_.AddConst("mask", std::move(all))->out()};
      rest_ = {graph_.AddConst("hidden", Tensor::Scalar<float>(0))->out()};
    } else if (type == "BroadcastTo") {
      ints({2, shape[0], shape[1]});
    } else if (type == "RmsNorm") {
      floats({probe_.row});
    } else if (type == "LayerNormV4") {
      ints({probe_.row});
      floats({probe_.row});
      floats({probe_.row});
    } else if (type == "MaxPoolV3") {
      attrs_ = {{"ksize", std::vector<int64_t>{1, 1, 3, 3}}, {"strides", std::vector<int64_t>{1, 1, 2, 2}},
                {"pads", std::vector<int64_t>(4, 1)},        {"padding_mode", std::string("CALCULATED")},
                {"data_format", std::string("NCHW")}};
    } else if (type == "Resize") {
      rest_ = {ValueId(), graph_.AddConst("scales", Tensor::Of<float>({4}, {1, 1, 2, 2}))->out()};
      attrs_ = {{"coordinate_transformation_mode", std::string("asymmetric")}, {"nearest_mode", std::string("floor")}};
    } else if (type != "GlobalAveragePool") {
      const OpDef* op = OpRegistry::Get().Find(type);
      if (op == nullptr || op->inputs.empty() || op->inputs.size() > 2) {
        return absl::InvalidArgumentError(absl::StrCat("there is no probe of operator '", type, "'"));
      }
      if (op->inputs.size() == 2) floats(shape);
    }
    return absl::OkStatus();
  }

  absl::Status Operator(int number) {
    if (number == 0) RETURN_IF_ERROR(AddParameters());
    std::vector<ValueId> inputs = first_;
    inputs.push_back(x_);
    inputs.insert(inputs.end(), rest_.begin(), rest_.end());
    ASSIGN_OR_RETURN(const ValueId y, Add(probe_.type, "operator", std::move(inputs), attrs_));
    // What has another shape is read by nobody; the rest is a chain.
    if (graph_.desc(y).shape == graph_.desc(x_).shape && !Shrinks(probe_.type)) x_ = y;
    return absl::OkStatus();
  }

  absl::Status Collective(int number) {
    AttrMap attrs{{"group", std::string(kGroup)}};
    const auto add = [&](const char* type) { return Add(type, "collective", {x_}, attrs); };
    switch (probe_.collective) {
      case CollectiveKind::kAllReduce: {
        attrs.emplace("reduction", std::string("max"));
        ASSIGN_OR_RETURN(x_, add("HcomAllReduce"));
        return absl::OkStatus();
      }
      case CollectiveKind::kAllToAll: {
        ASSIGN_OR_RETURN(x_, add("HcomAllToAll"));
        return absl::OkStatus();
      }
      case CollectiveKind::kBroadcast: {
        attrs.emplace("root_rank", int64_t{0});
        ASSIGN_OR_RETURN(x_, add("HcomBroadcast"));
        return absl::OkStatus();
      }
      // Results of another shape, which nobody reads.
      case CollectiveKind::kAllGather: {
        attrs.emplace("rank_size", int64_t{ranks_});
        return add("HcomAllGather").status();
      }
      case CollectiveKind::kReduceScatter: {
        attrs.emplace("rank_size", int64_t{ranks_});
        attrs.emplace("reduction", std::string("max"));
        return add("HcomReduceScatter").status();
      }
      case CollectiveKind::kSendReceive: return Message(number);
    }
    return absl::OkStatus();
  }

  // From rank 0 to rank 1, or back: each waits for the one before.
  absl::Status Message(int number) {
    const bool sends = rank_ == number % 2;
    AttrMap attrs{{"group", std::string(kGroup)}, {"sr_tag", int64_t{number}}};
    if (sends) {
      attrs.emplace("dest_rank", int64_t{1 - rank_});
      Node* node = graph_.AddNode("HcomSend", "send", {x_});
      for (const auto& [name, value] : attrs) node->SetAttr(name, value);
      return InferNode(graph_, *node);
    }
    attrs.emplace("src_rank", int64_t{1 - rank_});
    attrs.emplace("shape", StartShape());
    attrs.emplace("dtype", DataType::kFloat);
    ASSIGN_OR_RETURN(x_, Add("HcomReceive", "receive", {}, attrs));
    return absl::OkStatus();
  }

  absl::StatusOr<ValueId> Add(const std::string& type, const std::string& name, std::vector<ValueId> inputs,
                              const AttrMap& attrs = {}) {
    Node* node = graph_.AddNode(type, name, std::move(inputs));
    for (const auto& [key, value] : attrs) node->SetAttr(key, value);
    RETURN_IF_ERROR(InferNode(graph_, *node));
    return node->out();
  }

  const Probe& probe_;
  const int rank_, ranks_;
  Graph graph_;
  ValueId x_, second_;
  std::vector<ValueId> first_, rest_;  // inputs before and behind x_
  AttrMap attrs_;
};

}  // namespace

absl::StatusOr<std::vector<OperatorWork>> Probe::Work() const {
  ASSIGN_OR_RETURN(const Graph graph, Builder(*this, 0, 1).Build(1));
  const Mesh mesh({0});
  const Cluster cluster = Cluster::Local(1);
  Resharder resharder(mesh, cluster);
  const Epilogues epilogues = FindEpilogues(graph);
  std::vector<OperatorWork> all;
  for (const int32_t id : graph.NodeIds()) {
    const Node& node = *graph.node(id);
    if (node.is_data() || node.is_const() || node.is("NetOutput") || node.name() == kDone) continue;
    ASSIGN_OR_RETURN(const std::vector<Strategy> strategies, EnumerateStrategies(graph, node, cluster, resharder));
    OperatorWork work = LocalWork(graph, node, mesh, strategies[0]);
    if (work.type == node.type()) work.type = OpRegistry::Get().Find(node.type())->type;  // which outlives the node
    work.epilogue = epilogues.contains(id);
    all.push_back(work);
  }
  return all;
}

int64_t Probe::weights() const {
  if (what == What::kProduct && batch == 1) return inner * columns;
  if (what != What::kConvolution) return 0;
  const int64_t from = depthwise ? 1 : inner > 0 ? inner : columns;
  return from * columns * window * window * (inner > 0 && inner != columns ? 2 : 1);
}

absl::StatusOr<SlicedModel> ProbeModel(const Probe& probe, const std::vector<LogicalDeviceId>& devices, int repetitions) {
  SlicedModel model;
  ModelInfo& info = model.info;
  info.name = "omctl_calibrate";
  info.inputs = info.outputs = {{"go", {DataType::kFloat, {1}}}};
  info.outputs[0].name = "done";
  const int ranks = static_cast<int>(devices.size());
  for (int rank = 0; rank < ranks; ++rank) {
    ASSIGN_OR_RETURN(Graph graph, Builder(probe, rank, ranks).Build(repetitions));
    SliceInfo slice;
    slice.name = graph.name();
    slice.devices = {devices[static_cast<size_t>(rank)]};
    slice.inputs = {0};
    slice.outputs = {{0, {0}, {1}}};
    info.slices.push_back(std::move(slice));
    model.graphs.push_back(std::move(graph));
  }
  if (probe.what == Probe::What::kCollective) {
    HcomGroup& group = info.groups.emplace_back();
    group.name = kGroup;
    group.ranks.resize(devices.size());
    std::iota(group.ranks.begin(), group.ranks.end(), 0);
  }
  return model;
}

}  // namespace omserve::cli
