// A plan drawn on one page: self-contained HTML with inline SVG, no scripts from elsewhere.
#ifndef OMSERVE_CLIENT_CLI_PLAN_HTML_H_
#define OMSERVE_CLIENT_CLI_PLAN_HTML_H_

#include <string>

#include "core/partition/explain.h"
#include "core/simulate/simulate.h"

namespace omserve::cli {

// `title`: the model's name. `simulation`: with runs to draw. Blocks too narrow to be seen are drawn together with their
// neighbours.
std::string PlanHtml(const std::string& title, const PlanReport& report, const PlanSimulation& simulation);

}  // namespace omserve::cli

#endif  // OMSERVE_CLIENT_CLI_PLAN_HTML_H_
