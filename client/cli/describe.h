// The client's types as JSON and as text, the same in every command.
#ifndef OMSERVE_CLIENT_CLI_DESCRIBE_H_
#define OMSERVE_CLIENT_CLI_DESCRIBE_H_

#include <string>
#include <vector>

#include "client/cli/text.h"
#include "nlohmann/json.hpp"
#include "omserve/client.h"

namespace omserve::cli {

nlohmann::ordered_json ToJson(const client::TensorDesc& desc);
nlohmann::ordered_json ToJson(const std::vector<client::TensorDesc>& descs);
nlohmann::ordered_json ToJson(const client::ModelStatus& model);
nlohmann::ordered_json ToJson(const client::ClusterStatus& cluster);

// "input_ids int64[1,128], mask int64[1,128]"
std::string ToText(const std::vector<client::TensorDesc>& descs);
// Which device of which worker holds what.
Table SliceTable(const std::vector<client::SlicePlacement>& slices);

}  // namespace omserve::cli

#endif  // OMSERVE_CLIENT_CLI_DESCRIBE_H_
