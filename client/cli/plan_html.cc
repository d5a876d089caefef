#include "client/cli/plan_html.h"

#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "client/cli/text.h"
#include "client/cli/timeline_svg.h"

namespace omserve::cli {
namespace {

constexpr size_t kMostRows = 2000;  // of the table of operators

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
.mat{fill:var(--mat)}.comm{fill:var(--comm)}.norm{fill:var(--norm)}.move{fill:var(--move)}.other{fill:var(--other)}.track{fill:var(--card)}.run0{fill:var(--mat)}.run1{fill:var(--norm)}.run2{fill:var(--other)}.run3{fill:var(--move)}
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

// With one stage, runs only follow each other.
std::string UnderWay(const PlanSimulation& simulation) {
  if (simulation.program.stages.size() < 2) return "";
  return absl::StrCat("\n<h2>Runs under way</h2>\n<p>The first ", simulation.under_way.runs.size(),
                      " runs of a full pipeline. Above each lane: which run it is; below: what its stage sends meanwhile.</p>\n",
                      TimelineSvg(simulation.program, simulation.under_way));
}

}  // namespace

std::string PlanHtml(const std::string& title, const PlanReport& report, const PlanSimulation& simulation) {
  size_t devices = 0;
  for (const PlanReport::Stage& stage : report.stages) devices += stage.devices.size();
  std::string cards;
  auto card = [&](const std::string& value, const char* what) {
    absl::StrAppend(&cards, "<div class=card><b>", value, "</b><span>", what, "</span></div>");
  };
  card(MillisecondsText(report.seconds), "one run, predicted");
  const double between = simulation.overlapped.seconds_between_answers;
  card(absl::StrFormat("%.1f / s", between > 0 ? simulation.replicas / between : 0), "runs, with requests in all stages");
  if (report.stages.size() > 1) {
    card(absl::StrFormat("%.0f %%", 100 * (1 - simulation.overlapped.bubble)), "of the time stages are at work then");
  }
  if (report.exact) {
    card("optimal", "proven, for these stages");
  } else if (report.lower_bound > 0) {
    card(absl::StrFormat("%.1f %%", std::max(0.0, 100 * (report.seconds / report.lower_bound - 1))), "above the bound, at most");
  } else {
    card("given", "no bound is known");
  }
  if (report.objective_bound > 0) {
    card(absl::StrFormat("%.1f %%", std::max(0.0, 100 * (report.objective_seconds / report.objective_bound - 1))),
         "above the bound of all sizes and stages, at most");
  }
  card(absl::StrCat(report.replicas), "replicas");
  card(absl::StrCat(report.stages.size()), "stages");
  card(absl::StrCat(devices), "devices a replica");
  return absl::StrCat(
      "<!doctype html>\n<html lang=en><head><meta charset=utf-8><meta name=viewport content=\"width=device-width\"><title>Plan of ",
      Escape(title), "</title><style>", kStyle, "</style></head><body>\n<h1>Plan of ", Escape(title), "</h1>\n<p>found by ", Escape(report.engine),
      "</p>\n<div class=cards>", cards, "</div>\n<h2>One run</h2>\n", TimelineSvg(simulation.program, simulation.alone), UnderWay(simulation),
      "\n<p class=key><i class=mat style=\"background:var(--mat)\"></i>products<i style=\"background:var(--norm)\"></i>norms, reductions"
      "<i style=\"background:var(--move)\"></i>moves<i style=\"background:var(--other)\"></i>others<i style=\"background:var(--comm)\"></i>communication</p>\n",
      "<h2>Stages</h2>\n", StagesTable(report), "\n<h2>Dearest reshards</h2>\n", ReshardsTable(report),
      "\n<h2>Operators</h2>\n<p>[0.1, -]: dimension 0 cut over mesh axes 0 and 1, dimension 1 whole; +sum(2): summands over axis 2.</p>\n"
      "<input id=filter placeholder=\"filter by name, type or sharding\">\n", OperatorsTable(report), "\n<script>", kScript, "</script>\n</body></html>\n");
}

}  // namespace omserve::cli
