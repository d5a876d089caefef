#include "core/partition/search/pareto.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>
#include <utility>

namespace omserve {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

class Labeller {
 public:
  Labeller(const CostNetwork& network, const Elimination& elimination, const ParetoOptions& options, const WaitLimit& limit)
      : network_(network), elimination_(elimination), options_(options), limit_(limit), takes_(network.unary.size()) {
    const size_t rows = options.rows.size();
    for (const CostNetwork::Usage& usage : network.usages) {
      Takes& takes = takes_[static_cast<size_t>(usage.variable)];
      takes.price.resize(usage.amount.size(), 0);
      const auto first = std::lower_bound(options.rows.begin(), options.rows.end(), usage.first_row);
      for (auto it = first; it != options.rows.end() && *it < usage.end_row; ++it) {
        std::vector<double>& amount = takes.amount[static_cast<int>(it - options.rows.begin())];
        amount.resize(usage.amount.size(), 0);
        for (size_t k = 0; k < usage.amount.size(); ++k) {
          amount[k] += usage.amount[k];
          takes.price[k] += usage.amount[k] * options.prices[static_cast<size_t>(*it)];
        }
      }
    }
    magnitude_ = std::abs(options.cutoff);
    for (size_t r = 0; r < rows; ++r) {
      const size_t row = static_cast<size_t>(options.rows[r]);
      limit_of_.push_back(network.row_limit[row]);
      paid_back_ += options.prices[row] * limit_of_.back();
      magnitude_ += std::abs(options.prices[row] * limit_of_.back());
    }
  }

  ParetoResult Run() {
    ParetoResult result;
    const auto& buckets = elimination_.buckets();
    // Most that can be taken of each row by a bucket's variable, by all below it, by everything.
    std::vector<double> all(limit_of_.size(), 0);
    for (const Takes& takes : takes_) {
      for (const auto& [r, amount] : takes.amount) all[static_cast<size_t>(r)] += *std::max_element(amount.begin(), amount.end());
    }
    lists_.resize(buckets.size());
    open_.resize(buckets.size());
    std::vector<std::map<int, double>> below(buckets.size());
    for (size_t b = 0; b < buckets.size(); ++b) {
      if (buckets[b].variable >= 0) {
        for (const auto& [r, amount] : takes_[static_cast<size_t>(buckets[b].variable)].amount) {
          below[b][r] += *std::max_element(amount.begin(), amount.end());
        }
      }
      for (const auto& part : buckets[b].children) {
        for (const auto& [r, most] : below[static_cast<size_t>(part.id)]) below[b][r] += most;
        below[static_cast<size_t>(part.id)].clear();
      }
      // The rows that labels tell apart here, and what of them no longer matters.
      seen_.clear();
      floor_.clear();
      for (const auto& [r, most] : below[b]) {
        const double outside = all[static_cast<size_t>(r)] - most;
        if (all[static_cast<size_t>(r)] <= limit_of_[static_cast<size_t>(r)]) continue;
        seen_.push_back(r);
        floor_.push_back(limit_of_[static_cast<size_t>(r)] - outside);
        if (outside > 0) open_[b].push_back(r);
      }
      // Rows that were closed further down stay in `below`; nothing here takes of them.
      if (!MakeLabels(static_cast<int>(b))) return result;
      std::erase_if(below[b], [&](const auto& item) { return all[static_cast<size_t>(item.first)] <= item.second; });
    }
    result.complete = true;
    const std::vector<int>& last = lists_.back()[0];
    const auto cheapest =
        std::min_element(last.begin(), last.end(), [&](int x, int y) { return At(x).cost < At(y).cost; });
    if (cheapest == last.end() || At(*cheapest).cost > options_.cutoff) return result;
    result.choice.assign(network_.unary.size(), 0);
    Decode(static_cast<int>(buckets.size()) - 1, *cheapest, result.choice);
    return result;
  }

 private:
  // What a variable takes of the rows looked at.
  struct Takes {
    std::map<int, std::vector<double>> amount;  // by place in options.rows; per value
    std::vector<double> price;                  // of all of it, per value
  };
  struct Label {
    double cost;      // of the bucket and all below it
    double priced;    // the same with the price of the memory taken
    int value;        // of the bucket's variable
    int trail;        // labels of the children, or -1
    int64_t use = 0;  // place in uses_ of what it takes of the bucket's open rows
  };
  struct Trail {
    int label, next;  // of the child joined last; those before it
  };
  // Labels under way, of one entry, with what they take of seen_.
  struct List {
    std::vector<Label> label;
    std::vector<double> use;
    void Clear() {
      label.clear();
      use.clear();
    }
  };

  const Label& At(int id) const { return labels_[static_cast<size_t>(id)]; }

  // Makes the labels of all entries of a bucket. False when they are too many or the time is over.
  bool MakeLabels(int b) {
    const Elimination::Bucket& bucket = elimination_.buckets()[static_cast<size_t>(b)];
    const size_t values = bucket.values, rows = seen_.size();
    lists_[static_cast<size_t>(b)].resize(bucket.entries);
    // Where each part lies, per entry.
    const auto places = [&](const Elimination::Part& part) {
      std::vector<size_t> place(bucket.entries);
      elimination_.Walk(bucket, part, [&](size_t entry, size_t at) { place[entry] = at; });
      return place;
    };
    std::vector<std::vector<size_t>> edge_place, child_place, child_rows;
    for (const auto& part : bucket.edges) edge_place.push_back(places(part));
    for (const auto& part : bucket.children) {
      child_place.push_back(places(part));
      child_rows.emplace_back();  // its open rows, as places in seen_
      for (int r : open_[static_cast<size_t>(part.id)]) {
        child_rows.back().push_back(static_cast<size_t>(std::lower_bound(seen_.begin(), seen_.end(), r) - seen_.begin()));
      }
    }
    const Takes* takes = bucket.variable >= 0 ? &takes_[static_cast<size_t>(bucket.variable)] : nullptr;
    List list, next;
    for (size_t entry = 0; entry < bucket.entries; ++entry) {
      if (bucket.outside[entry] == kInfinity) continue;
      collected_.Clear();
      for (size_t k = 0; k < values; ++k) {
        const double joint = bucket.joint[entry * values + k];
        if (joint == kInfinity) continue;
        // How much dearer than the cheapest a label may be.
        const double room = options_.cutoff - (joint + bucket.outside[entry] - paid_back_) + 1e-9 * (magnitude_ + std::abs(joint));
        if (room < 0) continue;
        list.Clear();
        list.use.assign(rows, 0);
        double cost = 0, price = 0;
        if (takes != nullptr) {
          cost = network_.unary[static_cast<size_t>(bucket.variable)][k];
          if (!takes->price.empty()) price = takes->price[k];
          for (size_t r = 0; r < rows; ++r) {
            const auto own = takes->amount.find(seen_[r]);
            if (own != takes->amount.end()) list.use[r] = own->second[k];
          }
        }
        for (size_t i = 0; i < bucket.edges.size(); ++i) {
          const auto& part = bucket.edges[i];
          cost += network_.edges[static_cast<size_t>(part.id)].cost[edge_place[i][entry] + k * part.stride.back()];
        }
        list.label.push_back({cost, cost + price, static_cast<int>(k), -1});
        double least = cost + price;  // of what is joined so far
        for (size_t i = 0; i < bucket.children.size() && !list.label.empty(); ++i) {
          const auto& part = bucket.children[i];
          const size_t at = child_place[i][entry] + k * part.stride.back();
          Join(list, part.id, at, child_rows[i], least, room, next);
          least += elimination_.buckets()[static_cast<size_t>(part.id)].least[at];
          std::swap(list, next);
          if (Exhausted()) return false;
        }
        collected_.label.insert(collected_.label.end(), list.label.begin(), list.label.end());
        collected_.use.insert(collected_.use.end(), list.use.begin(), list.use.end());
      }
      Commit(b, lists_[static_cast<size_t>(b)][entry]);
      if (Exhausted()) return false;
    }
    return true;
  }

  bool Full() const {
    return static_cast<int64_t>(labels_.size() + trails_.size() + uses_.size()) > options_.max_labels || compared_ > 50 * options_.max_labels;
  }
  bool Exhausted() { return Full() || (++checks_ % 1024 == 0 && !limit_.Check("labels").ok()); }

  // `next` = each of `list` with each label of an entry of the child. `least`: the priced minimum of `list`.
  void Join(const List& list, int child, size_t entry, const std::vector<size_t>& child_rows, double least, double room, List& next) {
    next.Clear();
    const size_t rows = seen_.size();
    const double child_least = elimination_.buckets()[static_cast<size_t>(child)].least[entry];
    const std::vector<int>& ids = lists_[static_cast<size_t>(child)][entry];  // by rising priced cost
    for (size_t i = 0; i < list.label.size(); ++i) {
      const Label& label = list.label[i];
      for (int id : ids) {
        const Label& below = At(id);
        if (label.priced - least + below.priced - child_least > room) break;
        const size_t at = next.use.size();
        next.use.insert(next.use.end(), &list.use[i * rows], &list.use[i * rows] + rows);
        bool fits = true;
        for (size_t c = 0; c < child_rows.size(); ++c) {
          double& use = next.use[at + child_rows[c]];
          use += uses_[static_cast<size_t>(below.use) + c];
          fits = fits && use <= limit_of_[static_cast<size_t>(seen_[child_rows[c]])];
        }
        if (!fits) {
          next.use.resize(at);
          continue;
        }
        next.label.push_back({label.cost + below.cost, label.priced + below.priced, label.value, static_cast<int>(trails_.size())});
        trails_.push_back({id, label.trail});
        if (Full()) return;
      }
    }
    Thin(next);
  }

  // Keeps what no other label of the list beats.
  void Thin(List& list) {
    if (list.label.size() < 2) return;
    const size_t rows = seen_.size();
    std::vector<int> order(list.label.size());
    std::iota(order.begin(), order.end(), 0);
    const auto use = [&](int i) { return &list.use[static_cast<size_t>(i) * rows]; };
    std::sort(order.begin(), order.end(), [&](int x, int y) {
      if (list.label[x].cost != list.label[y].cost) return list.label[x].cost < list.label[y].cost;
      const int first = std::lexicographical_compare(use(x), use(x) + rows, use(y), use(y) + rows);
      return first || (std::equal(use(x), use(x) + rows, use(y)) && x < y);
    });
    List kept;
    for (int i : order) {
      bool beaten = false;
      for (size_t j = kept.label.size(); j-- > 0 && !beaten;) {
        beaten = true;
        ++compared_;
        for (size_t r = 0; r < rows && beaten; ++r) beaten = kept.use[j * rows + r] <= use(i)[r];
        if (rows == 1) break;  // the last one kept takes least
      }
      if (beaten) continue;
      if (Full()) return;
      kept.label.push_back(list.label[i]);
      kept.use.insert(kept.use.end(), use(i), use(i) + rows);
    }
    std::swap(list, kept);
  }

  // Lays collected_ down as labels of an entry, cheapest (priced) first.
  void Commit(int b, std::vector<int>& ids) {
    const size_t rows = seen_.size();
    // Use that can no longer break a row does not tell labels apart; rows that end here are checked for the last time.
    for (size_t i = 0; i < collected_.use.size(); ++i) collected_.use[i] = std::max(collected_.use[i], floor_[i % rows]);
    Thin(collected_);
    std::vector<int> order(collected_.label.size());
    std::iota(order.begin(), order.end(), 0);
    std::sort(order.begin(), order.end(), [&](int x, int y) { return collected_.label[x].priced < collected_.label[y].priced; });
    for (int i : order) {
      const double* use = &collected_.use[static_cast<size_t>(i) * rows];
      bool fits = true;
      for (size_t r = 0; r < rows; ++r) fits = fits && use[r] <= limit_of_[static_cast<size_t>(seen_[r])];
      if (!fits) continue;
      ids.push_back(static_cast<int>(labels_.size()));
      labels_.push_back(collected_.label[i]);
      labels_.back().use = static_cast<int64_t>(uses_.size());
      size_t at = 0;
      for (int r : open_[static_cast<size_t>(b)]) {
        while (seen_[at] != r) ++at;
        uses_.push_back(use[at]);
      }
    }
  }

  void Decode(int b, int id, std::vector<int>& choice) const {
    std::vector<std::pair<int, int>> open = {{b, id}};
    while (!open.empty()) {
      const auto [at, label_id] = open.back();
      open.pop_back();
      const Elimination::Bucket& bucket = elimination_.buckets()[static_cast<size_t>(at)];
      const Label& label = At(label_id);
      if (bucket.variable >= 0) choice[static_cast<size_t>(bucket.variable)] = label.value;
      // The trail has the children from the last to the first.
      size_t child = bucket.children.size();
      for (int trail = label.trail; trail >= 0; trail = trails_[static_cast<size_t>(trail)].next) {
        open.push_back({bucket.children[--child].id, trails_[static_cast<size_t>(trail)].label});
      }
    }
  }

  const CostNetwork& network_;
  const Elimination& elimination_;
  const ParetoOptions& options_;
  const WaitLimit& limit_;
  std::vector<Takes> takes_;           // per variable
  std::vector<double> limit_of_;       // per row looked at
  double paid_back_ = 0;               // sum of price * limit
  double magnitude_ = 0;               // of the sums that are compared
  std::vector<std::vector<std::vector<int>>> lists_;  // per bucket and entry: labels
  std::vector<std::vector<int>> open_;  // per bucket: rows of which both it (or what is below) and others take
  std::vector<int> seen_;              // of the bucket at hand: rows that are open in it or below, ascending
  std::vector<double> floor_;          // of each of them: use up to this can no longer break it
  std::vector<Label> labels_;
  std::vector<double> uses_;
  std::vector<Trail> trails_;
  List collected_;
  int64_t checks_ = 0, compared_ = 0;
};

}  // namespace

ParetoResult FindByLabels(const CostNetwork& network, const Elimination& elimination, const ParetoOptions& options, const WaitLimit& limit) {
  return Labeller(network, elimination, options, limit).Run();
}

}  // namespace omserve
