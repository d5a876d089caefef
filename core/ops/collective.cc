// Collective operators (Hcom*), as the lowering puts them into slices. They have no sharding rule: a graph
// that already holds them is not cut again.
#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "core/base/status.h"
#include "core/ops/cost_util.h"
#include "core/ops/families.h"
#include "core/ops/infer_util.h"
#include "core/ops/schema.h"

namespace omserve {
namespace {

// HCCL documents 128 characters including the terminator.
constexpr size_t kMaxGroupName = 127;

absl::Status CheckGroup(const NodeView& view) {
  const std::string group = view.Attr<std::string>("group");
  if (!group.empty() && group.size() <= kMaxGroupName) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("attribute 'group' has ", group.size(), " characters; it must have 1 to ", kMaxGroupName));
}

absl::Status CheckReduction(const NodeView& view) {
  const std::string reduction = view.Attr<std::string>("reduction");
  if (reduction != "sum" && reduction != "prod" && reduction != "max" && reduction != "min") {
    return absl::InvalidArgumentError(
        absl::StrCat("attribute 'reduction' is '", reduction, "'; it must be sum, prod, max or min"));
  }
  if (IsNumericType(view.input(0).type)) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("x is ", ToString(view.input(0)), ", which cannot be reduced"));
}

// 0: off; 2: fused with operators of the same fusion_id; HcomAllReduce knows 1 as well (segments of
// gradients).
absl::Status CheckFusion(const NodeView& view, bool allow_one) {
  const int64_t fusion = view.Attr<int64_t>("fusion");
  const int64_t id = view.Attr<int64_t>("fusion_id");
  if (fusion != 0 && fusion != 2 && !(allow_one && fusion == 1)) {
    return absl::InvalidArgumentError(
        absl::StrCat("attribute 'fusion' is ", fusion, "; it must be ", allow_one ? "0, 1 or 2" : "0 or 2"));
  }
  if (fusion == 2 && (id < 0 || id > INT32_MAX)) {
    return absl::InvalidArgumentError(
        absl::StrCat("attribute 'fusion_id' is ", id, "; with fusion 2 it must be in [0, ", INT32_MAX, "]"));
  }
  return absl::OkStatus();
}

absl::StatusOr<int64_t> RankSize(const NodeView& view) {
  const int64_t size = view.Attr<int64_t>("rank_size");
  if (size < 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("attribute 'rank_size' is ", size, "; it must be at least 1"));
  }
  return size;
}

absl::Status CheckRankAttr(const NodeView& view, const std::string& name) {
  const int64_t rank = view.Attr<int64_t>(name);
  if (rank >= 0) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("attribute '", name, "' is ", rank, "; it must be at least 0"));
}

absl::StatusOr<Descs> InferAllReduce(const NodeView& view) {
  RETURN_IF_ERROR(CheckGroup(view));
  RETURN_IF_ERROR(CheckReduction(view));
  RETURN_IF_ERROR(CheckFusion(view, /*allow_one=*/true));
  return Descs{view.input(0)};
}

absl::StatusOr<Descs> InferAllGather(const NodeView& view) {
  RETURN_IF_ERROR(CheckGroup(view));
  RETURN_IF_ERROR(CheckFusion(view, /*allow_one=*/false));
  RETURN_IF_ERROR(CheckMinRank(view, 0, 1));
  ASSIGN_OR_RETURN(int64_t ranks, RankSize(view));
  TensorDesc y = view.input(0);
  ASSIGN_OR_RETURN(y.shape[0], MultiplyDims(y.shape[0], ranks));
  return Descs{y};
}

absl::StatusOr<Descs> InferReduceScatter(const NodeView& view) {
  RETURN_IF_ERROR(CheckGroup(view));
  RETURN_IF_ERROR(CheckReduction(view));
  RETURN_IF_ERROR(CheckFusion(view, /*allow_one=*/false));
  RETURN_IF_ERROR(CheckMinRank(view, 0, 1));
  ASSIGN_OR_RETURN(int64_t ranks, RankSize(view));
  TensorDesc y = view.input(0);
  if (y.shape[0] != kUnknownDim) {
    if (y.shape[0] % ranks != 0) {
      return absl::InvalidArgumentError(
          absl::StrCat("x is ", ToString(y), "; dimension 0 must be divisible by rank_size ", ranks));
    }
    y.shape[0] /= ranks;
  }
  return Descs{y};
}

absl::StatusOr<Descs> InferBroadcast(const NodeView& view) {
  RETURN_IF_ERROR(CheckGroup(view));
  RETURN_IF_ERROR(CheckFusion(view, /*allow_one=*/false));
  RETURN_IF_ERROR(CheckRankAttr(view, "root_rank"));
  if (view.num_inputs() == 0) return absl::InvalidArgumentError("it has no input to broadcast");
  Descs outputs;
  for (int i = 0; i < view.num_inputs(); ++i) outputs.push_back(view.input(i));
  return outputs;
}

absl::StatusOr<Descs> InferReduce(const NodeView& view) {
  RETURN_IF_ERROR(CheckGroup(view));
  RETURN_IF_ERROR(CheckReduction(view));
  RETURN_IF_ERROR(CheckFusion(view, /*allow_one=*/false));
  RETURN_IF_ERROR(CheckRankAttr(view, "root_rank"));
  return Descs{view.input(0)};
}

absl::StatusOr<Descs> InferSend(const NodeView& view) {
  RETURN_IF_ERROR(CheckGroup(view));
  RETURN_IF_ERROR(CheckRankAttr(view, "dest_rank"));
  return Descs{};
}

absl::StatusOr<Descs> InferReceive(const NodeView& view) {
  RETURN_IF_ERROR(CheckGroup(view));
  RETURN_IF_ERROR(CheckRankAttr(view, "src_rank"));
  // HCCL wants every dimension above 0; an empty tensor (a cache without entries) is sent like any other
  // here.
  TensorDesc y{view.Attr<DataType>("dtype"), view.Attr<std::vector<int64_t>>("shape")};
  RETURN_IF_ERROR_WITH(CheckedByteSize(y).status(), "attributes 'shape' and 'dtype'");
  return Descs{y};
}

// Each rank sends equal blocks of dimension 0; the total stays.
absl::StatusOr<Descs> InferAllToAll(const NodeView& view) {
  RETURN_IF_ERROR(CheckGroup(view));
  RETURN_IF_ERROR(CheckMinRank(view, 0, 1));
  return Descs{view.input(0)};
}

OpDef CollectiveDef(std::string type, std::vector<AttrDef> attrs, InferFunction infer) {
  attrs.push_back(RequiredAttr<std::string>("group"));
  return {.type = std::move(type),
          .inputs = {Required("x")},
          .outputs = {"y"},
          .attrs = std::move(attrs),
          .infer = std::move(infer),
          // What a collective costs depends on the cluster, not on the operator: core/cluster prices it.
          .cost = PerOutputElement(0)};
}

}  // namespace

void AddCollectiveOps(OpRegistry& registry) {
  const AttrDef reduction = RequiredAttr<std::string>("reduction");
  const AttrDef rank_size = RequiredAttr<int64_t>("rank_size");
  const AttrDef root_rank = RequiredAttr<int64_t>("root_rank");
  const AttrDef fusion = DefaultAttr("fusion", int64_t{0});
  const AttrDef fusion_id = DefaultAttr("fusion_id", int64_t{-1});
  registry.Add(CollectiveDef("HcomAllReduce", {reduction, DefaultAttr("fusion", int64_t{1}), fusion_id},
                             InferAllReduce));
  registry.Add(CollectiveDef("HcomAllGather", {rank_size, fusion, fusion_id}, InferAllGather));
  registry.Add(
      CollectiveDef("HcomReduceScatter", {reduction, rank_size, fusion, fusion_id}, InferReduceScatter));
  registry.Add(CollectiveDef("HcomReduce", {root_rank, reduction, fusion, fusion_id}, InferReduce));
  registry.Add(CollectiveDef("HcomAllToAll", {}, InferAllToAll));

  OpDef broadcast = CollectiveDef("HcomBroadcast", {root_rank, fusion, fusion_id}, InferBroadcast);
  broadcast.inputs = {Dynamic("x")};
  broadcast.outputs = {"y*"};
  registry.Add(std::move(broadcast));

  OpDef send = CollectiveDef(
      "HcomSend", {RequiredAttr<int64_t>("sr_tag"), RequiredAttr<int64_t>("dest_rank")}, InferSend);
  send.outputs = {};
  registry.Add(std::move(send));

  OpDef receive =
      CollectiveDef("HcomReceive",
                    {RequiredAttr<int64_t>("sr_tag"), RequiredAttr<int64_t>("src_rank"),
                     RequiredAttr<std::vector<int64_t>>("shape"), RequiredAttr<DataType>("dtype")},
                    InferReceive);
  receive.inputs = {};
  registry.Add(std::move(receive));
}

}  // namespace omserve
