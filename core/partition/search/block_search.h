// Local search on a network: re-optimises random blocks exactly while all else is fixed.
//
// A block is a forest of trees grown in the network; dynamic programming finds its best values, cost plus price of the
// memory taken. A row that the result would break gets a price of its own and the block is solved again, until it fits or
// nothing is gained. Feasibility is kept by a RowTree; a start that does not fit is repaired by the same moves first.
// Deterministic by seed for a given sequence of calls. One thread per object.
#ifndef OMSERVE_CORE_PARTITION_SEARCH_BLOCK_SEARCH_H_
#define OMSERVE_CORE_PARTITION_SEARCH_BLOCK_SEARCH_H_

#include <cstdint>
#include <functional>
#include <random>
#include <vector>

#include "core/partition/search/flat.h"
#include "core/partition/search/row_tree.h"

namespace omserve {

class BlockSearch {
 public:
  BlockSearch(const FlatNetwork& network, uint64_t seed);

  // Begins again from `choice`, which may break rows and pairs.
  void Start(const std::vector<int>& choice);
  void ForgetBest() { has_best_ = false; }
  // Prices that lead blocks and repairs (from the dual).
  void SetPrices(const std::vector<double>& prices);
  // Makes block moves until `work` table entries were read or `stop` says so.
  void Run(int64_t work, const std::function<bool()>& stop);

  bool has_best() const { return has_best_; }
  const std::vector<int>& best() const { return best_; }
  double best_cost() const { return best_cost_; }
  // The nearest to feasible seen when has_best() is false.
  const std::vector<int>& current() const { return choice_; }
  int64_t moves() const { return moves_; }
  // How much worse than its best the search may wander, relative to it.
  void SetTemperature(double temperature) { temperature_ = temperature; }

 private:
  struct Member {
    int variable = 0;
    int parent = -1;              // index in the block
    const FlatNetwork::Link* link = nullptr;  // from this variable to its parent
    size_t at = 0;                // of its values in the scratch arrays
    int old_value = 0;
  };

  // From random variables, or from random ones of `seeds` when there are any.
  void GrowBlock(const std::vector<int>& seeds);
  void Conditional();
  void Solve(double price_scale);
  double Delta() const;
  bool Change();
  void Undo();
  void MendPairs(int64_t budget, const std::function<bool()>& stop);
  void MendRows(int64_t budget, const std::function<bool()>& stop);
  void FindSeeds(int row);
  double Freed(int row) const;
  void Recount();
  void TryBlock();
  void Keep();
  double UnaryDelta(int v, int value) const;
  uint32_t Random(uint32_t below) { return static_cast<uint32_t>((static_cast<uint64_t>(rng_()) * below) >> 32); }

  const FlatNetwork& network_;
  std::mt19937 rng_;
  std::vector<double> tables_;  // as the network's, forbidden pairs very dear so that a broken start can be mended
  std::vector<double> unary_;
  std::vector<int> choice_, best_;
  double cost_ = 0, best_cost_ = 0;
  bool has_best_ = false;
  double temperature_ = 0;
  RowTree rows_;
  std::vector<double> price_before_;  // prefix sums of the prices

  std::vector<Member> block_;
  std::vector<int> in_block_;  // index in the block, or -1
  std::vector<int> new_value_;
  std::vector<double> conditional_, table_, message_;
  std::vector<int> argument_;
  struct LocalPrice {
    int row = 0;
    double price = 0;
  };
  std::vector<LocalPrice> local_;
  std::vector<int> frontier_;
  std::vector<int> seeds_;  // while a start is mended: where blocks begin
  double push_ = 0;         // while rows are mended: price of the fullest one
  int64_t failures_ = 0;    // moves that did not lower it
  int64_t moves_ = 0, work_ = 0;
};

}  // namespace omserve

#endif  // OMSERVE_CORE_PARTITION_SEARCH_BLOCK_SEARCH_H_
