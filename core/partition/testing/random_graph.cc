#include "core/partition/testing/random_graph.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include "absl/strings/str_cat.h"
#include "core/base/status.h"
#include "core/ops/op.h"
#include "core/partition/transfer.h"
#include "core/partition/weight_gather.h"

namespace omserve {
namespace {

constexpr double kLargestExact = 1 << 22;

class Generator {
 public:
  explicit Generator(std::mt19937& rng) : rng_(rng), graph_("random") {}

  Graph Make(int num_nodes, bool vocabulary) {
    const int inputs = Uniform(1, 3);
    for (int i = 0; i < inputs; ++i) {
      Remember(graph_.AddData(absl::StrCat("x", i), {DataType::kFloat, RandomShape()})->out(), 4);
    }
    for (int i = 0; i < num_nodes; ++i) AddOperator();
    const int outputs = Uniform(1, 3);
    for (int i = 0; i < outputs; ++i) {
      const Value& value = i == 0 ? values_.back() : Any();
      if (std::any_of(graph_.outputs().begin(), graph_.outputs().end(),
                      [&](const GraphOutput& o) { return o.value == value.id; })) {
        continue;
      }
      graph_.AddOutput(absl::StrCat("y", i), value.id);
    }
    if (vocabulary) AddVocabulary();
    graph_.RemoveUnused();
    return std::move(graph_);
  }

 private:
  // A float value with a bound on its magnitude.
  struct Value {
    ValueId id;
    double bound;
  };

  int Uniform(int low, int high) { return std::uniform_int_distribution<int>(low, high)(rng_); }
  bool Chance(double p) { return std::uniform_real_distribution<double>(0, 1)(rng_) < p; }

  // Sizes with different divisors, so that meshes of 2, 3, 4, 6 and 8 find something to cut and something not.
  int64_t RandomDim() {
    static constexpr int64_t kDims[] = {1, 2, 3, 4, 5, 6, 8, 12, 16};
    return kDims[Uniform(0, static_cast<int>(std::size(kDims)) - 1)];
  }

  Shape RandomShape() {
    Shape shape(static_cast<size_t>(Uniform(1, 3)));
    for (int64_t& dim : shape) dim = RandomDim();
    return shape;
  }

  const Value& Any() { return values_[static_cast<size_t>(Uniform(0, static_cast<int>(values_.size()) - 1))]; }
  const Shape& ShapeOf(const Value& value) { return graph_.desc(value.id).shape; }

  void Remember(ValueId id, double bound) { values_.push_back({id, bound}); }

  ValueId FloatConst(const Shape& shape, int magnitude) {
    std::vector<float> data(static_cast<size_t>(NumElements(shape)));
    for (float& x : data) x = static_cast<float>(Uniform(-magnitude, magnitude));
    return graph_.AddConst("c", Tensor::Of<float>(shape, data))->out();
  }

  ValueId IntConst(const std::vector<int64_t>& values) { return graph_.AddConst("p", Tensor::Int64s(values))->out(); }

  // Adds a node if it infers and stays exact; large values are clipped on the way.
  bool Try(const std::string& type, std::vector<ValueId> inputs, double bound, AttrMap attrs = {}) {
    if (bound > kLargestExact) return false;
    Node* node = graph_.AddNode(type, type, std::move(inputs));
    for (auto& [key, value] : attrs) node->SetAttr(key, value);
    const absl::Status status = InferNode(graph_, *node);
    if (!status.ok() || NumElements(node->output().shape) > 4096) {
      graph_.Remove(node->id());
      return false;
    }
    Remember(node->out(), bound);
    return true;
  }

  void Clip(const Value& value) {
    if (value.bound <= 8) return;
    const ValueId low = graph_.AddConst("low", Tensor::Scalar<float>(-4))->out();
    const ValueId high = graph_.AddConst("high", Tensor::Scalar<float>(4))->out();
    Try("ClipByValue", {value.id, low, high}, 4);
  }

  void AddOperator() {
    const Value x = Any();
    const Shape shape = ShapeOf(x);
    const int rank = static_cast<int>(shape.size());
    if (rank == 0) return;  // scalars end here; other values go on
    switch (Uniform(0, 21)) {
      case 0:
      case 1: {  // product with a constant matrix
        if (rank < 2 || shape.back() == 0) return;
        const int64_t k = shape.back(), n = RandomDim();
        const bool transposed = Chance(0.3);
        const ValueId w = FloatConst(transposed ? Shape{n, k} : Shape{k, n}, 2);
        if (rank == 2 && Chance(0.5)) {
          Try("MatMulV2", {x.id, w}, x.bound * 2 * static_cast<double>(k), {{"transpose_x2", transposed}});
        } else {
          Try("BatchMatMulV2", {x.id, w}, x.bound * 2 * static_cast<double>(k), {{"adj_x2", transposed}});
        }
        break;
      }
      case 2: {  // product of two computed values: x · xᵀ
        if (rank < 2) return;
        Try("BatchMatMulV2", {x.id, x.id}, x.bound * x.bound * static_cast<double>(shape.back()),
            {{"adj_x2", true}});
        break;
      }
      case 3: {
        static const char* kTypes[] = {"Add", "Sub", "Mul", "Maximum", "Minimum"};
        const int which = Uniform(0, 4);
        const Value y = SameOrBroadcast(shape, x);
        Try(kTypes[which], Chance(0.5) ? std::vector<ValueId>{x.id, y.id} : std::vector<ValueId>{y.id, x.id},
            which == 2 ? x.bound * y.bound : which < 2 ? x.bound + y.bound : std::max(x.bound, y.bound));
        break;
      }
      case 4: {
        static const char* kTypes[] = {"Relu", "Neg", "Abs", "Square"};
        const int which = Uniform(0, 3);
        Try(kTypes[which], {x.id}, which == 3 ? x.bound * x.bound : x.bound);
        break;
      }
      case 5: {
        std::vector<int64_t> perm(static_cast<size_t>(rank));
        for (int i = 0; i < rank; ++i) perm[i] = i;
        std::shuffle(perm.begin(), perm.end(), rng_);
        Try("Transpose", {x.id, IntConst(perm)}, x.bound);
        break;
      }
      case 6:
      case 7: AddReshape(x, shape); break;
      case 8: {
        const int64_t axis = Uniform(0, rank - 1);
        static const char* kTypes[] = {"ReduceSum", "ReduceMax", "ReduceMin"};
        const int which = Uniform(0, 2);
        Try(kTypes[which], {x.id, IntConst({axis})},
            which == 0 ? x.bound * static_cast<double>(shape[axis]) : x.bound, {{"keep_dims", Chance(0.5)}});
        break;
      }
      case 9: {
        const Value y = Any();
        const int64_t axis = Uniform(0, rank - 1);
        Try("ConcatD", {x.id, y.id}, std::max(x.bound, y.bound), {{"concat_dim", axis}, {"N", int64_t{2}}});
        break;
      }
      case 10: {
        std::vector<int64_t> begin(shape.size(), 0), size(shape.begin(), shape.end());
        const int axis = Uniform(0, rank - 1);
        begin[axis] = Uniform(0, static_cast<int>(shape[axis]) - 1);
        size[axis] = Uniform(1, static_cast<int>(shape[axis] - begin[axis]));
        Try("Slice", {x.id, IntConst(begin), IntConst(size)}, x.bound);
        break;
      }
      case 11: {  // rows of a table by a model input
        const int64_t rows = RandomDim() * 2;
        const ValueId table = FloatConst({rows, RandomDim()}, 4);
        Node* ids = graph_.AddData(absl::StrCat("ids", graph_.inputs().size()), {DataType::kInt64, {RandomDim()}});
        ids->SetAttr("rows", rows);
        Try("GatherV2", {table, ids->out(), IntConst({0})}, 4, {{"negative_index_support", true}});
        break;
      }
      case 12: {
        const ValueId zero = graph_.AddConst("zero", Tensor::Scalar<float>(0))->out();
        Node* condition = graph_.AddNode("Greater", "Greater", {x.id, zero});
        if (!InferNode(graph_, *condition).ok()) return;
        const Value y = SameOrBroadcast(shape, x);
        Try("SelectV2", {condition->out(), x.id, y.id}, std::max(x.bound, y.bound));
        break;
      }
      case 13: {
        Shape wide = shape;
        wide.insert(wide.begin(), RandomDim());
        Try("BroadcastTo", {x.id, IntConst(wide)}, x.bound);
        break;
      }
      case 14: {
        const Value y = SameOrBroadcast(shape, x);
        Try("Add", {x.id, y.id}, x.bound + y.bound);
        break;
      }
      case 15: {
        if (rank < 2 || shape.back() % 2 != 0) return;
        Node* split = graph_.AddNode("SplitD", "SplitD", {x.id});
        split->SetAttr("split_dim", static_cast<int64_t>(rank - 1));
        split->SetAttr("num_split", int64_t{2});
        if (!InferNode(graph_, *split).ok()) {
          graph_.Remove(split->id());
          return;
        }
        Remember(split->out(0), x.bound);
        Remember(split->out(1), x.bound);
        break;
      }
      case 16: {  // searches, of values with ties; positions count as values
        const int axis = Uniform(0, rank - 1);
        const AttrMap to_float{{"dst_type", int64_t{ToAclNumber(DataType::kFloat)}}};
        if (Chance(0.5)) {
          Node* top = graph_.AddNode("TopK", "TopK", {x.id, IntConst({Uniform(1, static_cast<int>(shape[axis]))})});
          top->SetAttr("dim", static_cast<int64_t>(axis));
          top->SetAttr("largest", Chance(0.5));
          if (!InferNode(graph_, *top).ok()) return;
          Remember(top->out(0), x.bound);
          Try("Cast", {top->out(1)}, static_cast<double>(shape[axis]), to_float);
        } else {
          Node* arg = graph_.AddNode(Chance(0.5) ? "ArgMaxV2" : "ArgMin", "Arg", {x.id, IntConst({axis})});
          arg->SetAttr("dtype", Chance(0.5) ? DataType::kInt32 : DataType::kInt64);
          if (!InferNode(graph_, *arg).ok()) return;
          Try("Cast", {arg->out()}, static_cast<double>(shape[axis]), to_float);
        }
        break;
      }
      case 17: {  // the sum of magnitudes
        const int64_t axis = Uniform(0, rank - 1);
        Try("LpNormV2", {x.id}, x.bound * static_cast<double>(shape[axis]),
            {{"p", 1.0f}, {"axes", std::vector<int64_t>{axis}}, {"keepdim", Chance(0.5)}});
        break;
      }
      case 18:
      case 19: AddImageOperator(x, shape); break;
      default: Clip(x); break;
    }
  }

  // An embedding and a head over more words than anything divides, which may be one table.
  void AddVocabulary() {
    const int64_t words = 1025 + Uniform(0, 40), width = Uniform(1, 4);
    const ValueId table = FloatConst({words, width}, 4);
    Node* ids = graph_.AddData(absl::StrCat("words", graph_.inputs().size()), {DataType::kInt64, {Uniform(1, 3), 2}});
    ids->SetAttr("rows", words);
    if (!Try("GatherV2", {table, ids->out(), IntConst({0})}, 4)) return;
    const Value x = values_.back();
    graph_.AddOutput("embedded", x.id);
    const bool tied = Chance(0.5);
    Node* head = graph_.AddNode("BatchMatMulV2", "head", {x.id, tied ? table : FloatConst({width, words}, 2)});
    head->SetAttr("adj_x2", tied);
    if (!InferNode(graph_, *head).ok()) return;
    ValueId logits = head->out();
    if (Chance(0.5)) {
      Node* sum = graph_.AddNode("Add", "head_bias", {logits, FloatConst({words}, 4)});
      if (!InferNode(graph_, *sum).ok()) return;
      logits = sum->out();
    }
    Node* relu = graph_.AddNode("Relu", "likely", {logits});
    if (!InferNode(graph_, *relu).ok()) return;
    graph_.AddOutput("logits", Chance(0.5) ? relu->out() : logits);
  }

  // A convolution or a maximum over windows, of a value seen as an image or of a new input.
  void AddImageOperator(const Value& x, const Shape& shape) {
    Value image = x;
    Shape dims = shape;
    if (shape.size() == 3 && Chance(0.5)) {
      dims.insert(dims.begin(), 1);
      if (!Try("Reshape", {x.id, IntConst(dims)}, x.bound)) return;
      image = values_.back();
    } else if (shape.size() != 4) {
      static constexpr int64_t kSizes[] = {3, 4, 6, 8, 12};
      dims = {Uniform(1, 2), Uniform(1, 4), kSizes[Uniform(0, 4)], kSizes[Uniform(0, 4)]};
      image = {graph_.AddData(absl::StrCat("image", graph_.inputs().size()), {DataType::kFloat, dims})->out(), 4};
      Remember(image.id, 4);
    }
    const int64_t kernel = Uniform(1, 4), stride = Uniform(1, 2), dilation = Uniform(1, 2);
    std::vector<int64_t> pads;
    for (int d = 0; d < 2; ++d) {
      const int64_t begin = Uniform(0, static_cast<int>(kernel - 1));
      // What makes the image as high as the stride times the output, or not.
      pads.push_back(begin);
      pads.push_back(Chance(0.7) ? std::max<int64_t>(0, dilation * (kernel - 1) + 1 - stride - begin) : 0);
    }
    AttrMap attrs{{"strides", std::vector<int64_t>{1, 1, stride, stride}},
                  {"pads", pads},
                  {"data_format", std::string("NCHW")}};
    if (Chance(0.3)) {
      attrs["ksize"] = std::vector<int64_t>{1, 1, kernel, kernel};
      if (Chance(0.3)) attrs["padding_mode"] = std::string(Chance(0.5) ? "SAME" : "VALID");
      attrs["ceil_mode"] = Chance(0.3);
      Try("MaxPoolV3", {image.id}, image.bound, attrs);
      return;
    }
    attrs["dilations"] = std::vector<int64_t>{1, 1, dilation, dilation};
    const int64_t channels = dims[1];
    const double bound = image.bound * 2 * static_cast<double>(channels * kernel * kernel) + 4;
    if (Chance(0.3)) {
      Try("DepthwiseConv2D", {image.id, FloatConst({1, channels, kernel, kernel}, 2)}, bound, attrs);
      return;
    }
    const int64_t filters = Uniform(1, 4);
    std::vector<ValueId> inputs{image.id, FloatConst({filters, channels, kernel, kernel}, 2)};
    if (Chance(0.5)) inputs.push_back(FloatConst({filters}, 4));
    Try("Conv2D", inputs, bound, attrs);
  }

  // A value that broadcasts against `shape`: one computed before, or a constant.
  Value SameOrBroadcast(const Shape& shape, const Value& x) {
    for (int attempt = 0; attempt < 4; ++attempt) {
      const Value& y = Any();
      if (!(y.id == x.id) && BroadcastShapes(shape, ShapeOf(y)).ok()) return y;
    }
    Shape partial(shape.begin() + Uniform(0, static_cast<int>(shape.size()) - 1), shape.end());
    if (Chance(0.3)) partial[0] = 1;
    return {FloatConst(partial, 4), 4};
  }

  void AddReshape(const Value& x, const Shape& shape) {
    Shape target;
    for (int64_t dim : shape) {
      if (!target.empty() && Chance(0.4)) {
        target.back() *= dim;
      } else if (dim % 2 == 0 && dim > 2 && Chance(0.4)) {
        target.push_back(dim / 2);
        target.push_back(2);
      } else if (dim % 3 == 0 && dim > 3 && Chance(0.4)) {
        target.push_back(3);
        target.push_back(dim / 3);
      } else {
        target.push_back(dim);
      }
      if (Chance(0.1)) target.push_back(1);
    }
    if (target.size() > 5) return;
    Try("Reshape", {x.id, IntConst(target)}, x.bound);
  }

  std::mt19937& rng_;
  Graph graph_;
  std::vector<Value> values_;
};

}  // namespace

Graph RandomGraph(std::mt19937& rng, int num_nodes, bool vocabulary) {
  return Generator(rng).Make(num_nodes, vocabulary);
}

std::vector<Tensor> RandomInputs(const Graph& graph, std::mt19937& rng) {
  std::vector<Tensor> inputs;
  for (int32_t id : graph.inputs()) {
    const Node& data = *graph.node(id);
    const size_t count = static_cast<size_t>(NumElements(data.output().shape));
    if (data.output().type == DataType::kInt64) {
      const int64_t rows = data.AttrOr<int64_t>("rows", 1);
      std::vector<int64_t> values(count);
      for (int64_t& value : values) value = std::uniform_int_distribution<int64_t>(-rows, rows - 1)(rng);
      inputs.push_back(Tensor::Of<int64_t>(data.output().shape, values));
    } else {
      std::vector<float> values(count);
      for (float& value : values) value = static_cast<float>(std::uniform_int_distribution<int>(-4, 4)(rng));
      inputs.push_back(Tensor::Of<float>(data.output().shape, values));
    }
  }
  return inputs;
}

namespace {

// Some weights are held in parts, cut over any axes that do not cut them yet.
void HoldAtRandom(const Graph& graph, const Node& node, const Mesh& mesh, std::mt19937& rng, Strategy* strategy) {
  for (int i = 0; i < node.num_inputs(); ++i) {
    if (rng() % 4 == 0 || !MayBeGathered(graph, node, i)) continue;
    const Shape& shape = graph.desc(node.input(i)).shape;
    Sharding held = strategy->inputs[static_cast<size_t>(i)];
    for (int8_t axis = 0; axis < mesh.num_axes(); ++axis) {
      if (held.UsedAxes() >> axis & 1) continue;
      // Along the first dimension from here on that divides.
      const size_t first = rng() % shape.size();
      for (size_t d = 0; d < shape.size(); ++d) {
        Sharding further = held;
        further.dims[(first + d) % shape.size()].push_back(axis);
        if (!IsLegal(mesh, further, shape)) continue;
        held = std::move(further);
        break;
      }
    }
    if (held != strategy->inputs[static_cast<size_t>(i)]) strategy->held.emplace_back(i, std::move(held));
  }
}

}  // namespace

absl::StatusOr<Plan> RandomPlan(const Graph& graph, const Cluster& cluster, const std::vector<int>& stage_sizes,
                                std::mt19937& rng) {
  Plan plan;
  plan.stages.clear();
  std::vector<std::unique_ptr<Resharder>> resharders;
  int next_device = 0;
  for (int size : stage_sizes) {
    std::vector<int> devices(static_cast<size_t>(size));
    std::iota(devices.begin(), devices.end(), next_device);
    next_device += size;
    // Prime axes, or some of them joined: 12 as 2x2x3, 4x3, 2x6 or 12.
    const Mesh prime(devices);
    std::vector<int> axes;
    for (int axis : prime.axis_sizes()) {
      if (!axes.empty() && rng() % 3 == 0) {
        axes.back() *= axis;
      } else {
        axes.push_back(axis);
      }
    }
    plan.stages.emplace_back(devices, axes);
  }
  for (const Mesh& mesh : plan.stages) resharders.push_back(std::make_unique<Resharder>(mesh, cluster));
  std::map<std::pair<int, int>, std::unique_ptr<TransferPlanner>> transfers;
  auto transfer = [&](int from, int to) -> TransferPlanner& {
    auto& slot = transfers[{from, to}];
    if (!slot) {
      slot = std::make_unique<TransferPlanner>(*resharders[from], *resharders[to], plan.stages[from], plan.stages[to], cluster);
    }
    return *slot;
  };
  plan.weight_prefetch.ahead = rng() % 3 != 0;
  plan.weight_prefetch.buffer_bytes = rng() % 2 == 0 ? 0 : 64 << rng() % 6;
  ASSIGN_OR_RETURN(const std::vector<int32_t> order, graph.TopologicalOrder());
  for (int32_t id : order) {
    const Node& node = *graph.node(id);
    if (node.is_data() || node.is_const()) continue;
    int stage = 0;
    for (ValueId input : node.inputs()) {
      if (input.valid()) stage = std::max(stage, plan.stage(input.node));
    }
    // Stages need not be runs of the order: any that no value flows back from.
    while (stage + 1 < plan.num_stages() && std::uniform_int_distribution<int>(0, 2)(rng) == 0) ++stage;
    if (stage > 0) plan.stage_of[id] = stage;
    Resharder& resharder = *resharders[stage];
    ASSIGN_OR_RETURN(std::vector<Strategy> strategies,
                     EnumerateStrategies(graph, node, cluster, resharder,
                                         {.max_assignments = 1000, .keep_dominated = true}));
    std::shuffle(strategies.begin(), strategies.end(), rng);
    for (Strategy& strategy : strategies) {
      bool reachable = true;
      for (int i = 0; i < node.num_inputs(); ++i) {
        const ValueId input = node.input(i);
        if (!input.valid() || graph.node(input.node)->is_const()) continue;
        const Sharding produced = ProducedSharding(graph, plan, input);
        const int from = plan.strategies.contains(input.node) ? plan.stage(input.node) : stage;
        reachable &= std::isfinite(
            from == stage ? resharder.Seconds(produced, strategy.inputs[i], graph.desc(input))
                          : transfer(from, stage).Best(produced, strategy.inputs[i], graph.desc(input)).seconds);
      }
      if (!reachable) continue;
      HoldAtRandom(graph, node, plan.stages[static_cast<size_t>(stage)], rng, &strategy);
      plan.strategies.emplace(id, std::move(strategy));
      break;
    }
    if (!plan.strategies.contains(id)) {
      return absl::InternalError(absl::StrCat("no strategy of '", node.name(), "' can be reached"));
    }
  }
  for (const GraphOutput& output : graph.outputs()) {
    Sharding sharding = ProducedSharding(graph, plan, output.value);
    sharding.partial = 0;
    plan.outputs.push_back(std::move(sharding));
  }
  return plan;
}

absl::StatusOr<Plan> RandomPlan(const Graph& graph, const Cluster& cluster, int num_devices, std::mt19937& rng) {
  return RandomPlan(graph, cluster, std::vector<int>{num_devices}, rng);
}

}  // namespace omserve
