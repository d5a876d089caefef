#include "client/cli/timeline_svg.h"

#include <algorithm>
#include <map>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "client/cli/text.h"

namespace omserve::cli {
namespace {

using Kind = SimulatedStep::Kind;

constexpr double kWidth = 1000;     // in SVG units
constexpr double kLeft = 70;        // of it for the names of stages
constexpr double kLane = 24;        // height of what a stage does
constexpr double kStrip = 8;        // of the strips above and below
constexpr double kNarrowest = 1.2;  // blocks below it join their neighbours
constexpr int kRunColours = 4;

const char* ClassOf(const std::string& type) {
  if (absl::StrContains(type, "MatMul") || absl::StrContains(type, "Conv") || absl::StrContains(type, "Einsum"))
    return "mat";
  if (absl::StrContains(type, "Norm") || absl::StrContains(type, "Softmax") || absl::StartsWith(type, "Reduce"))
    return "norm";
  if (absl::StrContains(type, "Reshape") || absl::StrContains(type, "Transpose") || absl::StrContains(type, "Gather") ||
      absl::StrContains(type, "Slice") || absl::StrContains(type, "Concat") || absl::StrContains(type, "Split") ||
      absl::StrContains(type, "Squeeze") || absl::StartsWith(type, "slice ")) {
    return "move";
  }
  return "other";
}

struct Block {
  double begin = 0, seconds = 0;
  std::string kind;  // CSS class
  std::string what;
  int count = 1;
  std::map<std::string, double> kinds;  // of several that are drawn as one: seconds of each kind
};

// Neighbours of less than `least` seconds become one block, which is called after the longest of them.
std::vector<Block> Join(const std::vector<Block>& blocks, double least) {
  std::vector<Block> joined;
  double longest = 0;
  for (const Block& block : blocks) {
    const Block* last = joined.empty() ? nullptr : &joined.back();
    const double end = last == nullptr ? 0 : last->begin + last->seconds;
    if (last == nullptr || (last->seconds >= least && block.seconds >= least) || last->seconds >= 4 * least ||
        block.begin > end + least) {
      joined.push_back(block);
      joined.back().kinds[block.kind] = block.seconds;
      longest = block.seconds;
      continue;
    }
    Block& into = joined.back();
    if (block.seconds > longest) {
      longest = block.seconds;
      into.what = block.what;
    }
    into.kinds[block.kind] += block.seconds;
    into.seconds = block.begin + block.seconds - into.begin;
    ++into.count;
  }
  return joined;
}

class Drawing {
 public:
  Drawing(const PipelineProgram& program, const Simulation& simulation)
      : program_(program),
        simulation_(simulation),
        several_(simulation.runs.size() > 1),
        scale_((kWidth - kLeft) / simulation.seconds),
        row_(kLane + 10 + (several_ ? 2 * kStrip : 0)) {}

  std::string Svg() {
    const double height = row_ * static_cast<double>(program_.stages.size()) + 24;
    absl::StrAppendFormat(&svg_, "<svg viewBox=\"0 0 %.0f %.0f\" role=\"img\" aria-label=\"timeline\">\n", kWidth,
                          height);
    for (size_t s = 0; s < program_.stages.size(); ++s) Lane(static_cast<int>(s));
    for (int tick = 0; tick <= 4; ++tick) {
      absl::StrAppendFormat(&svg_, "<text class=\"axis\" x=\"%.0f\" y=\"%.0f\" text-anchor=\"%s\">%s</text>\n",
                            kLeft + (kWidth - kLeft) * tick / 4, height - 4,
                            tick == 0   ? "start"
                            : tick == 4 ? "end"
                                        : "middle",
                            MillisecondsText(simulation_.seconds * tick / 4));
    }
    return svg_ + "</svg>";
  }

 private:
  void Lane(int stage) {
    const double top = row_ * stage + 4, y = several_ ? top + kStrip : top;
    absl::StrAppendFormat(&svg_,
                          "<text x=\"0\" y=\"%.0f\">stage %d</text><rect class=\"track\" x=\"%.0f\" y=\"%.0f\" "
                          "width=\"%.0f\" height=\"%.0f\"/>\n",
                          y + 16, stage, kLeft, y, kWidth - kLeft, kLane);
    std::vector<Block> work, sent;
    std::vector<Block> runs(simulation_.runs.size());
    for (const SimulatedEvent& event : simulation_.events) {
      if (event.stage != stage || event.end <= event.begin) continue;
      const SimulatedStep& step = program_.stages[static_cast<size_t>(stage)][static_cast<size_t>(event.step)];
      const bool message = step.kind == Kind::kSend || step.kind == Kind::kReceive;
      // Beside the work, a message is drawn where it is sent.
      if (several_ && step.kind == Kind::kReceive) continue;
      Block block{
          event.begin, event.end - event.begin, message || step.kind == Kind::kCollective ? "comm" : ClassOf(step.what),
          absl::StrCat(step.name, message ? step.kind == Kind::kSend ? ": send " : ": receive " : ": ", step.what)};
      if (several_ && message) {
        sent.push_back(std::move(block));
        continue;
      }
      Block& run = runs[static_cast<size_t>(event.run)];
      if (run.seconds == 0) run.begin = event.begin;
      run.seconds = event.end - run.begin;
      work.push_back(std::move(block));
    }
    Blocks(work, y, kLane);
    if (!several_) return;
    Blocks(sent, y + kLane + 1, kStrip - 2);
    for (size_t r = 0; r < runs.size(); ++r) {
      if (runs[r].seconds <= 0) continue;
      Rect(absl::StrCat("run", r % kRunColours), runs[r].begin, runs[r].seconds, top, kStrip - 2,
           absl::StrCat("run ", r + 1, " in stage ", stage, ", ", MillisecondsText(runs[r].seconds)), 0.8);
    }
  }

  // What is drawn as one is coloured in the shares of its kinds.
  void Blocks(const std::vector<Block>& blocks, double y, double height) {
    for (const Block& block : Join(blocks, kNarrowest / scale_)) {
      const std::string what =
          absl::StrCat(block.what, block.count > 1 ? absl::StrCat(" and ", block.count - 1, " more") : "", ", ",
                       MillisecondsText(block.seconds));
      double begin = block.begin;
      for (const auto& [kind, seconds] : block.kinds) {
        const bool last = kind == block.kinds.rbegin()->first;
        Rect(kind, begin, last ? block.begin + block.seconds - begin : seconds, y, height, what, last ? 0.4 : 0);
        begin += seconds;
      }
    }
  }

  void Rect(const std::string& kind, double begin, double seconds, double y, double height, const std::string& what,
            double gap) {
    absl::StrAppendFormat(
        &svg_, "<rect class=\"%s\" x=\"%.2f\" y=\"%.0f\" width=\"%.2f\" height=\"%.0f\"><title>%s</title></rect>\n",
        kind, kLeft + begin * scale_, y, std::max(height < kLane ? 1.0 : 0.2, seconds * scale_ - gap), height,
        Escape(what));
  }

  const PipelineProgram& program_;
  const Simulation& simulation_;
  const bool several_;
  const double scale_, row_;
  std::string svg_;
};

}  // namespace

std::string Escape(const std::string& text) {
  return absl::StrReplaceAll(text, {{"&", "&amp;"}, {"<", "&lt;"}, {">", "&gt;"}, {"\"", "&quot;"}});
}

std::string TimelineSvg(const PipelineProgram& program, const Simulation& simulation) {
  if (simulation.seconds <= 0) return "<p>Nothing takes any time.</p>";
  return Drawing(program, simulation).Svg();
}

}  // namespace omserve::cli
