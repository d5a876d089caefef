#include "client/cann/errors.h"

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"

namespace omserve::cann {
namespace {

struct Advice {
  const char* code;
  const char* cause;
  const char* solution;
};

// Codes after the tables of CANN 8.1; the advice is this project's.
constexpr Advice kAdvice[] = {
    {"E10001", "The option has a value that it cannot have.", "Give one of the values that the message names."},
    {"E10002", "The input shape is not of the form that the option takes.",
     "Write it as name:d0,d1,...;name2:..., for example input_ids:1,128."},
    {"E10003", "The option has a value that it cannot have.", "Give a value of the form that the message names."},
    {"E10004", "The option was given without a value.", "Give the option a value, or leave it out."},
    {"E10005", "The option is a switch of true and false.", "Set it to true or false."},
    {"E10006", "The option is a switch of 0 and 1.", "Set it to 0 or 1."},
    {"E10007", "A required option is missing.", "Give the option one of the values that the message names."},
    {"E10009", "Options for dynamic shapes exclude each other.", "Give one of them."},
    {"E10010", "The log level is unknown.", "Use null, debug, info, warning or error."},
    {"E10016", "The model has no such node or output.", "Look up the names of its nodes, for example with atc --mode=1."},
    {"E10022", "The path ends in a folder.", "Add the name of the file, without its suffix."},
    {"E10032", "The file is not valid JSON.", "Correct it at the place that the message names."},
    {"E10041", "The file is no model of this kind, or it is damaged.", "Check the file and the option that says what it is."},
    {"E10053", "The command line has an option that atc does not know.", "Run atc --help for the options there are."},
    {"E10054", "An option that this command needs is missing.", "Give the option that the message names."},
    {"E10055", "omserve does not do this.", "Leave the option out, or do what the message says instead."},
    {"E10056", "Two options exclude each other.", "Leave one of them out."},
    {"E10057", "An option has effect only together with another.", "Give both, or neither."},
    {"E10410", "The file is not there or cannot be read.", "Check the path and its permissions."},
    {"E10501", "No operator of this type is known.",
     "Replace the operator, or supply it in a package of custom operators (OMSERVE_CUSTOM_OPP_PATH)."},
    {"E19001", "The file cannot be opened.", "Check the path and its permissions."},
    {"E19003", "The file cannot be read.", "Check the path and its permissions."},
    {"E19004", "The file cannot be written.", "Check the folder, its permissions and the space left."},
    {"E19005", "The model is damaged, or is not of the kind that was said.", "Check the model file, or export it again."},
    {"E19022", "The model needs more memory than there is.", "Use more devices, or partition the model."},
    {"E19023", "The model is too large for this call.", "Build it with atc or omctl."},
    {"E19027", "The service cannot be reached.", "Check OMSERVE_ADDRESS and that the coordinator runs there."},
    {"E19999", "", ""},
    {"EF1001", "The configuration file says something that cannot be.", "Correct it at the place that the message names."},
    {"EF1008", "A model is built, and partitioned, for fixed shapes.", "Fix the shapes with --input_shape (INPUT_SHAPE)."},
    {"EF1012", "The parallel sizes do not multiply to the number of devices in the cluster file.",
     "Change the sizes in the policy file, or the devices in the cluster file."},
    {"EF2001", "The cluster file says something that cannot be.", "Correct it at the place that the message names."},
    {"EF2002", "The parallel sizes do not multiply to the number of devices in the cluster file.",
     "Change the sizes in the policy file, or the devices in the cluster file."},
    {"EF2003", "A shape that is not fixed cannot be partitioned.", "Fix the shapes with --input_shape (INPUT_SHAPE)."},
    {"EF2007", "The graph has a cycle or is incomplete.", "Correct the graph."},
};

// "E10032", "EF1012", "W11001".
bool IsCode(absl::string_view text) {
  if (text.size() != 6 || text[0] != 'E') return false;
  if (!absl::ascii_isupper(text[1]) && !absl::ascii_isdigit(text[1])) return false;
  for (char c : text.substr(2)) {
    if (!absl::ascii_isalnum(c)) return false;
  }
  return absl::ascii_isdigit(text[5]);
}

const char* CodeOf(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kUnimplemented:
      return absl::StrContains(status.message(), "operator '") ? "E10501" : "E10055";
    case absl::StatusCode::kNotFound:
      return "E10410";
    case absl::StatusCode::kResourceExhausted:
      return "E19022";
    case absl::StatusCode::kUnavailable:
      return "E19027";
    case absl::StatusCode::kDataLoss:
      return "E10041";
    case absl::StatusCode::kInvalidArgument:
      return absl::StrContains(status.message(), "import: ") ? "E19005" : "E19999";
    default:
      return "E19999";
  }
}

ErrorReport Explain(std::string code, std::string message) {
  ErrorReport report{.code = std::move(code), .message = std::move(message)};
  for (const Advice& advice : kAdvice) {
    if (report.code != advice.code) continue;
    report.possible_cause = advice.cause;
    report.solution = advice.solution;
  }
  return report;
}

}  // namespace

std::optional<CodedText> SplitCode(absl::string_view message) {
  for (size_t at = 0; at + 8 <= message.size(); ++at) {
    if (message[at + 6] != ':' || (at > 0 && message[at - 1] != ' ') || !IsCode(message.substr(at, 6))) continue;
    absl::string_view rest = message.substr(at + 7);
    rest = absl::StripLeadingAsciiWhitespace(rest);
    return CodedText{std::string(message.substr(at, 6)), absl::StrCat(message.substr(0, at), rest)};
  }
  return std::nullopt;
}

ErrorReport ReportFor(const absl::Status& status) {
  if (std::optional<CodedText> coded = SplitCode(status.message())) {
    return Explain(std::move(coded->code), std::move(coded->text));
  }
  return Explain(CodeOf(status), std::string(status.message()));
}

std::string FormatBlock(const ErrorReport& report) {
  const std::string indent(8, ' ');
  std::string block = absl::StrCat(report.code, ": ", absl::StrReplaceAll(report.message, {{"\n", "\n" + indent}}), "\n");
  if (!report.possible_cause.empty()) absl::StrAppend(&block, indent, "Possible Cause: ", report.possible_cause, "\n");
  if (!report.solution.empty()) absl::StrAppend(&block, indent, "Solution: ", report.solution, "\n");
  return block;
}

}  // namespace omserve::cann
