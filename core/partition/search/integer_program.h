// The search for something cheaper on a small core, with COIN-OR: Clp for proofs, CBC for choices.
//
// The root of a proof (prover.h) comes first; what it leaves open goes to CBC, whose answer is taken as a choice and never as a
// proof, and then to the whole proof.
#ifndef OMSERVE_CORE_PARTITION_SEARCH_INTEGER_PROGRAM_H_
#define OMSERVE_CORE_PARTITION_SEARCH_INTEGER_PROGRAM_H_

#include <functional>
#include <memory>
#include <vector>

#include "absl/time/time.h"
#include "core/partition/search/network.h"

namespace omserve {

struct IntegerProgram {
  CostNetwork network;           // contracted
  bool integral = false;         // all costs are integers
  double upper_bound = 0;        // finite; dearer choices do not matter
  std::vector<int> incumbent;    // a choice of that cost; empty when it has none in this network
  std::vector<double> prices;    // of the rows, from the dual
  absl::Time deadline;
};

struct IntegerProgramResult {
  std::vector<int> choice;   // the best found below the upper bound that keeps the rows; empty when none
  double bound = 0;          // no choice is cheaper than this or, if that is less, than `choice` or the upper bound
  bool closed = false;       // `choice`, or else what the upper bound came from, is the optimum
};

// Gives what is known to `report` whenever that is more than before. Sequential.
void SolveIntegerProgram(const IntegerProgram& program, const std::function<void(const IntegerProgramResult&)>& report);

// The same in a process of its own: the solvers look at their time limit only now and then, and this one can be ended at
// any moment. One thread per object; the destructor ends the process.
class IntegerProgramTask {
 public:
  // Null when the system gives no process.
  static std::unique_ptr<IntegerProgramTask> Start(const IntegerProgram& program);
  ~IntegerProgramTask();
  // Waits up to `wait`. True when it has ended, with or without an answer.
  bool Ended(absl::Duration wait);
  // The last report.
  const IntegerProgramResult& result() const { return result_; }

 private:
  IntegerProgramTask(int process, int pipe, size_t variables) : process_(process), pipe_(pipe), variables_(variables) {}
  void Stop();

  int process_;
  int pipe_;
  size_t variables_;
  std::vector<char> received_;
  IntegerProgramResult result_;
};

}  // namespace omserve

#endif  // OMSERVE_CORE_PARTITION_SEARCH_INTEGER_PROGRAM_H_
