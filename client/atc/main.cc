// atc: CANN's model converter, on omserve. Output and exit status (0, or 255) are those of the original.
#include <cstdio>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/atc/commands.h"
#include "client/atc/options.h"
#include "client/cann/errors.h"
#include "core/base/status.h"

namespace omserve::atc {
namespace {

absl::Status Run(const Options& options) {
  switch (options.mode) {
    case Mode::kBuild: {
      ASSIGN_OR_RETURN(const std::string om, Build(options));
      if (options["display_model_info"] == "1") {
        ASSIGN_OR_RETURN(const std::string text, ShowInfo(om));
        std::fputs(text.c_str(), stdout);
      }
      return absl::OkStatus();
    }
    case Mode::kToJson:
      return ToJson(options);
    case Mode::kShowInfo: {
      ASSIGN_OR_RETURN(const std::string text, ShowInfo(options["om"]));
      std::fputs(text.c_str(), stdout);
      return absl::OkStatus();
    }
  }
  return absl::InternalError("no such mode");
}

int Main(const std::vector<std::string>& arguments) {
  const absl::StatusOr<Options> options = ParseOptions(arguments);
  if (options.ok() && options->help) {
    std::fputs(HelpText().c_str(), stdout);
    return 0;
  }
  std::puts("ATC start working now, please wait for a moment.");
  std::fflush(stdout);
  absl::Status status = options.status();
  if (status.ok()) status = Run(*options);
  if (!status.ok()) {
    std::puts("ATC run failed, Please check the detail log, Try 'atc --help' for more information");
    std::fputs(cann::FormatBlock(cann::ReportFor(status)).c_str(), stdout);
    return 255;
  }
  std::puts("...\nATC run success, welcome to the next use.");
  if (!options->without_effect.empty()) {
    std::puts(absl::StrCat("W11001: accepted, without effect on the devices there are: --",
                           absl::StrJoin(options->without_effect, ", --"))
                  .c_str());
  }
  return 0;
}

}  // namespace
}  // namespace omserve::atc

int main(int argc, char** argv) { return omserve::atc::Main({argv + 1, argv + argc}); }
