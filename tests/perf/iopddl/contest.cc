#include "tests/perf/iopddl/contest.h"

#include <zlib.h>

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "core/base/status.h"

namespace omserve::iopddl {
namespace {

constexpr double kForbidden = 1e18;

// Fills the lists of an instance as the parser meets them. Only the shape of the format is accepted.
class Reader : public nlohmann::json_sax<nlohmann::json> {
 public:
  bool null() override { return Fail("null"); }
  bool boolean(bool) override { return Fail("a boolean"); }
  bool number_integer(number_integer_t value) override { return Number(static_cast<double>(value)); }
  bool number_unsigned(number_unsigned_t value) override { return Number(static_cast<double>(value)); }
  bool number_float(number_float_t value, const string_t&) override { return Number(value); }
  bool string(string_t& value) override {
    if (path_ == "/problem/name") name = value;
    return true;
  }
  bool binary(binary_t&) override { return Fail("binary data"); }
  bool start_object(std::size_t) override {
    marks_.push_back(path_.size());
    return depth_ == 0 || Fail("an object in a list");
  }
  bool key(string_t& value) override {
    path_.resize(marks_.back());
    absl::StrAppend(&path_, "/", value);
    list_ = path_ == "/problem/nodes/intervals" ? &intervals
            : path_ == "/problem/nodes/costs"   ? &costs
            : path_ == "/problem/nodes/usages"  ? &usages
            : path_ == "/problem/edges/nodes"   ? &edge_nodes
            : path_ == "/problem/edges/costs"   ? &edge_costs
                                                : nullptr;
    return true;
  }
  bool end_object() override {
    path_.resize(marks_.back());
    marks_.pop_back();
    return true;
  }
  bool start_array(std::size_t) override {
    if (++depth_ == 2 && list_ != nullptr) list_->emplace_back();
    return true;
  }
  bool end_array() override {
    --depth_;
    return true;
  }
  bool parse_error(std::size_t position, const std::string&, const nlohmann::detail::exception& error) override {
    problem = absl::StrCat("byte ", position, ": ", error.what());
    return false;
  }

  std::string name, problem;
  std::vector<std::vector<double>> intervals, costs, usages, edge_nodes, edge_costs;
  double usage_limit = std::numeric_limits<double>::infinity();

 private:
  bool Fail(const char* what) {
    problem = absl::StrCat(path_, " holds ", what);
    return false;
  }
  bool Number(double value) {
    if (depth_ == 0 && path_ == "/problem/usage_limit") usage_limit = value;
    if (list_ == nullptr) return true;
    if (depth_ != 2) return Fail("a number that is not in a list of lists");
    list_->back().push_back(value);
    return true;
  }

  std::string path_;
  std::vector<size_t> marks_;
  int depth_ = 0;
  std::vector<std::vector<double>>* list_ = nullptr;
};

void Forbid(std::vector<double>& costs) {
  for (double& cost : costs) {
    if (cost >= kForbidden) cost = std::numeric_limits<double>::infinity();
  }
}

}  // namespace

absl::StatusOr<std::string> ReadPacked(const std::string& path) {
  gzFile file = gzopen(path.c_str(), "rb");
  if (file == nullptr) return absl::NotFoundError(absl::StrCat("cannot open ", path));
  gzbuffer(file, 1 << 20);
  std::string bytes;
  int got = 0;
  do {
    constexpr size_t kChunk = size_t{8} << 20;
    const size_t old_size = bytes.size();
    bytes.resize(old_size + kChunk);
    got = gzread(file, bytes.data() + old_size, kChunk);
    bytes.resize(old_size + static_cast<size_t>(std::max(got, 0)));
  } while (got > 0);
  const bool broken = got < 0 || gzclose(file) != Z_OK;
  if (broken) return absl::DataLossError(absl::StrCat(path, " is a damaged gzip file"));
  return bytes;
}

absl::StatusOr<Instance> ReadInstance(const std::string& path) {
  ASSIGN_OR_RETURN(const std::string text, ReadPacked(path));
  Reader reader;
  if (!nlohmann::json::sax_parse(text, &reader)) return absl::InvalidArgumentError(absl::StrCat(path, ": ", reader.problem));
  const size_t n = reader.costs.size();
  if (reader.intervals.size() != n || reader.usages.size() != n || reader.edge_nodes.size() != reader.edge_costs.size()) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": the lists of nodes or edges differ in length"));
  }
  Instance instance{reader.name, {}};
  CostNetwork& network = instance.network;
  double rows = 0;
  for (size_t v = 0; v < n; ++v) {
    if (reader.intervals[v].empty()) continue;
    if (reader.intervals[v].size() != 2 || reader.intervals[v][0] < 0 || reader.intervals[v][1] > 1e8) {
      return absl::InvalidArgumentError(absl::StrCat(path, ": the interval of node ", v, " is malformed"));
    }
    if (reader.intervals[v][0] >= reader.intervals[v][1]) continue;
    rows = std::max(rows, reader.intervals[v][1]);
    network.usages.push_back({static_cast<int>(v), static_cast<int>(reader.intervals[v][0]),
                              static_cast<int>(reader.intervals[v][1]), std::move(reader.usages[v])});
  }
  if (reader.usage_limit != std::numeric_limits<double>::infinity()) {
    network.row_limit.assign(static_cast<size_t>(rows), reader.usage_limit);
  } else {
    network.usages.clear();
  }
  for (std::vector<double>& costs : reader.costs) Forbid(costs);
  network.unary = std::move(reader.costs);
  for (size_t e = 0; e < reader.edge_nodes.size(); ++e) {
    if (reader.edge_nodes[e].size() != 2) {
      return absl::InvalidArgumentError(absl::StrCat(path, ": edge ", e, " joins ", reader.edge_nodes[e].size(), " nodes"));
    }
    Forbid(reader.edge_costs[e]);
    const int a = static_cast<int>(reader.edge_nodes[e][0]), b = static_cast<int>(reader.edge_nodes[e][1]);
    if (a == b && a >= 0 && a < static_cast<int>(n)) {  // an edge to itself is a cost of the node
      std::vector<double>& unary = network.unary[a];
      if (reader.edge_costs[e].size() != unary.size() * unary.size()) {
        return absl::InvalidArgumentError(absl::StrCat(path, ": edge ", e, " is malformed"));
      }
      for (size_t k = 0; k < unary.size(); ++k) unary[k] += reader.edge_costs[e][k * unary.size() + k];
      continue;
    }
    network.edges.push_back({a, b, std::move(reader.edge_costs[e])});
  }
  RETURN_IF_ERROR_WITH(network.Validate(), path);
  return instance;
}

absl::StatusOr<Verdict> Check(const std::string& path, const std::vector<int>& choice) {
  ASSIGN_OR_RETURN(const std::string text, ReadPacked(path));
  const nlohmann::json document = nlohmann::json::parse(text, nullptr, false);
  if (!document.is_object()) return absl::InvalidArgumentError(absl::StrCat(path, " is no JSON object"));
  const nlohmann::json& problem = document.at("problem");
  const nlohmann::json& nodes = problem.at("nodes");
  const nlohmann::json& edges = problem.at("edges");
  constexpr int64_t kForbiddenCost = 1'000'000'000'000'000'000;
  Verdict verdict;
  const auto refuse = [&](std::string why) {
    verdict.problem = std::move(why);
    return verdict;
  };
  if (choice.size() != nodes.at("costs").size()) return refuse(absl::StrCat(choice.size(), " values"));
  std::vector<int64_t> arrivals;
  for (size_t v = 0; v < choice.size(); ++v) {
    const nlohmann::json& costs = nodes.at("costs")[v];
    if (choice[v] < 0 || static_cast<size_t>(choice[v]) >= costs.size()) return refuse(absl::StrCat("node ", v, ": no such value"));
    const int64_t cost = costs[static_cast<size_t>(choice[v])].get<int64_t>();
    if (cost >= kForbiddenCost) return refuse(absl::StrCat("node ", v, " has a forbidden value"));
    verdict.cost += cost;
    const nlohmann::json& interval = nodes.at("intervals")[v];
    const int64_t usage = nodes.at("usages")[v][static_cast<size_t>(choice[v])].get<int64_t>();
    if (interval.empty() || interval[0].get<int64_t>() >= interval[1].get<int64_t>()) continue;
    const size_t end = interval[1].get<size_t>();
    if (arrivals.size() <= end) arrivals.resize(end + 1, 0);
    arrivals[interval[0].get<size_t>()] += usage;
    arrivals[end] -= usage;
  }
  for (size_t e = 0; e < edges.at("nodes").size(); ++e) {
    const size_t u = edges["nodes"][e][0].get<size_t>(), v = edges["nodes"][e][1].get<size_t>();
    const size_t width = nodes["costs"][v].size();
    const int64_t cost = edges["costs"][e][static_cast<size_t>(choice[u]) * width + static_cast<size_t>(choice[v])].get<int64_t>();
    if (cost >= kForbiddenCost) return refuse(absl::StrCat("edge ", e, " has a forbidden pair"));
    verdict.cost += cost;
  }
  if (problem.contains("usage_limit") && problem["usage_limit"].is_number()) {
    const int64_t limit = problem["usage_limit"].get<int64_t>();
    int64_t use = 0;
    for (size_t time = 0; time < arrivals.size(); ++time) {
      use += arrivals[time];
      if (use > limit) return refuse(absl::StrCat("time ", time, " uses ", use, " of ", limit));
    }
  }
  verdict.valid = true;
  return verdict;
}

absl::StatusOr<Record> FindRecord(const std::string& table_path, const std::string& instance) {
  ASSIGN_OR_RETURN(const std::string text, ReadPacked(table_path));
  Record record;
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    const std::vector<absl::string_view> cells = absl::StrSplit(line, ',');
    if (cells.size() < 14 || cells[0] != instance) continue;
    const auto number = [&](size_t i) {
      double value = 0;
      return absl::SimpleAtod(cells[i], &value) ? value : 0;
    };
    record = {number(8), 0, number(13), cells.size() > 14 ? number(14) : 0};
    for (size_t team : {9, 10, 11}) {
      if (number(team) > 0 && (record.best_known == 0 || number(team) < record.best_known)) record.best_known = number(team);
    }
  }
  return record;
}

}  // namespace omserve::iopddl
