#include "core/simulate/pipeline.h"

#include <algorithm>
#include <deque>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/base/status.h"

namespace omserve {
namespace {

using Kind = SimulatedStep::Kind;

struct Channel {
  int from = -1, to = -1;  // stages
};

absl::StatusOr<std::vector<Channel>> ChannelsOf(const PipelineProgram& program) {
  std::vector<Channel> channels;
  for (size_t s = 0; s < program.stages.size(); ++s) {
    for (const SimulatedStep& step : program.stages[s]) {
      if (!(step.seconds >= 0)) {
        return absl::InvalidArgumentError(absl::StrCat("step '", step.name, "' of stage ", s, " takes ", step.seconds,
                                                       " s; the time of a step is a number from 0"));
      }
      if (step.kind != Kind::kSend && step.kind != Kind::kReceive) continue;
      if (step.channel < 0) {
        return absl::InvalidArgumentError(absl::StrCat("step '", step.name, "' of stage ", s, " has no channel"));
      }
      if (static_cast<size_t>(step.channel) >= channels.size()) channels.resize(static_cast<size_t>(step.channel) + 1);
      Channel& channel = channels[static_cast<size_t>(step.channel)];
      int& end = step.kind == Kind::kSend ? channel.from : channel.to;
      if (end >= 0) {
        return absl::InvalidArgumentError(absl::StrCat("channel ", step.channel, " is used by stages ", end, " and ", s,
                                                       " for the same; each channel is sent once and received once"));
      }
      end = static_cast<int>(s);
    }
  }
  for (size_t c = 0; c < channels.size(); ++c) {
    if (channels[c].from < 0 || channels[c].to < 0) {
      return absl::InvalidArgumentError(
          absl::StrCat("channel ", c, " is ", channels[c].from < 0 ? "never sent" : "never received"));
    }
  }
  return channels;
}

class Simulator {
 public:
  Simulator(const std::vector<PipelineProgram>& programs, const std::vector<SimulatedRun>& runs,
            const SimulationOptions& options)
      : programs_(programs), runs_(runs), options_(options) {}

  absl::StatusOr<Simulation> Run() {
    RETURN_IF_ERROR(Check());
    if (runs_.empty()) return Simulation{};
    const size_t count = programs_[0].stages.size();
    stages_.resize(count);
    result_.runs.resize(runs_.size());
    begun_.assign(runs_.size(), false);
    left_.assign(runs_.size(), static_cast<int>(count));
    for (size_t s = 0; s < count; ++s) Wake(static_cast<int>(s));
    while (!awake_.empty()) {
      const int stage = awake_.front();
      awake_.pop_front();
      stages_[static_cast<size_t>(stage)].awake = false;
      Advance(stage);
    }
    for (size_t s = 0; s < count; ++s) {
      const Stage& stage = stages_[s];
      if (stage.run == runs_.size()) continue;
      const auto& steps = Steps(static_cast<int>(s));
      return absl::FailedPreconditionError(
          absl::StrCat("stages wait for each other for ever: stage ", s, " in run ", stage.run,
                       stage.step < steps.size() ? absl::StrCat(" at '", steps[stage.step].name, "'") : ""));
    }
    std::sort(result_.events.begin(), result_.events.end(), [](const SimulatedEvent& a, const SimulatedEvent& b) {
      return std::tie(a.run, a.stage, a.step) < std::tie(b.run, b.stage, b.step);
    });
    return std::move(result_);
  }

 private:
  struct Stage {
    size_t run = 0, step = 0;  // the next
    bool begun = false;        // the run
    double at = 0;             // it is free from here
    double sender_free = 0;    // with overlap: the thread that sends
    bool awake = false;
  };
  // Of one program's channel, for the earliest run that has not been received.
  struct Wire {
    std::deque<std::pair<double, double>> arrived;  // with overlap: messages that the receiver has not taken
    bool sender_waits = false, receiver_waits = false;
  };

  absl::Status Check() {
    for (const PipelineProgram& program : programs_) {
      if (program.stages.size() != programs_[0].stages.size()) {
        return absl::InvalidArgumentError(absl::StrCat("programs of ", programs_[0].stages.size(), " and of ",
                                                       program.stages.size(), " stages cannot share one pipeline"));
      }
      ASSIGN_OR_RETURN(std::vector<Channel> channels, ChannelsOf(program));
      wires_.emplace_back(channels.size());
      channels_.push_back(std::move(channels));
    }
    for (size_t r = 0; r < runs_.size(); ++r) {
      if (runs_[r].program < 0 || static_cast<size_t>(runs_[r].program) >= programs_.size()) {
        return absl::InvalidArgumentError(
            absl::StrCat("run ", r, " has program ", runs_[r].program, "; there are ", programs_.size()));
      }
      if (runs_[r].after >= static_cast<int>(r)) {
        return absl::InvalidArgumentError(
            absl::StrCat("run ", r, " waits for run ", runs_[r].after, ", which is not earlier"));
      }
    }
    return absl::OkStatus();
  }

  const std::vector<SimulatedStep>& Steps(int stage) const {
    const size_t run = stages_[static_cast<size_t>(stage)].run;
    return programs_[static_cast<size_t>(runs_[run].program)].stages[static_cast<size_t>(stage)];
  }

  void Wake(int stage) {
    bool& awake = stages_[static_cast<size_t>(stage)].awake;
    if (!std::exchange(awake, true)) awake_.push_back(stage);
  }

  void Record(int stage, size_t step, double begin, double end) {
    const size_t run = stages_[static_cast<size_t>(stage)].run;
    if (static_cast<int>(run) >= options_.recorded_runs) return;
    result_.events.push_back({static_cast<int>(run), stage, static_cast<int>(step), begin, end});
  }

  void Advance(int index) {
    Stage& stage = stages_[static_cast<size_t>(index)];
    while (stage.run < runs_.size()) {
      const SimulatedRun& run = runs_[stage.run];
      if (!stage.begun) {
        if (run.after >= 0 && left_[static_cast<size_t>(run.after)] > 0) return;  // woken when it ends
        stage.at = std::max(stage.at, run.arrival);
        if (run.after >= 0) stage.at = std::max(stage.at, result_.runs[static_cast<size_t>(run.after)].end);
        stage.begun = true;
      }
      const std::vector<SimulatedStep>& steps = Steps(index);
      for (; stage.step < steps.size(); ++stage.step) {
        const SimulatedStep& step = steps[stage.step];
        if (step.kind == Kind::kCompute || step.kind == Kind::kCollective) {
          NoteBegin(stage.run, stage.at);
          Record(index, stage.step, stage.at, stage.at + step.seconds);
          stage.at += step.seconds;
        } else if (options_.overlap_sends) {
          if (!Buffered(index, step)) return;
        } else {
          Meet(index, step);
          return;  // woken when the other is there, or both are
        }
      }
      EndRun(index);
    }
  }

  void NoteBegin(size_t run, double at) {
    Simulation::Times& times = result_.runs[run];
    if (!begun_[run] || at < times.begin) times.begin = at;
    begun_[run] = true;
  }

  void EndRun(int index) {
    Stage& stage = stages_[static_cast<size_t>(index)];
    Simulation::Times& times = result_.runs[stage.run];
    times.end = std::max(times.end, stage.at);
    result_.seconds = std::max(result_.seconds, times.end);
    if (--left_[stage.run] == 0) {
      for (size_t s = 0; s < stages_.size(); ++s) Wake(static_cast<int>(s));
    }
    ++stage.run;
    stage.step = 0;
    stage.begun = false;
  }

  // With a thread that sends. False: the message has not been sent yet.
  bool Buffered(int index, const SimulatedStep& step) {
    Stage& stage = stages_[static_cast<size_t>(index)];
    const size_t program = static_cast<size_t>(runs_[stage.run].program), channel = static_cast<size_t>(step.channel);
    Wire& wire = wires_[program][channel];
    if (step.kind == Kind::kSend) {
      NoteBegin(stage.run, stage.at);
      const double begin = std::max(stage.at, stage.sender_free);
      stage.sender_free = begin + step.seconds;
      Record(index, stage.step, begin, stage.sender_free);
      wire.arrived.emplace_back(begin, stage.sender_free);
      Wake(channels_[program][channel].to);
      return true;
    }
    if (wire.arrived.empty()) return false;
    const auto [begin, end] = wire.arrived.front();
    wire.arrived.pop_front();
    Record(index, stage.step, begin, end);
    stage.at = std::max(stage.at, end);
    return true;
  }

  // Without: both stand at the message until it is over. The second to come takes both on.
  void Meet(int index, const SimulatedStep& step) {
    const size_t program = static_cast<size_t>(runs_[stages_[static_cast<size_t>(index)].run].program);
    const size_t number = static_cast<size_t>(step.channel);
    const Channel& channel = channels_[program][number];
    Wire& wire = wires_[program][number];
    (step.kind == Kind::kSend ? wire.sender_waits : wire.receiver_waits) = true;
    if (!wire.sender_waits || !wire.receiver_waits) return;
    wire.sender_waits = wire.receiver_waits = false;
    Stage& sender = stages_[static_cast<size_t>(channel.from)];
    Stage& receiver = stages_[static_cast<size_t>(channel.to)];
    const double begin = std::max(sender.at, receiver.at);
    const double end = begin + Steps(channel.from)[sender.step].seconds;
    NoteBegin(sender.run, begin);
    Record(channel.from, sender.step, begin, end);
    Record(channel.to, receiver.step, begin, end);
    sender.at = receiver.at = end;
    ++sender.step;
    ++receiver.step;
    Wake(channel.from);
    Wake(channel.to);
  }

  const std::vector<PipelineProgram>& programs_;
  const std::vector<SimulatedRun>& runs_;
  const SimulationOptions options_;
  std::vector<std::vector<Channel>> channels_;  // by program
  std::vector<std::vector<Wire>> wires_;        // by program and channel
  std::vector<Stage> stages_;
  std::vector<int> left_;  // by run: the stages that have not ended it
  std::vector<bool> begun_;
  std::deque<int> awake_;
  Simulation result_;
};

}  // namespace

absl::StatusOr<Simulation> SimulateRuns(const std::vector<PipelineProgram>& programs,
                                        const std::vector<SimulatedRun>& runs, const SimulationOptions& options) {
  return Simulator(programs, runs, options).Run();
}

absl::StatusOr<SteadyState> FindSteadyState(const PipelineProgram& program, bool overlap_sends) {
  const size_t stages = program.stages.size();
  if (stages == 0) return absl::InvalidArgumentError("a pipeline without stages answers nothing");
  // Filling takes about as many runs as there are stages; the second half is taken.
  const size_t half = std::max<size_t>(16, 4 * stages);
  const std::vector<SimulatedRun> runs(2 * half);
  ASSIGN_OR_RETURN(const Simulation all, SimulateRuns({program}, runs, {.overlap_sends = overlap_sends}));
  SteadyState steady;
  steady.seconds_between_answers = (all.runs[2 * half - 1].end - all.runs[half - 1].end) / static_cast<double>(half);
  std::vector<double> seconds_of;  // by channel
  if (!overlap_sends) {
    for (const auto& steps : program.stages) {
      for (const SimulatedStep& step : steps) {
        if (step.kind != Kind::kSend) continue;
        if (static_cast<size_t>(step.channel) >= seconds_of.size())
          seconds_of.resize(static_cast<size_t>(step.channel) + 1);
        seconds_of[static_cast<size_t>(step.channel)] = step.seconds;
      }
    }
  }
  double busy = 0;
  for (const auto& steps : program.stages) {
    double working = 0, messaging = 0;
    for (const SimulatedStep& step : steps) {
      if (step.kind == Kind::kCompute || step.kind == Kind::kCollective) {
        working += step.seconds;
      } else if (!overlap_sends) {
        messaging += seconds_of[static_cast<size_t>(step.channel)];
      }
    }
    busy += working + messaging;
    const double period = std::max(steady.seconds_between_answers, 1e-300);
    steady.working.push_back(working / period);
    steady.messaging.push_back(messaging / period);
  }
  steady.bubble = steady.seconds_between_answers > 0
                      ? std::max(0.0, 1 - busy / (static_cast<double>(stages) * steady.seconds_between_answers))
                      : 0;
  return steady;
}

absl::StatusOr<double> MicroBatchedSeconds(const PipelineProgram& micro_batch, int micro_batches, bool overlap_sends) {
  if (micro_batches < 1) {
    return absl::InvalidArgumentError(absl::StrCat("a run has at least one micro-batch, not ", micro_batches));
  }
  const std::vector<SimulatedRun> runs(static_cast<size_t>(micro_batches));
  ASSIGN_OR_RETURN(const Simulation all, SimulateRuns({micro_batch}, runs, {.overlap_sends = overlap_sends}));
  return all.seconds;
}

}  // namespace omserve
