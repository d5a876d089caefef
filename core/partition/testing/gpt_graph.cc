#include "core/partition/testing/gpt_graph.h"

#include <sys/mman.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/ops/op.h"

namespace omserve {
namespace {

// Reserved addresses that read as zeros; every weight is a view of them.
Buffer Untouched(size_t bytes) {
  void* memory = mmap(nullptr, bytes, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) std::abort();
  std::shared_ptr<const void> owner(memory, [bytes](const void* p) { munmap(const_cast<void*>(p), bytes); });
  return Buffer(owner, static_cast<const std::byte*>(memory), bytes);
}

class Builder {
 public:
  explicit Builder(const GptSize& size)
      : size_(size),
        graph_("gpt"),
        zeros_(Untouched(static_cast<size_t>(2 * size.hidden * std::max(size.vocabulary, 4 * size.hidden)))) {
  }

  Graph Build() {
    const int64_t h = size_.hidden;
    const Shape ids_shape{size_.batch, size_.tokens};
    const ValueId ids = graph_.AddData("input_ids", {DataType::kInt64, ids_shape})->out();
    const ValueId mask =
        graph_.AddData("mask", {DataType::kFloat16, {1, 1, size_.tokens, size_.tokens}})->out();
    ValueId x = Add("GatherV2", "embedding", {Weight("wte", {size_.vocabulary, h}), ids, Ints("axis", {0})});
    x = Add("Add", "positions", {x, Weight("wpe", {size_.tokens, h})});
    for (int64_t layer = 0; layer < size_.layers; ++layer) {
      const std::string name = absl::StrCat("layer.", layer, ".");
      const ValueId attended = Attention(name, Norm(name + "ln1", x), mask);
      x = Add("Add", name + "residual1", {x, attended});
      x = Add("Add", name + "residual2", {x, Mlp(name, Norm(name + "ln2", x))});
    }
    x = Norm("ln_f", x);
    graph_.AddOutput("logits", Dense("lm_head", x, h, size_.vocabulary, /*bias=*/false));
    return std::move(graph_);
  }

 private:
  ValueId Add(const std::string& type, const std::string& name, std::vector<ValueId> inputs,
              AttrMap attrs = {}) {
    Node* node = graph_.AddNode(type, name, std::move(inputs));
    for (auto& [key, value] : attrs) node->SetAttr(key, std::move(value));
    const absl::Status status = InferNode(graph_, *node);
    if (!status.ok()) {
      std::fprintf(stderr, "%s\n", status.ToString().c_str());
      std::abort();
    }
    return node->out();
  }

  ValueId Weight(const std::string& name, const Shape& shape) {
    const TensorDesc desc{DataType::kFloat16, shape};
    return graph_.AddConst(name, Tensor::Create(desc, zeros_.Slice(0, ByteSize(desc))).value())->out();
  }
  ValueId Ints(const std::string& name, const std::vector<int64_t>& values) {
    return graph_.AddConst(name, Tensor::Int64s(values))->out();
  }

  ValueId Dense(const std::string& name, ValueId x, int64_t in, int64_t out, bool bias = true) {
    const ValueId y = Add("BatchMatMulV2", name, {x, Weight(name + ".weight", {in, out})});
    return bias ? Add("Add", name + ".add", {y, Weight(name + ".bias", {out})}) : y;
  }
  ValueId Norm(const std::string& name, ValueId x) {
    return Add("LayerNormV4", name,
               {x, Ints(name + ".shape", {size_.hidden}), Weight(name + ".gamma", {size_.hidden}),
                Weight(name + ".beta", {size_.hidden})});
  }
  ValueId Heads(const std::string& name, ValueId x, const std::vector<int64_t>& perm) {
    const int64_t n = size_.heads;
    x = Add("Reshape", name + ".split",
            {x, Ints(name + ".split.shape", {size_.batch, size_.tokens, n, size_.hidden / n})});
    return Add("Transpose", name + ".transpose", {x, Ints(name + ".perm", perm)});
  }
  ValueId Attention(const std::string& name, ValueId x, ValueId mask) {
    const int64_t h = size_.hidden;
    const ValueId q = Heads(name + "q", Dense(name + "query", x, h, h), {0, 2, 1, 3});
    const ValueId k = Heads(name + "k", Dense(name + "key", x, h, h), {0, 2, 3, 1});
    const ValueId v = Heads(name + "v", Dense(name + "value", x, h, h), {0, 2, 1, 3});
    ValueId scores = Add("BatchMatMulV2", name + "scores", {q, k});
    scores = Add("Mul", name + "scale", {scores, Weight(name + "scale.factor", {})});
    scores = Add("Add", name + "masked", {scores, mask});
    scores = Add("SoftmaxV2", name + "softmax", {scores}, {{"axes", std::vector<int64_t>{-1}}});
    ValueId context = Add("BatchMatMulV2", name + "context", {scores, v});
    context = Add("Transpose", name + "back", {context, Ints(name + "back.perm", {0, 2, 1, 3})});
    context =
        Add("Reshape", name + "join", {context, Ints(name + "join.shape", {size_.batch, size_.tokens, h})});
    return Dense(name + "projection", context, h, h);
  }
  ValueId Mlp(const std::string& name, ValueId x) {
    const int64_t h = size_.hidden;
    return Dense(name + "fc2", Add("Gelu", name + "gelu", {Dense(name + "fc1", x, h, 4 * h)}), 4 * h, h);
  }

  const GptSize size_;
  Graph graph_;
  const Buffer zeros_;
};

}  // namespace

Graph GptGraph(const GptSize& size) { return Builder(size).Build(); }

}  // namespace omserve
