// The core as an integer program, solved by COIN-OR CBC.
//
// Local-polytope form: s[i,p] in {0,1}; e[ij,pq] >= 0 continuous; sum_p s = 1; sum_q e[ij,pq] = s[i,p]; sum_p e[ij,pq] =
// s[j,q]; one row per memory row that matters (added when a solution breaks it). Forbidden pairs have no column.
#ifndef OMSERVE_CORE_PARTITION_SEARCH_INTEGER_PROGRAM_H_
#define OMSERVE_CORE_PARTITION_SEARCH_INTEGER_PROGRAM_H_

#include <memory>
#include <vector>

#include "absl/time/time.h"
#include "core/partition/search/network.h"

namespace omserve {

struct IntegerProgramResult {
  std::vector<int> choice;   // the best found that keeps the rows; empty when none
  // No choice is cheaper; what the solver's tolerances (a millionth of upper - lower bound) can hide is taken off.
  double bound = 0;
};

// Minimises cost + sum of price * (limit - use) over the rows: what Dual::Reparametrised leaves, with costs no larger than
// the gap. (Large costs that cancel would drown the answer in the solver's tolerances.) Searches for something cheaper than
// `upper_bound`; `lower_bound` is known to hold; `incumbent` may be empty; rows with a price are in the program from the
// start. Sequential.
IntegerProgramResult SolveIntegerProgram(const CostNetwork& network, double lower_bound, double upper_bound,
                                         const std::vector<int>& incumbent, const std::vector<double>& prices,
                                         absl::Time deadline);

// The same in a process of its own: the solver looks at its time limit only now and then, and this one can be ended at
// any moment. One thread per object; the destructor ends the process.
class IntegerProgramTask {
 public:
  // Null when the system gives no process.
  static std::unique_ptr<IntegerProgramTask> Start(const CostNetwork& network, double lower_bound, double upper_bound,
                                                   const std::vector<int>& incumbent, const std::vector<double>& prices,
                                                   absl::Time deadline);
  ~IntegerProgramTask();
  // Waits up to `wait`. True when it has ended, with or without an answer.
  bool Ended(absl::Duration wait);
  const IntegerProgramResult& result() const { return result_; }

 private:
  IntegerProgramTask(int process, int pipe, double lower_bound) : process_(process), pipe_(pipe) { result_.bound = lower_bound; }
  void Stop();

  int process_;
  int pipe_;
  std::vector<char> received_;
  IntegerProgramResult result_;
};

}  // namespace omserve

#endif  // OMSERVE_CORE_PARTITION_SEARCH_INTEGER_PROGRAM_H_
