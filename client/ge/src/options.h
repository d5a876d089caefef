// Options as the calls take them: keys they know, values they check.
#ifndef OMSERVE_CLIENT_GE_SRC_OPTIONS_H_
#define OMSERVE_CLIENT_GE_SRC_OPTIONS_H_

#include <map>
#include <set>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "graph/ascend_string.h"

namespace ge {

using Options = std::map<std::string, std::string>;

const std::set<std::string>& InitializeKeys();
const std::set<std::string>& BuildModelKeys();
const std::set<std::string>& ParseKeys();
// GEInitialize, Session, AddGraph, LoadGraph: one table serves all.
const std::set<std::string>& RunKeys();

Options FromAscend(const std::map<AscendString, AscendString>& options);

// INVALID_ARGUMENT "E10059: <call> failed. Reason: an option key is empty".
absl::Status CheckKeys(const std::string& call, const Options& options);
// Warns of keys that `call` does not know.
void WarnUnknown(const std::string& call, const Options& options, const std::set<std::string>& known);
// INVALID_ARGUMENT "E10001: …" for values that a known key cannot have, "E10056: …" for keys that exclude each other.
absl::Status CheckValues(const Options& options);

// `status` with `code` in front of its message, unless a code of CANN stands there already.
absl::Status WithCode(const absl::Status& status, const char* code);

// Only "1" switches on.
bool IsOn(const Options& options, const std::string& key);
// "" when absent.
std::string ValueOf(const Options& options, const std::string& key);

// The text of the file that `key` names. NOT_FOUND "E10410: …"; INVALID_ARGUMENT "E10032: …" when it is no JSON.
absl::StatusOr<std::string> JsonFileOf(const Options& options, const std::string& key);

}  // namespace ge

#endif  // OMSERVE_CLIENT_GE_SRC_OPTIONS_H_
