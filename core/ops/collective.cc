// Collective operators (Hcom*), as the lowering puts them into slices. They have no sharding rule: a graph
// that already holds them is not cut again.
#include <algorithm>
#include <cstdint>
#include <optional>
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

absl::Status CheckTag(const NodeView& view) {
  // The greatest tag of the communicators is kept for the exchanges of the V operators.
  constexpr int64_t kMaxTag = int64_t{UINT32_MAX} - 1;
  const int64_t tag = view.Attr<int64_t>("sr_tag");
  if (tag >= 0 && tag <= kMaxTag) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("attribute 'sr_tag' is ", tag, "; it must be in [0, ", kMaxTag, "]"));
}

absl::StatusOr<Descs> InferSend(const NodeView& view) {
  RETURN_IF_ERROR(CheckGroup(view));
  RETURN_IF_ERROR(CheckTag(view));
  RETURN_IF_ERROR(CheckRankAttr(view, "dest_rank"));
  return Descs{};
}

absl::StatusOr<Descs> InferReceive(const NodeView& view) {
  RETURN_IF_ERROR(CheckGroup(view));
  RETURN_IF_ERROR(CheckTag(view));
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

// Counts and displacements of the V operators: int64, of `rank` dimensions.
absl::Status CheckCounts(const NodeView& view, const std::vector<int>& inputs, size_t rank) {
  for (const int i : inputs) {
    if (!view.has_input(i)) continue;
    if (view.input(i).type == DataType::kInt64 && view.input_shape(i).size() == rank) continue;
    return absl::InvalidArgumentError(absl::StrCat("input ", i, " is ", ToString(view.input(i)), "; it must be int64 of ",
                                                   rank, rank == 1 ? " dimension" : " dimensions"));
  }
  return absl::OkStatus();
}

// How many elements parts take that lie at `displacements` (without: one after the other).
absl::StatusOr<int64_t> ExtentOf(const std::vector<int64_t>& counts,
                                 const std::optional<std::vector<int64_t>>& displacements) {
  if (displacements && displacements->size() != counts.size()) {
    return absl::InvalidArgumentError(absl::StrCat(counts.size(), " counts, but ", displacements->size(),
                                                   " displacements; there must be one of each for each rank"));
  }
  int64_t extent = 0;
  for (size_t i = 0; i < counts.size(); ++i) {
    const int64_t begin = displacements ? (*displacements)[i] : extent;
    if (begin < 0 || counts[i] < 0 || counts[i] > INT64_MAX - begin) {
      return absl::InvalidArgumentError(absl::StrCat("count ", counts[i], " at displacement ", begin, " of rank ", i,
                                                     "; both must be at least 0"));
    }
    extent = std::max(extent, begin + counts[i]);
  }
  return extent;
}

// Rank r gets the send_counts[r] elements at send_displacements[r], and puts those from rank r, recv_counts[r] of
// them, to recv_displacements[r].
absl::StatusOr<Descs> InferAllToAllV(const NodeView& view) {
  RETURN_IF_ERROR(CheckGroup(view));
  RETURN_IF_ERROR(CheckCounts(view, {1, 2, 3, 4}, 1));
  ASSIGN_OR_RETURN(const std::vector<int64_t> counts, view.ConstantInts(3));
  ASSIGN_OR_RETURN(const std::vector<int64_t> displacements, view.ConstantInts(4));
  ASSIGN_OR_RETURN(const int64_t extent, ExtentOf(counts, displacements));
  return Descs{{view.input(0).type, {extent}}};
}

// As AllToAllV with parts one after the other; send_count_matrix[i][j] is what rank i sends to rank j.
absl::StatusOr<Descs> InferAllToAllVC(const NodeView& view) {
  RETURN_IF_ERROR(CheckGroup(view));
  RETURN_IF_ERROR(CheckFusion(view, /*allow_one=*/false));
  RETURN_IF_ERROR(CheckCounts(view, {1}, 2));
  const int64_t ranks = view.input_shape(1)[0], rank = view.Attr<int64_t>("rank");
  if (view.input_shape(1)[1] != ranks || rank < 0 || rank >= ranks) {
    return absl::InvalidArgumentError(absl::StrCat("send_count_matrix is ", ToString(view.input(1)),
                                                   " and attribute 'rank' is ", rank,
                                                   "; it must be square, with a row for the rank"));
  }
  ASSIGN_OR_RETURN(const std::vector<int64_t> matrix, view.ConstantInts(1));
  std::vector<int64_t> received;
  for (int64_t i = 0; i < ranks; ++i) received.push_back(matrix[i * ranks + rank]);
  ASSIGN_OR_RETURN(const int64_t extent, ExtentOf(received, std::nullopt));
  return Descs{{view.input(0).type, {extent}}};
}

// The first send_count elements of every rank, recv_counts[r] from rank r, at recv_displacements[r].
absl::StatusOr<Descs> InferAllGatherV(const NodeView& view) {
  RETURN_IF_ERROR(CheckGroup(view));
  RETURN_IF_ERROR(CheckCounts(view, {2, 3}, 1));
  if (view.input(1).type != DataType::kInt64 || NumElements(view.input_shape(1)) != 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("send_count is ", ToString(view.input(1)), "; it must be one int64"));
  }
  ASSIGN_OR_RETURN(const std::vector<int64_t> counts, view.ConstantInts(2));
  std::optional<std::vector<int64_t>> displacements;
  if (view.has_input(3)) {
    ASSIGN_OR_RETURN(displacements, view.ConstantInts(3));
  }
  ASSIGN_OR_RETURN(const int64_t extent, ExtentOf(counts, displacements));
  return Descs{{view.input(0).type, {extent}}};
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

  OpDef all_to_all_v = CollectiveDef("HcomAllToAllV", {}, InferAllToAllV);
  all_to_all_v.inputs = {Required("send_data"), Required("send_counts"), Required("send_displacements"),
                         Parameter("recv_counts"), Parameter("recv_displacements")};
  all_to_all_v.outputs = {"recv_data"};
  registry.Add(std::move(all_to_all_v));

  OpDef all_to_all_vc = CollectiveDef("HcomAllToAllVC", {RequiredAttr<int64_t>("rank"), fusion, fusion_id},
                                      InferAllToAllVC);
  all_to_all_vc.inputs = {Required("send_data"), Parameter("send_count_matrix")};
  all_to_all_vc.outputs = {"recv_data"};
  registry.Add(std::move(all_to_all_vc));

  OpDef all_gather_v = CollectiveDef("HcomAllGatherV", {}, InferAllGatherV);
  all_gather_v.inputs = {Required("x"), Required("send_count"), Parameter("recv_counts"),
                         OptionalParameter("recv_displacements")};
  registry.Add(std::move(all_gather_v));

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
