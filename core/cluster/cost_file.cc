#include "core/cluster/cost_file.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "core/base/json.h"
#include "core/base/status.h"
#include "core/cluster/cluster.h"
#include "nlohmann/json.hpp"

namespace omserve {
namespace {

struct RateName {
  absl::string_view name;
  double OperatorRates::*member;
  bool may_be_zero;
  bool is_share = false;  // at most 1
};
constexpr RateName kRates[] = {{"flops_per_second", &OperatorRates::flops_per_second, false},
                               {"bytes_per_second", &OperatorRates::bytes_per_second, false},
                               {"start_seconds", &OperatorRates::start_seconds, true},
                               {"half_rows", &OperatorRates::half_rows, true},
                               {"half_columns", &OperatorRates::half_columns, true},
                               {"half_inner", &OperatorRates::half_inner, true},
                               {"overlap", &OperatorRates::overlap, true, true},
                               {"epilogue_share", &OperatorRates::epilogue_share, true, true}};

constexpr std::pair<absl::string_view, Topology> kTopologies[] = {{"switch", Topology::kSwitch},
                                                                  {"full_mesh", Topology::kFullMesh},
                                                                  {"ring", Topology::kRing},
                                                                  {"bus", Topology::kBus}};

// Prices stay finite whatever is multiplied: sizes and rates beyond these are no measurements.
constexpr double kLargest = 1e24, kSmallest = 1e-24;
constexpr int64_t kMostRanks = 65535;

absl::StatusOr<double> Number(const JsonPlace& place, bool may_be_zero) {
  const bool number = place.value() != nullptr && place.value()->is_number();
  const double value = number ? place.value()->get<double>() : 0;
  if (!number || !(value <= kLargest) || !(value >= kSmallest || (may_be_zero && value == 0))) {
    return place.Error(absl::StrCat("expected a number ", may_be_zero ? "of 0 or more" : "above 0", ", found ",
                                    place.value() == nullptr ? "nothing" : place.value()->dump()));
  }
  return value;
}

absl::StatusOr<std::optional<double>> OptionalNumber(const JsonPlace& place, bool may_be_zero) {
  if (!place.present()) return std::optional<double>();
  ASSIGN_OR_RETURN(const double value, Number(place, may_be_zero));
  return std::optional<double>(value);
}

absl::StatusOr<CostFile::Rates> ParseRates(const JsonPlace& place) {
  CostFile::Rates rates;
  for (const RateName& rate : kRates) {
    ASSIGN_OR_RETURN(std::optional<double> value, OptionalNumber(place.Field(rate.name), rate.may_be_zero));
    if (!value) continue;
    if (rate.is_share && *value > 1) {
      return place.Field(rate.name).Error(absl::StrCat("expected a number from 0 to 1, found ", *value));
    }
    rates.emplace(rate.name, *value);
  }
  return rates;
}

absl::StatusOr<std::vector<double>> ParseRow(const JsonPlace& place, size_t size, absl::string_view what) {
  ASSIGN_OR_RETURN(std::vector<JsonPlace> numbers, place.Array());
  if (numbers.size() != size) return place.Error(absl::StrCat("expected ", what, ", found ", numbers.size(), " numbers"));
  std::vector<double> row;
  for (const JsonPlace& number : numbers) {
    ASSIGN_OR_RETURN(row.emplace_back(), Number(number, true));
  }
  return row;
}

absl::StatusOr<CostCurve> ParseCurve(const JsonPlace& place) {
  ASSIGN_OR_RETURN(std::vector<JsonPlace> rows, place.Array());
  std::vector<CostCurve::Point> points;
  for (const JsonPlace& row : rows) {
    ASSIGN_OR_RETURN(std::vector<double> numbers, ParseRow(row, 2, "[bytes, seconds]"));
    points.emplace_back(numbers[0], numbers[1]);
  }
  absl::StatusOr<CostCurve> curve = CostCurve::Make(std::move(points));
  return curve.ok() ? std::move(curve) : place.Error(curve.status().message());
}

absl::StatusOr<CostFile::Operator> ParseOperator(const JsonPlace& place) {
  RETURN_IF_ERROR(place.CheckFields({"flops_per_second", "bytes_per_second", "start_seconds", "half_rows", "half_columns",
                                     "half_inner", "overlap", "products", "by_bytes", "piece_seconds"}));
  CostFile::Operator parsed;
  ASSIGN_OR_RETURN(parsed.rates, ParseRates(place));
  if (place.Field("products").present()) {
    ASSIGN_OR_RETURN(std::vector<JsonPlace> rows, place.Field("products").Array());
    for (const JsonPlace& row : rows) {
      ASSIGN_OR_RETURN(std::vector<double> numbers, ParseRow(row, 4, "[rows, columns, inner, seconds]"));
      std::array<int64_t, 3> product;
      for (size_t i = 0; i < 3; ++i) {
        if (numbers[i] < 1 || numbers[i] > 1e15 || numbers[i] != std::floor(numbers[i])) {
          return row.Error(absl::StrCat("expected whole sizes of 1 or more, found ", numbers[i]));
        }
        product[i] = static_cast<int64_t>(numbers[i]);
      }
      if (numbers[3] <= 0) return row.Error("expected more than 0 seconds");
      if (!parsed.by_product.emplace(product, numbers[3]).second) return row.Error("this product is given twice");
    }
  }
  if (place.Field("by_bytes").present()) {
    ASSIGN_OR_RETURN(parsed.by_bytes, ParseCurve(place.Field("by_bytes")));
  }
  ASSIGN_OR_RETURN(const std::optional<double> piece, OptionalNumber(place.Field("piece_seconds"), true));
  if (piece && !parsed.by_bytes) return place.Field("piece_seconds").Error("expected by_bytes beside it");
  parsed.piece_seconds = piece.value_or(0);
  return parsed;
}

absl::StatusOr<CostFile::Device> ParseDevice(const JsonPlace& place) {
  RETURN_IF_ERROR(place.CheckFields({"flops_per_second", "bytes_per_second", "start_seconds", "half_rows", "half_columns",
                                     "half_inner", "overlap", "epilogue_share", "operators"}));
  CostFile::Device device;
  ASSIGN_OR_RETURN(device.rates, ParseRates(place));
  const JsonPlace operators = place.Field("operators");
  if (!operators.present()) return device;
  RETURN_IF_ERROR(operators.CheckObject());
  for (const auto& [type, value] : operators.value()->items()) {
    ASSIGN_OR_RETURN(device.operators[type], ParseOperator(operators.Field(type)));
  }
  return device;
}

absl::StatusOr<CostFile::Level> ParseLevel(const JsonPlace& place) {
  CostFile::Level level;
  if (!place.present()) return level;
  RETURN_IF_ERROR(place.CheckFields(
      {"alpha_seconds", "bytes_per_second", "gamma_seconds_per_byte", "topology", "collectives"}));
  ASSIGN_OR_RETURN(level.alpha_seconds, OptionalNumber(place.Field("alpha_seconds"), true));
  ASSIGN_OR_RETURN(level.bytes_per_second, OptionalNumber(place.Field("bytes_per_second"), false));
  ASSIGN_OR_RETURN(level.gamma_seconds_per_byte, OptionalNumber(place.Field("gamma_seconds_per_byte"), true));
  if (place.Field("topology").present()) {
    ASSIGN_OR_RETURN(const std::string name, place.Field("topology").String());
    for (const auto& [known, topology] : kTopologies) {
      if (known == name) level.topology = topology;
    }
    if (!level.topology) {
      return place.Field("topology")
          .Error(absl::StrCat("expected switch, full_mesh, ring or bus, found \"", name, "\""));
    }
  }
  if (!place.Field("collectives").present()) return level;
  ASSIGN_OR_RETURN(std::vector<JsonPlace> entries, place.Field("collectives").Array());
  for (const JsonPlace& entry : entries) {
    RETURN_IF_ERROR(entry.CheckFields({"kind", "ranks", "points"}));
    ASSIGN_OR_RETURN(const std::string name, entry.Field("kind").String());
    const std::optional<CollectiveKind> kind = CollectiveKindOf(name);
    if (!kind) {
      return entry.Field("kind").Error(absl::StrCat(
          "expected all_reduce, all_gather, reduce_scatter, all_to_all, broadcast or send_receive, found \"", name, "\""));
    }
    ASSIGN_OR_RETURN(const int64_t ranks, entry.Field("ranks").IntInRange(2, kMostRanks));
    if (*kind == CollectiveKind::kSendReceive && ranks != 2) {
      return entry.Field("ranks").Error(absl::StrCat("send_receive has 2 ranks, found ", ranks));
    }
    ASSIGN_OR_RETURN(CostCurve curve, ParseCurve(entry.Field("points")));
    if (!level.collectives.emplace(std::pair(*kind, static_cast<int>(ranks)), std::move(curve)).second) {
      return entry.Error(absl::StrCat(name, " of ", ranks, " ranks is given twice"));
    }
  }
  return level;
}

OperatorRates Patched(OperatorRates rates, const CostFile::Rates& patch) {
  for (const RateName& rate : kRates) {
    auto found = patch.find(std::string(rate.name));
    if (found != patch.end()) rates.*rate.member = found->second;
  }
  return rates;
}

void Patch(const CostFile::Level& from, LevelCosts* level) {
  if (from.alpha_seconds) level->link.alpha_seconds = *from.alpha_seconds;
  if (from.bytes_per_second) level->link.beta_seconds_per_byte = 1 / *from.bytes_per_second;
  if (from.gamma_seconds_per_byte) level->gamma = from.gamma_seconds_per_byte;
  if (from.topology) level->topology = *from.topology;
  if (!from.collectives.empty()) level->measured = std::make_shared<const CollectiveCurves>(from.collectives);
}

nlohmann::ordered_json CurveJson(const CostCurve& curve) {
  nlohmann::ordered_json points = nlohmann::ordered_json::array();
  for (const auto& [size, seconds] : curve.points()) points.push_back({size, seconds});
  return points;
}

nlohmann::ordered_json LevelJson(const CostFile::Level& level) {
  nlohmann::ordered_json json = nlohmann::ordered_json::object();
  if (level.alpha_seconds) json["alpha_seconds"] = *level.alpha_seconds;
  if (level.bytes_per_second) json["bytes_per_second"] = *level.bytes_per_second;
  if (level.gamma_seconds_per_byte) json["gamma_seconds_per_byte"] = *level.gamma_seconds_per_byte;
  if (level.topology) {
    for (const auto& [name, topology] : kTopologies) {
      if (topology == *level.topology) json["topology"] = name;
    }
  }
  if (!level.collectives.empty()) json["collectives"] = nlohmann::ordered_json::array();
  for (const auto& [key, curve] : level.collectives) {
    json["collectives"].push_back({{"kind", ToString(key.first)}, {"ranks", key.second}, {"points", CurveJson(curve)}});
  }
  return json;
}

}  // namespace

absl::StatusOr<CostFile> CostFile::Parse(absl::string_view json, absl::string_view source) {
  ASSIGN_OR_RETURN(JsonDocument document, JsonDocument::Parse(json, source));
  RETURN_IF_ERROR(document.root().CheckObject());
  RETURN_IF_ERROR(document.root().CheckFields({"omserve_costs"}));
  const JsonPlace root = document.root().Field("omserve_costs");
  RETURN_IF_ERROR(root.CheckObject());
  RETURN_IF_ERROR(root.CheckFields({"devices", "links"}));
  CostFile file;
  const JsonPlace devices = root.Field("devices");
  if (devices.present()) {
    RETURN_IF_ERROR(devices.CheckObject());
    for (const auto& [type, value] : devices.value()->items()) {
      ASSIGN_OR_RETURN(file.devices[type], ParseDevice(devices.Field(type)));
    }
  }
  const JsonPlace links = root.Field("links");
  if (links.present()) {
    RETURN_IF_ERROR(links.CheckFields({"intra_node", "inter_node"}));
    ASSIGN_OR_RETURN(file.intra_node, ParseLevel(links.Field("intra_node")));
    ASSIGN_OR_RETURN(file.inter_node, ParseLevel(links.Field("inter_node")));
  }
  return file;
}

std::string CostFile::ToJson() const {
  nlohmann::ordered_json costs;
  for (const auto& [type, device] : devices) {
    nlohmann::ordered_json json(device.rates);
    for (const auto& [name, measured] : device.operators) {
      nlohmann::ordered_json one(measured.rates);
      for (const auto& [product, seconds] : measured.by_product) {
        one["products"].push_back({product[0], product[1], product[2], seconds});
      }
      if (measured.by_bytes) one["by_bytes"] = CurveJson(*measured.by_bytes);
      if (measured.piece_seconds > 0) one["piece_seconds"] = measured.piece_seconds;
      json["operators"][name] = std::move(one);
    }
    costs["devices"][type] = std::move(json);
  }
  costs["links"] = {{"intra_node", LevelJson(intra_node)}, {"inter_node", LevelJson(inter_node)}};
  return nlohmann::ordered_json{{"omserve_costs", std::move(costs)}}.dump(1);
}

absl::Status Cluster::ApplyCosts(absl::string_view json, absl::string_view source) {
  ASSIGN_OR_RETURN(const CostFile file, CostFile::Parse(json, source));
  std::set<std::string> types;
  for (const ClusterDevice& device : devices_) types.insert(device.type);
  for (const auto& [type, device] : file.devices) {
    if (types.contains(type)) continue;
    return absl::InvalidArgumentError(absl::StrCat(source, ".omserve_costs.devices: no device of the cluster is of type '",
                                                   type, "'; its types: ", absl::StrJoin(types, ", ")));
  }
  std::map<std::string, std::shared_ptr<const MeasuredOperators>> measured;
  for (ClusterDevice& device : devices_) {
    auto found = file.devices.find(device.type);
    if (found == file.devices.end()) continue;
    OperatorRates& rates = device;
    rates = Patched(rates, found->second.rates);
    auto [it, fresh] = measured.try_emplace(device.type);
    if (fresh && !found->second.operators.empty()) {
      MeasuredOperators operators;
      for (const auto& [type, one] : found->second.operators) {
        MeasuredOperator& entry = operators[type];
        if (!one.rates.empty()) entry.rates = Patched(rates, one.rates);
        entry.by_product = one.by_product;
        entry.by_bytes = one.by_bytes;
        entry.piece_seconds = one.piece_seconds;
      }
      it->second = std::make_shared<const MeasuredOperators>(std::move(operators));
    }
    device.measured = it->second;
  }
  Patch(file.intra_node, &intra_node_);
  Patch(file.inter_node, &inter_node_);
  return absl::OkStatus();
}

}  // namespace omserve
