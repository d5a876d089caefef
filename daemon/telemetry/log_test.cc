#include "daemon/telemetry/log.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"

namespace omserve {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;

TEST(LogTest, TextQuotesWhatNeedsIt) {
  std::string lines;
  Log log({.role = "worker"}, &lines);
  log.Warning("run failed", {{"request_id", "r1"}, {"cause", "it's \"b\"\nfake line\x01"}, {"empty", ""}});
  EXPECT_THAT(lines, EndsWith(" W worker run failed request_id=r1 cause=\"it's \\\"b\\\"\\nfake line\\x01\" empty=\"\"\n"));
}

TEST(LogTest, JsonIsOneObjectPerLineWhateverTheBytes) {
  std::string lines;
  Log log({.json = true, .role = "coordinator"}, &lines);
  log.Info("loaded", {{"model", "m\xff\n\"x\""}});
  const nlohmann::json line = nlohmann::json::parse(lines);
  EXPECT_EQ(line["level"], "info");
  EXPECT_EQ(line["role"], "coordinator");
  EXPECT_EQ(line["message"], "loaded");
  EXPECT_THAT(line["model"].get<std::string>(), HasSubstr("\n\"x\""));
}

TEST(LogTest, LevelFilters) {
  std::string lines;
  Log log({.level = LogLevelFromName("warning").value(), .role = "worker"}, &lines);
  log.Info("quiet");
  log.Error("loud");
  EXPECT_THAT(lines, Not(HasSubstr("quiet")));
  EXPECT_THAT(lines, HasSubstr("E worker loud"));
  EXPECT_EQ(LogLevelFromName("loud").status().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace omserve
