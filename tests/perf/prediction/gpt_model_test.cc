#include "tests/perf/prediction/gpt_model.h"

#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace omserve::prediction {
namespace {

using testing::HasSubstr;

// Rates that are far from where a fit begins.
GptRates Truth() {
  GptRates truth = GptRates::DataSheet();
  truth.product.flops_per_second *= 0.7;
  truth.product.bytes_per_second *= 0.6;
  truth.product.half_rows *= 2;
  truth.cache_bytes_per_second *= 0.5;
  truth.inside.alpha_seconds *= 2;
  truth.inside.beta_seconds_per_byte *= 3;
  truth.token_seconds *= 1.5;
  return truth;
}

// A table as it would be measured where the model is exact.
std::string Table(const GptRates& truth) {
  std::string text = "# Models (heads, head size, layers): 20B (48,128,44); 350M (16,64,24).\n";
  for (const auto& [model, layouts] :
       {std::pair<std::string, std::vector<int>>{"20B", {1, 2, 4, 8, 16}}, {"350M", {1}}}) {
    std::string heading = absl::StrCat("# GPT-", model, ": batch,in_len,out_len");
    for (int tensor : layouts) absl::StrAppend(&heading, ",TP", tensor);
    absl::StrAppend(&text, heading, model == "20B" ? ",TP8PP2" : "", "   (ms)\n");
    for (int64_t batch : {1, 4, 16, 64, 256}) {
      for (const auto& [in, out] : {std::pair<int64_t, int64_t>{20, 8}, {60, 20}, {128, 8}, {200, 200}}) {
        absl::StrAppend(&text, batch, ",", in, ",", out);
        LatencyRow row{model, model == "20B" ? 48 : 16, model == "20B" ? 128 : 64, model == "20B" ? 44 : 24, batch, in,
                       out};
        for (int tensor : layouts) {
          row.tensor_parallel = tensor;
          absl::StrAppendFormat(&text, ",%.6f", 1e3 * PredictSeconds(truth, row));
        }
        if (model == "20B") {
          row.tensor_parallel = 8;
          row.pipeline = 2;
          absl::StrAppendFormat(&text, ",%.6f", 1e3 * PredictSeconds(truth, row));
        }
        absl::StrAppend(&text, "\n");
      }
    }
  }
  return text;
}

TEST(GptModelTest, AFitFindsTheRatesThatMadeATable) {
  const GptRates truth = Truth();
  const absl::StatusOr<std::vector<LatencyRow>> rows = ParseLatencyTable(Table(truth), "table");
  ASSERT_TRUE(rows.ok()) << rows.status();
  ASSERT_EQ(rows->size(), 20u * 7);
  std::vector<LatencyRow> fitted, judged;
  for (size_t i = 0; i < rows->size(); ++i) (i % 2 == 0 ? fitted : judged).push_back((*rows)[i]);
  EXPECT_GT(MeanError(GptRates::DataSheet(), judged), 0.2);
  const GptRates found = FitRates(fitted);
  EXPECT_LT(MeanError(found, judged), 0.01);
  EXPECT_NEAR(found.product.flops_per_second / truth.product.flops_per_second, 1, 0.1);
  EXPECT_NEAR(found.product.bytes_per_second / truth.product.bytes_per_second, 1, 0.1);
  EXPECT_NEAR(found.cache_bytes_per_second / truth.cache_bytes_per_second, 1, 0.1);
  EXPECT_NEAR(found.inside.beta_seconds_per_byte / truth.inside.beta_seconds_per_byte, 1, 0.2);
}

// The fit is of the cost model that plans are priced by.
TEST(GptModelTest, RatesAreACostFile) {
  const GptRates rates = Truth();
  const absl::StatusOr<CostFile> file = CostFile::Parse(rates.ToCostFile().ToJson(), "costs");
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_DOUBLE_EQ(file->devices.at(kDevice).rates.at("half_rows"), rates.product.half_rows);
  EXPECT_DOUBLE_EQ(*file->inter_node.alpha_seconds, rates.between.alpha_seconds);
  EXPECT_NEAR(*file->intra_node.bytes_per_second * rates.inside.beta_seconds_per_byte, 1, 1e-12);
}

TEST(GptModelTest, MoreOfEverythingTakesLongerAndMoreDevicesLessLong) {
  const GptRates rates = GptRates::DataSheet();
  const LatencyRow row{"20B", 48, 128, 44, 16, 128, 20, 4, 1};
  const double seconds = PredictSeconds(rates, row);
  auto with = [&](auto change) {
    LatencyRow other = row;
    change(other);
    return PredictSeconds(rates, other);
  };
  EXPECT_GT(with([](LatencyRow& r) { r.batch = 64; }), seconds);
  EXPECT_GT(with([](LatencyRow& r) { r.in_length = 512; }), seconds);
  EXPECT_GT(with([](LatencyRow& r) { r.out_length = 40; }), seconds);
  EXPECT_GT(with([](LatencyRow& r) { r.layers = 88; }), 1.8 * seconds);
  EXPECT_LT(with([](LatencyRow& r) { r.tensor_parallel = 8; }), seconds);
  // Stages work on micro-batches at the same time, and each token still goes through all of them.
  const double staged = with([](LatencyRow& r) { r.pipeline = 4; });
  EXPECT_LT(staged, seconds * 2);
  EXPECT_GT(staged, seconds / 4);
}

TEST(LatencyTableTest, ReadsModelsLayoutsAndWhatDidNotFit) {
  const absl::StatusOr<std::vector<LatencyRow>> rows = ParseLatencyTable(
      "# Models (heads, head size, layers): 20B (48,128,44); 530B (128,160,105)\n"
      "# Megatron-530B (8 of 27 rows): batch,in_len,out_len,TP16PP1,TP8PP3\n16,20,8,730,900.5\n"
      "# GPT-20B: batch,in_len,out_len,TP1,TP2   (ms; empty = OOM)\n256,128,20,,4414\n",
      "table");
  ASSERT_TRUE(rows.ok()) << rows.status();
  ASSERT_EQ(rows->size(), 3u);
  EXPECT_EQ((*rows)[1].Layout(), "530B TP8PP3");
  EXPECT_EQ((*rows)[1].head_size, 160);
  EXPECT_DOUBLE_EQ((*rows)[1].seconds, 0.9005);
  EXPECT_EQ((*rows)[2].Layout(), "20B TP2");
  EXPECT_EQ((*rows)[2].batch, 256);
}

TEST(LatencyTableTest, NamesTheLineThatIsWrong) {
  const std::string head = "# 1B (8,64,2)\n# GPT-1B: batch,in_len,out_len,TP1\n";
  for (const auto& [text, what] :
       {std::pair<std::string, std::string>{"1,2,3,4\n", "table:1: a row before any heading"},
        {head + "1,2,3\n", "table:3: expected 4 cells, found 3"},
        {head + "0,2,3,4\n", "table:3: batch, in_len and out_len"},
        {head + "1,2,3,fast\n", "table:3: 'fast' is no time"},
        {"# GPT-2B: batch,in_len,out_len,TP1\n1,2,3,4\n", "of model 2B are not given"},
        {"# GPT-2B: batch,in_len,out_len,wide\n", "column 'wide'"}}) {
    EXPECT_THAT(std::string(ParseLatencyTable(text, "table").status().message()), HasSubstr(what));
  }
}

}  // namespace
}  // namespace omserve::prediction
