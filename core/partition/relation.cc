#include "core/partition/relation.h"

#include <algorithm>
#include <limits>
#include <map>
#include <numeric>
#include <set>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "core/base/file.h"
#include "core/base/json.h"
#include "core/base/status.h"

namespace omserve {
namespace {

constexpr size_t kMaxBytes = size_t{16} << 20;
// A flow model has at most 4096 partitions, two of which are its own.
constexpr size_t kMaxSlices = 4094;
constexpr int64_t kMaxId = std::numeric_limits<int32_t>::max();
// HCCL documents 128 characters including the terminator.
constexpr size_t kMaxGroupName = 127;

// The elements of a list that may be absent.
absl::StatusOr<std::vector<JsonPlace>> OptionalArray(const JsonPlace& place) {
  if (place.value() == nullptr) return std::vector<JsonPlace>{};
  return place.Array();
}

// A name of a file in a folder, not a path to somewhere else.
absl::Status CheckFileName(const JsonPlace& place, const std::string& name) {
  if (name.empty() || name == "." || name == ".." || name.find('/') != std::string::npos ||
      name.find('\0') != std::string::npos) {
    return place.Error(
        absl::StrCat("'", name, "' is no file name; expected the name of a file in the slices' folder, with its ",
                     "extension, such as \"submodel1.air\""));
  }
  return absl::OkStatus();
}

class Reader {
 public:
  explicit Reader(JsonPlace root) : root_(std::move(root)) {}

  absl::Status Read() {
    RETURN_IF_ERROR(root_.CheckFields(
        {"deploy_config", "model_name_to_instance_id", "comm_group", "rank_table", "model_relation"}));
    RETURN_IF_ERROR(ReadSlices());
    RETURN_IF_ERROR(ReadInstances());
    RETURN_IF_ERROR(OrderByRank());
    RETURN_IF_ERROR(ReadGroups());
    return ReadEdges();
  }

  // A slice starts when all its inputs are there, so tensors cannot flow in a circle.
  absl::Status CheckAcyclic() const {
    const size_t count = relation_.slices.size();
    std::vector<std::set<int>> targets(count);
    std::vector<int> waiting(count, 0);
    for (const RelationEdge& edge : relation_.edges) {
      if (edge.source.rank < 0 || edge.target.rank < 0) continue;
      if (targets[edge.source.rank].insert(edge.target.rank).second) ++waiting[edge.target.rank];
    }
    std::vector<int> ready;
    for (size_t rank = 0; rank < count; ++rank) {
      if (waiting[rank] == 0) ready.push_back(static_cast<int>(rank));
    }
    for (size_t i = 0; i < ready.size(); ++i) {
      for (const int target : targets[ready[i]]) {
        if (--waiting[target] == 0) ready.push_back(target);
      }
    }
    if (ready.size() == count) return absl::OkStatus();
    // Each of those that wait has one that it waits for: walking back ends in a circle.
    std::vector<int> path;
    int at =
        static_cast<int>(std::find_if(waiting.begin(), waiting.end(), [](int n) { return n > 0; }) - waiting.begin());
    while (std::find(path.begin(), path.end(), at) == path.end()) {
      path.push_back(at);
      for (size_t source = 0; source < count; ++source) {
        if (waiting[source] > 0 && targets[source].count(at) > 0) {
          at = static_cast<int>(source);
          break;
        }
      }
    }
    path.erase(path.begin(), std::find(path.begin(), path.end(), at));
    path.push_back(at);
    std::reverse(path.begin(), path.end());
    return root_.Field("model_relation")
        .Error(absl::StrCat("tensors flow in a circle: ",
                            absl::StrJoin(path, " → ", [this](std::string* out, int rank) {
                              absl::StrAppend(out, "'", relation_.slices[rank].file, "'");
                            })));
  }

  ModelRelation Take() { return std::move(relation_); }

 private:
  absl::Status ReadSlices() {
    ASSIGN_OR_RETURN(const std::vector<JsonPlace> items, root_.Field("deploy_config").Array());
    if (items.size() < 2 || items.size() > kMaxSlices) {
      return root_.Field("deploy_config")
          .Error(absl::StrCat("expected 2 to ", kMaxSlices, " slices, found ", items.size(),
                              items.size() == 1 ? "; a model of one piece is built without a relation file" : ""));
    }
    std::map<LogicalDeviceId, std::string> user_of;
    for (const JsonPlace& item : items) {
      RETURN_IF_ERROR(item.CheckFields({"submodel_name", "deploy_device_id_list"}));
      RelationSlice slice;
      const JsonPlace name = item.Field("submodel_name");
      ASSIGN_OR_RETURN(slice.file, name.String());
      RETURN_IF_ERROR(CheckFileName(name, slice.file));
      if (!position_of_.emplace(slice.file, relation_.slices.size()).second) {
        return name.Error(absl::StrCat("'", slice.file, "' is given twice"));
      }
      const JsonPlace list = item.Field("deploy_device_id_list");
      ASSIGN_OR_RETURN(const std::string text, list.String());
      ASSIGN_OR_RETURN_WITH(slice.devices, LogicalDeviceId::ParseList(text), list.path());
      if (!relation_.slices.empty() && slice.devices.size() != relation_.slices[0].devices.size()) {
        return list.Error(absl::StrCat("names ", slice.devices.size(), " devices, but '", relation_.slices[0].file,
                                       "' has ", relation_.slices[0].devices.size(),
                                       "; each further device is a replica, of which all slices must have as many"));
      }
      for (const LogicalDeviceId& id : slice.devices) {
        const auto [user, added] = user_of.emplace(id, slice.file);
        if (!added) {
          return list.Error(absl::StrCat("device ", id.ToString(), " is already used by '", user->second, "'"));
        }
      }
      relation_.slices.push_back(std::move(slice));
    }
    return absl::OkStatus();
  }

  // Without the list, the ids are the positions in deploy_config.
  absl::Status ReadInstances() {
    std::vector<RelationSlice>& slices = relation_.slices;
    const JsonPlace place = root_.Field("model_name_to_instance_id");
    if (place.value() == nullptr) {
      for (size_t i = 0; i < slices.size(); ++i) slices[i].instance = static_cast<int>(i);
      return absl::OkStatus();
    }
    ASSIGN_OR_RETURN(const std::vector<JsonPlace> items, place.Array());
    std::set<std::string> named;
    std::map<int, std::string> file_of;
    for (const JsonPlace& item : items) {
      RETURN_IF_ERROR(item.CheckFields({"submodel_name", "model_instance_id"}));
      ASSIGN_OR_RETURN(const std::string file, item.Field("submodel_name").String());
      auto position = position_of_.find(file);
      if (position == position_of_.end()) {
        return item.Field("submodel_name").Error(absl::StrCat("'", file, "' is not in deploy_config"));
      }
      if (!named.insert(file).second) {
        return item.Field("submodel_name").Error(absl::StrCat("'", file, "' is given twice"));
      }
      ASSIGN_OR_RETURN(const int64_t id, item.Field("model_instance_id").IntInRange(0, kMaxId));
      const auto [other, added] = file_of.emplace(static_cast<int>(id), file);
      if (!added) {
        return item.Field("model_instance_id")
            .Error(absl::StrCat(id, " is already the id of '", other->second, "'; each slice needs its own"));
      }
      slices[position->second].instance = static_cast<int>(id);
    }
    for (const RelationSlice& slice : slices) {
      if (named.count(slice.file) > 0) continue;
      return place.Error(absl::StrCat("'", slice.file, "' of deploy_config is missing"));
    }
    return absl::OkStatus();
  }

  // Ranks are those of rank_table, else the instances in the order of their ids.
  absl::Status OrderByRank() {
    std::vector<RelationSlice>& slices = relation_.slices;
    std::sort(slices.begin(), slices.end(),
              [](const RelationSlice& a, const RelationSlice& b) { return a.instance < b.instance; });
    for (const RelationSlice& slice : slices) instances_.push_back(slice.instance);
    std::vector<int> rank_of(slices.size(), -1);  // by position
    const JsonPlace place = root_.Field("rank_table");
    if (place.value() == nullptr) {
      std::iota(rank_of.begin(), rank_of.end(), 0);
    } else {
      ASSIGN_OR_RETURN(const std::vector<JsonPlace> items, place.Array());
      std::set<int64_t> ranks;
      for (const JsonPlace& item : items) {
        RETURN_IF_ERROR(item.CheckFields({"rank_id", "model_instance_id"}));
        const JsonPlace rank_place = item.Field("rank_id");
        ASSIGN_OR_RETURN(const int64_t rank, rank_place.IntInRange(0, static_cast<int64_t>(slices.size()) - 1));
        if (!ranks.insert(rank).second) return rank_place.Error(absl::StrCat("rank ", rank, " is given twice"));
        const JsonPlace id_place = item.Field("model_instance_id");
        ASSIGN_OR_RETURN(const int64_t id, id_place.IntInRange(0, kMaxId));
        ASSIGN_OR_RETURN(const size_t position, PositionOf(id_place, id));
        if (rank_of[position] >= 0) {
          return id_place.Error(absl::StrCat("instance ", id, " already has rank ", rank_of[position]));
        }
        rank_of[position] = static_cast<int>(rank);
      }
      for (size_t i = 0; i < slices.size(); ++i) {
        if (rank_of[i] >= 0) continue;
        return place.Error(absl::StrCat("instance ", slices[i].instance, " ('", slices[i].file, "') has no rank"));
      }
    }
    std::vector<RelationSlice> by_rank(slices.size());
    for (size_t i = 0; i < slices.size(); ++i) by_rank[rank_of[i]] = std::move(slices[i]);
    slices = std::move(by_rank);
    rank_of_ = std::move(rank_of);
    return absl::OkStatus();
  }

  absl::StatusOr<size_t> PositionOf(const JsonPlace& place, int64_t instance) const {
    auto found = std::lower_bound(instances_.begin(), instances_.end(), instance);
    if (found != instances_.end() && *found == instance) return static_cast<size_t>(found - instances_.begin());
    return place.Error(absl::StrCat("there is no instance ", instance, "; the instances are ",
                                    absl::StrJoin(instances_, ", ")));
  }

  absl::Status ReadGroups() {
    ASSIGN_OR_RETURN(const std::vector<JsonPlace> items, OptionalArray(root_.Field("comm_group")));
    std::set<std::string> names;
    for (const JsonPlace& item : items) {
      RETURN_IF_ERROR(item.CheckFields({"group_name", "group_rank_list"}));
      RelationGroup group;
      const JsonPlace name = item.Field("group_name");
      ASSIGN_OR_RETURN(group.name, name.String());
      if (group.name.empty() || group.name.size() > kMaxGroupName) {
        return name.Error(
            absl::StrCat("has ", group.name.size(), " characters; a group's name has 1 to ", kMaxGroupName));
      }
      if (!names.insert(group.name).second) return name.Error(absl::StrCat("'", group.name, "' is given twice"));
      ASSIGN_OR_RETURN(group.ranks, Ranks(item.Field("group_rank_list")));
      if (group.name == kWorldGroup) RETURN_IF_ERROR(CheckWorld(item.Field("group_rank_list"), group.ranks));
      relation_.groups.push_back(std::move(group));
    }
    return absl::OkStatus();
  }

  absl::Status CheckWorld(const JsonPlace& place, const std::vector<int>& ranks) const {
    bool whole = ranks.size() == relation_.slices.size();
    for (size_t i = 0; whole && i < ranks.size(); ++i) whole = ranks[i] == static_cast<int>(i);
    if (whole) return absl::OkStatus();
    return place.Error(absl::StrCat("group '", kWorldGroup, "' has all ranks in order, [0, …, ",
                                    relation_.slices.size() - 1, "]; it need not be declared"));
  }

  // "[0,1]", with or without blanks, as documented; or a JSON list.
  absl::StatusOr<std::vector<int>> Ranks(const JsonPlace& place) const {
    std::vector<int64_t> values;
    if (place.value() != nullptr && place.value()->is_array()) {
      ASSIGN_OR_RETURN(const std::vector<JsonPlace> items, place.Array());
      for (const JsonPlace& item : items) {
        ASSIGN_OR_RETURN(const int64_t value, item.Int());
        values.push_back(value);
      }
    } else {
      ASSIGN_OR_RETURN(const std::string text, place.String());
      absl::string_view list = absl::StripAsciiWhitespace(text);
      const bool open = absl::ConsumePrefix(&list, "[");
      const bool closed = absl::ConsumeSuffix(&list, "]");
      bool good = open == closed;
      if (!absl::StripAsciiWhitespace(list).empty()) {
        for (absl::string_view part : absl::StrSplit(list, ',')) {
          int64_t value = 0;
          good = good && absl::SimpleAtoi(absl::StripAsciiWhitespace(part), &value);
          values.push_back(value);
        }
      }
      if (!good) return place.Error(absl::StrCat("'", text, "' is no list of ranks; expected \"[0,1]\""));
    }
    if (values.empty()) return place.Error("a group has at least one rank");
    std::vector<int> ranks;
    for (const int64_t value : values) {
      if (value < 0 || value >= static_cast<int64_t>(relation_.slices.size())) {
        return place.Error(
            absl::StrCat("there is no rank ", value, "; ranks are 0 to ", relation_.slices.size() - 1));
      }
      if (std::find(ranks.begin(), ranks.end(), value) != ranks.end()) {
        return place.Error(absl::StrCat("rank ", value, " is given twice"));
      }
      ranks.push_back(static_cast<int>(value));
    }
    return ranks;
  }

  absl::Status ReadEdges() {
    ASSIGN_OR_RETURN(const std::vector<JsonPlace> items, OptionalArray(root_.Field("model_relation")));
    std::map<RelationEnd, std::string> fed;  // inputs that have a source, and outputs of the model
    for (const JsonPlace& item : items) {
      RETURN_IF_ERROR(item.CheckFields({"type", "src", "dst"}));
      ASSIGN_OR_RETURN(const std::string type, item.Field("type").String());
      if (type != "flow") {
        return item.Field("type").Error(absl::StrCat("expected \"flow\", found \"", type, "\""));
      }
      RelationEdge edge;
      edge.place = item.path();
      ASSIGN_OR_RETURN(edge.source, End(item.Field("src")));
      ASSIGN_OR_RETURN(edge.target, End(item.Field("dst")));
      if (edge.source.rank == RelationEnd::kRoot && edge.target.rank == RelationEnd::kRoot) {
        return item.Error("leads from an input of the model to an output of the model; a slice must be between them");
      }
      const auto [other, added] = fed.emplace(edge.target, item.path());
      if (!added) {
        ASSIGN_OR_RETURN(const std::string text, item.Field("dst").String());
        return item.Field("dst").Error(
            absl::StrCat("'", text, "' already has a source by ", other->second, "; it can have only one"));
      }
      relation_.edges.push_back(std::move(edge));
    }
    return absl::OkStatus();
  }

  // "<model_instance_id>:<index>"; instance -1 is the whole model.
  absl::StatusOr<RelationEnd> End(const JsonPlace& place) const {
    ASSIGN_OR_RETURN(const std::string text, place.String());
    const std::vector<absl::string_view> parts = absl::StrSplit(text, ':');
    int instance = 0;
    RelationEnd end;
    if (parts.size() != 2 || !absl::SimpleAtoi(absl::StripAsciiWhitespace(parts[0]), &instance) ||
        !absl::SimpleAtoi(absl::StripAsciiWhitespace(parts[1]), &end.index) || instance < -1 || end.index < 0) {
      return place.Error(absl::StrCat("'", text,
                                      "' is no end of an edge; expected \"<model_instance_id>:<index>\", with "
                                      "instance -1 for the whole model"));
    }
    if (instance < 0) return end;
    ASSIGN_OR_RETURN(const size_t position, PositionOf(place, instance));
    end.rank = rank_of_[position];
    return end;
  }

  const JsonPlace root_;
  ModelRelation relation_;
  std::map<std::string, size_t> position_of_;  // by file, in deploy_config
  std::vector<int> instances_;                 // ids, ascending
  std::vector<int> rank_of_;                   // by position in instances_
};

}  // namespace

absl::StatusOr<ModelRelation> ModelRelation::FromFile(const std::string& path) {
  ASSIGN_OR_RETURN(const std::string text, ReadFile(path, kMaxBytes));
  return FromJson(text, path);
}

absl::StatusOr<ModelRelation> ModelRelation::FromJson(absl::string_view text, absl::string_view source) {
  ASSIGN_OR_RETURN_WITH(const JsonDocument document, JsonDocument::Parse(text, source), "E10032");
  Reader reader(document.root());
  RETURN_IF_ERROR_WITH(reader.Read(), "EF1001");
  RETURN_IF_ERROR_WITH(reader.CheckAcyclic(), "EF2007");
  return reader.Take();
}

}  // namespace omserve
