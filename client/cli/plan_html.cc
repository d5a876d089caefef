#include "client/cli/plan_html.h"

#include <algorithm>
#include <map>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "client/cli/text.h"

namespace omserve::cli {
namespace {

constexpr double kWidth = 1000;      // of the timeline, in SVG units
constexpr double kRow = 34;          // height of a stage
constexpr double kNarrowest = 1.2;   // blocks below it join their neighbours
constexpr size_t kMostRows = 2000;   // of the table of operators

constexpr char kStyle[] = R"(
:root{color-scheme:light dark;--bg:#fff;--fg:#1b1f24;--soft:#667;--line:#d8dce2;--card:#f5f7fa;--comm:#d9822b;--mat:#2b6cb0;--norm:#2f855a;--move:#8795a8;--other:#7f5fb5}
@media(prefers-color-scheme:dark){:root{--bg:#14171c;--fg:#e6e8eb;--soft:#9aa4b1;--line:#303742;--card:#1d222a;--comm:#f0a04b;--mat:#63a4e8;--norm:#5fc08b;--move:#6b7685;--other:#a98be0}}
body{background:var(--bg);color:var(--fg);font:14px/1.5 system-ui,sans-serif;margin:0 auto;max-width:1120px;padding:24px}
h1{font-size:22px;margin:0 0 4px}h2{font-size:16px;margin:32px 0 8px}p{margin:4px 0;color:var(--soft)}
.cards{display:flex;flex-wrap:wrap;gap:12px;margin:16px 0}.card{background:var(--card);border:1px solid var(--line);border-radius:8px;padding:10px 14px;min-width:120px}
.card b{display:block;font-size:18px}.card span{color:var(--soft);font-size:12px}
table{border-collapse:collapse;width:100%;font-size:13px}th{text-align:left;color:var(--soft);font-weight:500}th,td{padding:4px 10px 4px 0;border-bottom:1px solid var(--line);vertical-align:top}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}code{font:12px ui-monospace,monospace;word-break:break-all}
svg{width:100%;height:auto;display:block}svg text{fill:var(--fg);font-size:12px}.axis{fill:var(--soft)!important;font-size:11px!important}
.mat{fill:var(--mat)}.comm{fill:var(--comm)}.norm{fill:var(--norm)}.move{fill:var(--move)}.other{fill:var(--other)}.track{fill:var(--card)}
.key i{display:inline-block;width:10px;height:10px;border-radius:2px;margin:0 4px 0 12px}
.dev{display:inline-block;background:var(--card);border:1px solid var(--line);border-radius:4px;padding:1px 6px;margin:1px;font:12px ui-monospace,monospace}
.bar{background:var(--line);border-radius:3px;height:8px;overflow:hidden;min-width:80px}.bar i{display:block;height:8px;background:var(--mat)}.bar i.full{background:var(--comm)}
input{font:inherit;padding:4px 8px;width:260px;border:1px solid var(--line);border-radius:6px;background:var(--card);color:var(--fg);margin-bottom:8px}
)";

constexpr char kScript[] = R"(
const filter=document.getElementById('filter');
filter.addEventListener('input',()=>{const want=filter.value.toLowerCase();
for(const row of document.querySelectorAll('#operators tbody tr'))row.hidden=!row.textContent.toLowerCase().includes(want);});
)";

std::string Escape(const std::string& text) {
  return absl::StrReplaceAll(text, {{"&", "&amp;"}, {"<", "&lt;"}, {">", "&gt;"}, {"\"", "&quot;"}});
}

const char* ClassOf(const std::string& type) {
  if (absl::StrContains(type, "MatMul") || absl::StrContains(type, "Conv") || absl::StrContains(type, "Einsum")) return "mat";
  if (absl::StrContains(type, "Norm") || absl::StrContains(type, "Softmax") || absl::StartsWith(type, "Reduce")) return "norm";
  if (absl::StrContains(type, "Reshape") || absl::StrContains(type, "Transpose") || absl::StrContains(type, "Gather") ||
      absl::StrContains(type, "Slice") || absl::StrContains(type, "Concat") || absl::StrContains(type, "Split") ||
      absl::StrContains(type, "Squeeze")) {
    return "move";
  }
  return "other";
}

struct Block {
  double begin = 0, seconds = 0;
  std::string kind;  // CSS class
  std::string what;
  int count = 1;
};

// What a stage does in order: before each operator the values that it fetches in another sharding.
std::vector<std::vector<Block>> Timeline(const PlanReport& report) {
  std::multimap<std::string, const PlanReport::Reshard*> by_reader;
  for (const PlanReport::Reshard& reshard : report.reshards) by_reader.emplace(reshard.reader, &reshard);
  std::vector<std::vector<Block>> stages(report.stages.size());
  double begin = 0;
  for (size_t s = 0; s < stages.size(); ++s) {
    double at = begin;
    auto add = [&](double seconds, std::string kind, std::string what) {
      if (seconds <= 0) return;
      stages[s].push_back({at, seconds, std::move(kind), std::move(what)});
      at += seconds;
    };
    for (const PlanReport::Operator& op : report.operators) {
      if (op.stage != static_cast<int>(s)) continue;
      const auto [first, last] = by_reader.equal_range(op.name);
      for (auto it = first; it != last; ++it) {
        add(it->second->seconds, "comm", absl::StrCat(it->second->producer, " → ", op.name, ": ", absl::StrJoin(it->second->steps, ", ")));
      }
      add(op.seconds, ClassOf(op.type), absl::StrCat(op.name, " (", op.type, ")"));
    }
    for (const PlanReport::Reshard& reshard : report.reshards) {
      if (absl::StartsWith(reshard.reader, "output ") && reshard.to_stage == static_cast<int>(s)) {
        add(reshard.seconds, "comm", absl::StrCat(reshard.producer, " → ", reshard.reader));
      }
    }
    begin = at;
  }
  return stages;
}

// Neighbours of less than `least` seconds become one block, of the kind that takes longest.
std::vector<Block> Join(const std::vector<Block>& blocks, double least) {
  std::vector<Block> joined;
  double longest = 0;
  for (const Block& block : blocks) {
    if (joined.empty() || (joined.back().seconds >= least && block.seconds >= least) || joined.back().seconds >= 4 * least) {
      joined.push_back(block);
      longest = block.seconds;
      continue;
    }
    Block& last = joined.back();
    if (block.seconds > longest) {
      longest = block.seconds;
      last.kind = block.kind;
      last.what = block.what;
    }
    last.seconds += block.seconds;
    ++last.count;
  }
  return joined;
}

std::string TimelineSvg(const PlanReport& report) {
  const std::vector<std::vector<Block>> stages = Timeline(report);
  double total = 0;
  for (const auto& stage : stages) {
    if (!stage.empty()) total = std::max(total, stage.back().begin + stage.back().seconds);
  }
  if (total <= 0) return "<p>Nothing takes any time.</p>";
  const double left = 70, scale = (kWidth - left) / total, height = kRow * static_cast<double>(stages.size()) + 24;
  std::string svg = absl::StrFormat("<svg viewBox=\"0 0 %.0f %.0f\" role=\"img\" aria-label=\"timeline\">\n", kWidth, height);
  for (size_t s = 0; s < stages.size(); ++s) {
    const double y = kRow * static_cast<double>(s) + 4;
    absl::StrAppendFormat(&svg, "<text x=\"0\" y=\"%.0f\">stage %d</text><rect class=\"track\" x=\"%.0f\" y=\"%.0f\" width=\"%.0f\" height=\"24\"/>\n",
                          y + 16, s, left, y, kWidth - left);
    for (const Block& block : Join(stages[s], kNarrowest / scale)) {
      absl::StrAppendFormat(&svg, "<rect class=\"%s\" x=\"%.2f\" y=\"%.0f\" width=\"%.2f\" height=\"24\"><title>%s%s, %s</title></rect>\n",
                            block.kind, left + block.begin * scale, y, std::max(0.5, block.seconds * scale - 0.4), Escape(block.what),
                            block.count > 1 ? absl::StrCat(" and ", block.count - 1, " more") : "", MillisecondsText(block.seconds));
    }
  }
  for (int tick = 0; tick <= 4; ++tick) {
    const double x = left + (kWidth - left) * tick / 4;
    absl::StrAppendFormat(&svg, "<text class=\"axis\" x=\"%.0f\" y=\"%.0f\" text-anchor=\"%s\">%s</text>\n", x, height - 4,
                          tick == 0 ? "start" : tick == 4 ? "end" : "middle", MillisecondsText(total * tick / 4));
  }
  return svg + "</svg>";
}

std::string DevicesHtml(const std::vector<std::string>& devices) {
  constexpr size_t kShown = 16;
  std::string html;
  for (size_t i = 0; i < std::min(kShown, devices.size()); ++i) absl::StrAppend(&html, "<span class=dev>", Escape(devices[i]), "</span>");
  if (devices.size() > kShown) absl::StrAppend(&html, " … ", devices.size(), " in all, to <span class=dev>", Escape(devices.back()), "</span>");
  return html;
}

std::string StagesTable(const PlanReport& report) {
  std::string html = "<table><thead><tr><th>stage<th>devices of a replica<th>mesh<th class=n>time<th class=n>computing<th class=n>communicating"
                     "<th class=n>memory of a device<th></tr></thead><tbody>\n";
  for (size_t s = 0; s < report.stages.size(); ++s) {
    const PlanReport::Stage& stage = report.stages[s];
    const int64_t need = stage.weight_bytes + stage.value_bytes;
    std::string memory = BytesText(static_cast<uint64_t>(need)), bar;
    if (stage.memory_bytes > 0) {
      const double share = static_cast<double>(need) / static_cast<double>(stage.memory_bytes);
      absl::StrAppend(&memory, " of ", BytesText(static_cast<uint64_t>(stage.memory_bytes)));
      bar = absl::StrFormat("<div class=bar><i%s style=\"width:%.1f%%\"></i></div>", share > 0.9 ? " class=full" : "", std::min(100.0, share * 100));
    }
    absl::StrAppend(&html, "<tr><td>", s, "<td>", DevicesHtml(stage.devices), "<td>", stage.axes.empty() ? "1" : absl::StrJoin(stage.axes, "×"),
                    "<td class=n>", MillisecondsText(stage.seconds), "<td class=n>", MillisecondsText(stage.compute_seconds), "<td class=n>",
                    MillisecondsText(stage.communication_seconds), "<td class=n>", memory, "<td>", bar, "</tr>\n");
  }
  return html + "</tbody></table>";
}

std::string OperatorsTable(const PlanReport& report) {
  std::string html = "<table id=operators><thead><tr><th>operator<th>type<th class=n>stage<th>sharding of its outputs<th class=n>time<th class=n>weights</tr></thead><tbody>\n";
  for (size_t i = 0; i < std::min(kMostRows, report.operators.size()); ++i) {
    const PlanReport::Operator& op = report.operators[i];
    absl::StrAppend(&html, "<tr><td><code>", Escape(op.name), "</code><td>", op.type, "<td class=n>", op.stage, "<td><code>",
                    Escape(absl::StrJoin(op.outputs, " ")), "</code><td class=n>", MillisecondsText(op.seconds), "<td class=n>",
                    op.weight_bytes > 0 ? BytesText(static_cast<uint64_t>(op.weight_bytes)) : "", "</tr>\n");
  }
  absl::StrAppend(&html, "</tbody></table>");
  if (report.operators.size() > kMostRows) {
    absl::StrAppend(&html, "<p>", report.operators.size() - kMostRows, " more are in the plan file (--save-plan).</p>");
  }
  return html;
}

std::string ReshardsTable(const PlanReport& report) {
  std::vector<const PlanReport::Reshard*> dearest;
  for (const PlanReport::Reshard& reshard : report.reshards) {
    if (reshard.seconds > 0) dearest.push_back(&reshard);
  }
  if (dearest.empty()) return "<p>No value changes its sharding at a price.</p>";
  std::stable_sort(dearest.begin(), dearest.end(), [](auto* a, auto* b) { return a->seconds > b->seconds; });
  if (dearest.size() > 20) dearest.resize(20);
  std::string html = "<table><thead><tr><th>value<th>read by<th>from<th>to<th>steps<th class=n>sent<th class=n>time</tr></thead><tbody>\n";
  for (const PlanReport::Reshard* reshard : dearest) {
    absl::StrAppend(&html, "<tr><td><code>", Escape(reshard->producer), "</code><td><code>", Escape(reshard->reader), "</code><td><code>",
                    Escape(reshard->from), "</code><td><code>", Escape(reshard->to), "</code><td>", Escape(absl::StrJoin(reshard->steps, ", ")),
                    "<td class=n>", BytesText(static_cast<uint64_t>(reshard->bytes)), "<td class=n>", MillisecondsText(reshard->seconds), "</tr>\n");
  }
  return html + "</tbody></table>";
}

}  // namespace

std::string PlanHtml(const std::string& title, const PlanReport& report) {
  size_t devices = 0;
  for (const PlanReport::Stage& stage : report.stages) devices += stage.devices.size();
  std::string cards;
  auto card = [&](const std::string& value, const char* what) {
    absl::StrAppend(&cards, "<div class=card><b>", value, "</b><span>", what, "</span></div>");
  };
  card(MillisecondsText(report.seconds), "one run, predicted");
  card(absl::StrFormat("%.1f / s", report.replicas / std::max(1e-12, report.seconds_between_answers)), "runs, with requests in all stages");
  card(report.exact ? "optimal" : absl::StrFormat("%.1f %%", 100 * (1 - report.lower_bound / std::max(1e-300, report.seconds))),
       report.exact ? "proven, for these stages" : "gap to the bound at most");
  card(absl::StrCat(report.replicas), "replicas");
  card(absl::StrCat(report.stages.size()), "stages");
  card(absl::StrCat(devices), "devices a replica");
  return absl::StrCat(
      "<!doctype html>\n<html lang=en><head><meta charset=utf-8><meta name=viewport content=\"width=device-width\"><title>Plan of ",
      Escape(title), "</title><style>", kStyle, "</style></head><body>\n<h1>Plan of ", Escape(title), "</h1>\n<p>found by ", Escape(report.engine),
      "</p>\n<div class=cards>", cards, "</div>\n<h2>One run</h2>\n", TimelineSvg(report),
      "\n<p class=key><i class=mat style=\"background:var(--mat)\"></i>products<i style=\"background:var(--norm)\"></i>norms, reductions"
      "<i style=\"background:var(--move)\"></i>moves<i style=\"background:var(--other)\"></i>others<i style=\"background:var(--comm)\"></i>communication</p>\n",
      "<h2>Stages</h2>\n", StagesTable(report), "\n<h2>Dearest reshards</h2>\n", ReshardsTable(report),
      "\n<h2>Operators</h2>\n<p>[0.1, -]: dimension 0 cut over mesh axes 0 and 1, dimension 1 whole; +sum(2): summands over axis 2.</p>\n"
      "<input id=filter placeholder=\"filter by name, type or sharding\">\n", OperatorsTable(report), "\n<script>", kScript, "</script>\n</body></html>\n");
}

}  // namespace omserve::cli
