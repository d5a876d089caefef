#include "client/cli/probe.h"

#include <numeric>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/base/status.h"
#include "core/ops/op.h"

namespace omserve::cli {
namespace {

constexpr char kGroup[] = "probe";
// Of a row; what an axis of a softmax has.
constexpr int64_t kRow = 64;

Tensor Filled(Shape shape, float value) {
  return Tensor::Of<float>(shape, std::vector<float>(static_cast<size_t>(NumElements(shape)), value));
}

// The parameter of operators that take one beside their operand; empty for others.
std::vector<int64_t> ParameterOf(absl::string_view type) {
  if (type == "Transpose") return {1, 0};
  if (type == "ReduceMean") return {1};
  return {};
}

// 0: no such operator.
size_t NumOperands(const std::string& type) {
  const OpDef* op = OpRegistry::Get().Find(type);
  if (op == nullptr) return 0;
  return op->inputs.size() - (ParameterOf(type).empty() ? 0 : 1);
}

// The slice of one rank.
class Builder {
 public:
  Builder(const Probe& probe, int rank, int ranks)
      : probe_(probe), rank_(rank), ranks_(ranks), graph_(absl::StrCat("probe_rank", rank)) {}

  absl::StatusOr<Graph> Build(int repetitions) {
    // What makes it a run: something goes in and comes out.
    const Node* go = graph_.AddData("go", {DataType::kFloat, {1}});
    ASSIGN_OR_RETURN(const ValueId done, Add("Neg", "done", {go->out()}));
    x_ = graph_.AddConst("x", Filled(StartShape(), 1))->out();
    for (int i = 0; i < repetitions; ++i) RETURN_IF_ERROR(Repeat(i));
    graph_.AddOutput("done", done);
    return std::move(graph_);
  }

 private:
  Shape StartShape() const {
    switch (probe_.what) {
      case Probe::What::kOperator: return {probe_.size / kRow, kRow};
      case Probe::What::kProduct:
        if (probe_.batch > 1) return {probe_.batch, probe_.size, probe_.inner};
        return {probe_.size, probe_.inner};
      case Probe::What::kConvolution: return {1, probe_.columns, probe_.size, probe_.size};
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
                                                         1 / static_cast<float>(probe_.inner)));
        ASSIGN_OR_RETURN(x_, Add("MatMulV2", "product", {x_, weight->out()}));
        return absl::OkStatus();
      }
      case Probe::What::kConvolution: {
        const Node* weight = graph_.AddConst(
            "w", Filled({probe_.columns, probe_.depthwise ? 1 : probe_.columns, probe_.window, probe_.window},
                        1 / static_cast<float>(probe_.columns * probe_.window * probe_.window)));
        ASSIGN_OR_RETURN(x_, Add("Conv2D", "convolution", {x_, weight->out()},
                                 {{"strides", std::vector<int64_t>(4, 1)},
                                  {"pads", std::vector<int64_t>(4, probe_.window / 2)},
                                  {"groups", probe_.depthwise ? probe_.columns : int64_t{1}},
                                  {"data_format", std::string("NCHW")}}));
        return absl::OkStatus();
      }
      case Probe::What::kCollective: return Collective(number);
    }
    return absl::OkStatus();
  }

  absl::Status Operator(int number) {
    const size_t operands = NumOperands(probe_.type);
    if (operands != 1 && operands != 2) {
      return absl::InvalidArgumentError(absl::StrCat("there is no probe of operator '", probe_.type, "'"));
    }
    const std::vector<int64_t> parameter = ParameterOf(probe_.type);
    if (number == 0 && operands == 2) second_ = graph_.AddConst("second", Filled(StartShape(), 1))->out();
    if (number == 0 && !parameter.empty()) second_ = graph_.AddConst("parameter", Tensor::Int64s(parameter))->out();
    std::vector<ValueId> inputs{x_};
    if (second_.valid()) inputs.push_back(second_);
    ASSIGN_OR_RETURN(const ValueId y, Add(probe_.type, "operator", std::move(inputs)));
    // What has another shape is read by nobody; the rest is a chain.
    if (graph_.desc(y).shape == graph_.desc(x_).shape) x_ = y;
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
};

}  // namespace

double Probe::bytes() const {
  const double element = sizeof(float);
  if (what == What::kCollective) return static_cast<double>(size);
  if (what == What::kProduct) {
    return element * static_cast<double>(batch * (size * inner + inner * columns + size * columns));
  }
  if (what == What::kConvolution) {
    return element * static_cast<double>(2 * columns * size * size + columns * taps());
  }
  const double read = element * static_cast<double>(size) * static_cast<double>(NumOperands(type));
  return read + element * static_cast<double>(type == "ReduceMean" ? size / kRow : size);
}

int64_t Probe::weights() const {
  if (what == What::kProduct && batch == 1) return inner * columns;
  return what == What::kConvolution ? columns * taps() : 0;
}

OperatorWork Probe::work() const {
  if (what == What::kConvolution) {
    return {.type = depthwise ? "DepthwiseConv2D" : "Conv2D",
            .flops = 2.0 * static_cast<double>(columns * taps()) * static_cast<double>(size * size),
            .bytes = bytes(),
            .rows = size * size,
            .columns = depthwise ? 0 : columns,
            .inner = taps()};
  }
  return {.type = "BatchMatMulV2",
          .flops = 2.0 * static_cast<double>(batch * size) * static_cast<double>(columns) * static_cast<double>(inner),
          .bytes = bytes(),
          .rows = batch * size,
          .columns = columns,
          .inner = inner};
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
