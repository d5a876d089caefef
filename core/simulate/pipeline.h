// A discrete-event simulation of pipeline stages: what each of them does for one run, in order, and when that happens
// with many runs under way. It knows steps and seconds, no graphs and no devices: all devices of a stage do the same
// thing at the same time, so a stage stands for its whole mesh and a thousand devices cost no more than eight.
//
//   PipelineProgram program = …;                       // core/simulate/simulate.h makes it from a plan
//   std::vector<SimulatedRun> runs(8);                 // eight runs, all there at time 0
//   ASSIGN_OR_RETURN(Simulation all, SimulateRuns({program}, runs, {.overlap_sends = true}));
#ifndef OMSERVE_CORE_SIMULATE_PIPELINE_H_
#define OMSERVE_CORE_SIMULATE_PIPELINE_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace omserve {

struct SimulatedStep {
  enum class Kind { kCompute, kCollective, kSend, kReceive };
  Kind kind = Kind::kCompute;
  double seconds = 0;  // of a send: of the message. A receive has none of its own
  int channel = -1;    // of a send and the receive it belongs to: counted from 0, each once in a program
  std::string name;    // of the operator, or of the value that moves
  std::string what;    // the operator's type, or what is done
};

// What one run consists of, by stage.
struct PipelineProgram {
  std::vector<std::vector<SimulatedStep>> stages;
};

// One run: of a model on one batch, a micro-batch of it, or one token of a sequence. Every stage takes runs in the
// order in which they are listed.
struct SimulatedRun {
  int program = 0;     // which of the programs
  double arrival = 0;  // it begins nowhere before this
  int after = -1;      // nor before this earlier run has ended: the token before it, or the one whose place it takes
};

struct SimulationOptions {
  // Off: a message occupies both stages, from when both are there. On: each stage has a thread that sends, one message
  // after the other, and stages only wait for what they receive.
  bool overlap_sends = false;
  // Events of the first so many runs are kept.
  int recorded_runs = 0;
};

struct SimulatedEvent {
  int run = 0, stage = 0, step = 0;
  double begin = 0, end = 0;  // of a receive: when the message is under way
};

struct Simulation {
  struct Times {
    double begin = 0, end = 0;
  };
  std::vector<Times> runs;
  std::vector<SimulatedEvent> events;  // by run, stage, step
  double seconds = 0;                  // until the last run has ended
};

// INVALID_ARGUMENT for programs whose channels are not sent and received once each, or runs that follow later ones;
// FAILED_PRECONDITION when stages wait for each other for ever.
absl::StatusOr<Simulation> SimulateRuns(const std::vector<PipelineProgram>& programs,
                                        const std::vector<SimulatedRun>& runs, const SimulationOptions& options);

// With runs always waiting at the first stage.
struct SteadyState {
  double seconds_between_answers = 0;
  // Per stage, shares of the time: at work (operators and collectives), and occupied by messages that nothing else can
  // go on beside.
  std::vector<double> working, messaging;
  // Of the time of all stages, the share in which they wait.
  double bubble = 0;
};

absl::StatusOr<SteadyState> FindSteadyState(const PipelineProgram& program, bool overlap_sends);

// `micro_batches` equal parts of one run, all there at time 0: until the last has ended.
absl::StatusOr<double> MicroBatchedSeconds(const PipelineProgram& micro_batch, int micro_batches, bool overlap_sends);

}  // namespace omserve

#endif  // OMSERVE_CORE_SIMULATE_PIPELINE_H_
