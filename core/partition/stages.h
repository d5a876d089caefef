// Cutting a chain of operators into pipeline stages: the dynamic program over stages under a cap on the
// slowest one (Alpa, OSDI'22, section 5), exact over the places where a cut is allowed. A pure function.
#ifndef OMSERVE_CORE_PARTITION_STAGES_H_
#define OMSERVE_CORE_PARTITION_STAGES_H_

#include <optional>
#include <vector>

namespace omserve {

struct StageProblem {
  std::vector<double> seconds;       // per operator, in order
  std::vector<double> weight_bytes;  // per operator: what one device of its stage holds
  // A stage may begin at operator cuts[i]; receiving what crosses there takes cut_seconds[i]. Ascending, in
  // [1, operators).
  std::vector<int> cuts;
  std::vector<double> cut_seconds;
  int stages = 1;
  // Requests or micro-batches in flight: the objective is sum of stages + (in_flight - 1) * slowest stage.
  double in_flight = 1;
  double memory_bytes = 0;  // of a device, for weights; 0: no limit
};

struct StageSolution {
  std::vector<int> begin;  // first operator of each stage
  double sum = 0;          // of the stages, with what they receive
  double slowest = 0;
};

// Nothing when there are too few cuts or no way to keep the memory. `exact`: every distinct time of a stage
// is tried as cap; else times within 0.1 % of each other count as one.
std::optional<StageSolution> CutIntoStages(const StageProblem& problem, bool exact = false);

}  // namespace omserve

#endif  // OMSERVE_CORE_PARTITION_STAGES_H_
