#include "client/cli/generation.h"

#include <algorithm>
#include <optional>
#include <set>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "client/cli/text.h"
#include "core/base/status.h"
#include "core/build/import_model.h"
#include "core/build/padding.h"
#include "core/partition/choose.h"
#include "core/partition/plan_file.h"
#include "core/partition/space.h"
#include "core/simulate/simulate.h"

namespace omserve::cli {
namespace {

constexpr int64_t kLongest = int64_t{1} << 20;

// The shape text with the words as numbers; which words it has.
std::string WithNumbers(const std::string& text, int64_t new_tokens, int64_t past, std::set<std::string>* words) {
  std::vector<std::string> parts;
  for (absl::string_view part : absl::StrSplit(text, ';', absl::SkipWhitespace())) {
    const size_t colon = part.rfind(':');
    if (colon == absl::string_view::npos) {
      parts.emplace_back(part);  // for the parser to refuse
      continue;
    }
    std::vector<std::string> dims;
    for (absl::string_view dim : absl::StrSplit(part.substr(colon + 1), ',')) {
      const std::string word(absl::StripAsciiWhitespace(dim));
      const bool is_word = word == "new" || word == "past" || word == "total";
      if (is_word) words->insert(word);
      dims.push_back(!is_word         ? word
                     : word == "new"  ? absl::StrCat(new_tokens)
                     : word == "past" ? absl::StrCat(past)
                                      : absl::StrCat(new_tokens + past));
    }
    parts.push_back(absl::StrCat(part.substr(0, colon + 1), absl::StrJoin(dims, ",")));
  }
  return absl::StrJoin(parts, ";");
}

// Past positions at which decode steps are simulated: the first, the middle and the last of the answer.
std::vector<int64_t> PastsOf(const GenerationLengths& lengths) {
  if (lengths.out == 1) return {};
  const int64_t first = lengths.in, last = lengths.in + lengths.out - 2;
  std::vector<int64_t> pasts{first, (first + last) / 2, last};
  pasts.erase(std::unique(pasts.begin(), pasts.end()), pasts.end());
  return pasts;
}

}  // namespace

absl::StatusOr<GenerationLengths> ParseGenerationLengths(const std::string& text) {
  const std::vector<std::string> parts = absl::StrSplit(text, ',');
  GenerationLengths lengths;
  if (parts.size() != 2 || !absl::SimpleAtoi(parts[0], &lengths.in) || !absl::SimpleAtoi(parts[1], &lengths.out) ||
      lengths.in < 1 || lengths.out < 1 || lengths.in > kLongest || lengths.out > kLongest) {
    return absl::InvalidArgumentError(absl::StrCat("--generate '", text,
                                                   "': expected the lengths of prompt and answer, each from 1 to ",
                                                   kLongest, ", such as 128,64"));
  }
  return lengths;
}

absl::StatusOr<InputShapes> ShapesOfStep(const std::string& text, const std::vector<std::string>& inputs,
                                         int64_t new_tokens, int64_t past) {
  std::set<std::string> words;
  ASSIGN_OR_RETURN(const InputShapes entries, ParseInputShapes(WithNumbers(text, new_tokens, past, &words)));
  for (const char* word : {"new", "past"}) {
    if (words.contains(word)) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("--generate needs --input-shape with the words new and past in place of dimensions, such as "
                     "\"input_ids:1,new;past_key_values.*:1,8,past,64\"; '",
                     text, "' has no ", word));
  }
  InputShapes shapes;
  for (const auto& [pattern, shape] : entries) {
    bool any = false;
    for (const std::string& input : inputs) {
      if (!MatchesPattern(pattern, input)) continue;
      any = true;
      if (!shapes.emplace(input, shape).second) {
        return absl::InvalidArgumentError(absl::StrCat("two entries of --input-shape match the input '", input, "'"));
      }
    }
    if (!any) {
      return absl::InvalidArgumentError(
          absl::StrCat("'", pattern, "' of --input-shape matches no input; there are ", absl::StrJoin(inputs, ", ")));
    }
  }
  return shapes;
}

absl::StatusOr<GenerationReport> PlanGeneration(const std::string& model, const std::string& input_shape,
                                                const GenerationLengths& lengths, const Cluster& cluster,
                                                const ParallelOptions& options,
                                                const std::function<void(const BuildProgress&)>& progress,
                                                const WaitLimit& limit) {
  std::vector<std::string> inputs;
  {
    ASSIGN_OR_RETURN(const Graph graph, ImportModel(model));
    for (int32_t id : graph.inputs()) inputs.push_back(graph.node(id)->name());
  }
  auto prepare = [&](int64_t new_tokens, int64_t past, ParallelOptions& policy) -> absl::StatusOr<Graph> {
    ASSIGN_OR_RETURN(const InputShapes shapes, ShapesOfStep(input_shape, inputs, new_tokens, past));
    ASSIGN_OR_RETURN(Graph graph, PrepareModel(model, shapes, progress, limit));
    RETURN_IF_ERROR(PadForPlan(graph, cluster, policy).status());
    return graph;
  };
  GenerationReport report;
  report.lengths = lengths;
  report.past = PastsOf(lengths);
  Generation generation;
  generation.in_length = lengths.in;
  generation.out_length = lengths.out;
  ParallelOptions same = options;
  std::optional<Plan> sizes;
  for (size_t i = report.past.size(); i-- > 0;) {
    ASSIGN_OR_RETURN(const Graph graph, prepare(1, report.past[i], same));
    ASSIGN_OR_RETURN_WITH(Plan plan, PlanModel(graph, cluster, same, limit),
                          absl::StrCat("plan of a decode step with ", report.past[i], " past positions"));
    ASSIGN_OR_RETURN(PipelineProgram program, ProgramOf(graph, cluster, plan));
    generation.decode.insert(generation.decode.begin(), {report.past[i], std::move(program)});
    if (!sizes) {
      same.plan = PlanToText(graph, cluster, plan);
      sizes = std::move(plan);
    }
  }
  ParallelOptions prefill = options;
  if (sizes) {
    prefill.plan.clear();
    prefill.data_parallel_size = sizes->num_replicas();
    prefill.pipeline_stages = sizes->num_stages();
    prefill.tensor_parallel_size = sizes->stages[0].size();
  }
  ASSIGN_OR_RETURN(const Graph graph, prepare(lengths.in, 0, prefill));
  ASSIGN_OR_RETURN_WITH(const Plan plan, PlanModel(graph, cluster, prefill, limit),
                        absl::StrCat("plan of a prefill of ", lengths.in, " positions"));
  ASSIGN_OR_RETURN(generation.prefill, ProgramOf(graph, cluster, plan));
  report.replicas = plan.num_replicas();
  report.stages = plan.num_stages();
  report.tensor = plan.stages[0].size();
  ASSIGN_OR_RETURN(report.alone, PredictGeneration(generation));
  if (!generation.decode.empty()) {
    // One step at the middle of the answer, with a batch for every stage.
    Generation full = generation;
    full.decode_micro_batches = report.stages;
    full.in_length = report.past[report.past.size() / 2];
    full.out_length = 2;
    ASSIGN_OR_RETURN(const GenerationTimes times, PredictGeneration(full));
    report.step_seconds_full = times.decode_seconds;
  }
  return report;
}

nlohmann::ordered_json ToJson(const std::string& model, const GenerationReport& report) {
  nlohmann::ordered_json steps = nlohmann::ordered_json::array();
  for (size_t i = 0; i < report.past.size(); ++i) {
    steps.push_back({{"past", report.past[i]}, {"seconds", report.alone.token_seconds[i]}});
  }
  return {{"model", model},
          {"in_length", report.lengths.in},
          {"out_length", report.lengths.out},
          {"replicas", report.replicas},
          {"stages", report.stages},
          {"tensor_parallel_size", report.tensor},
          {"prefill_seconds", report.alone.prefill_seconds},
          {"decode_steps", steps},
          {"decode_seconds", report.alone.decode_seconds},
          {"seconds", report.alone.seconds},
          {"step_seconds_with_all_stages_busy", report.step_seconds_full}};
}

std::string ToText(const std::string& model, const GenerationReport& report) {
  std::string text =
      absl::StrFormat("generation by %s: a prompt of %d, an answer of %d; replicas x stages x devices: %d x %d x %d\n",
                      model, report.lengths.in, report.lengths.out, report.replicas, report.stages, report.tensor);
  absl::StrAppend(&text, "  prefill:  ", MillisecondsText(report.alone.prefill_seconds), ", with the first token\n");
  for (size_t i = 0; i < report.past.size(); ++i) {
    absl::StrAppend(&text, "  a token:  ", MillisecondsText(report.alone.token_seconds[i]), " with ", report.past[i],
                    " positions before it\n");
  }
  absl::StrAppend(&text, "  in all:   ", MillisecondsText(report.alone.seconds), "\n");
  if (report.step_seconds_full > 0) {
    absl::StrAppendFormat(&text,
                          "  at most:  %.1f steps of a batch a second, on all replicas with a batch in every stage\n",
                          report.replicas * report.stages / report.step_seconds_full);
  }
  return text;
}

}  // namespace omserve::cli
