#include "client/cli/text.h"

#include <cstdio>

#include "client/cli/progress.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace omserve::cli {
namespace {

TEST(TableTest, ColumnsAreAlignedByCharacters) {
  Table table({"A", "LONG", "B"});
  table.AddRow({"wörk", "1", "x"});
  table.AddRow({"w", "22222", "y"});
  EXPECT_EQ(table.ToString(1),
            " A     LONG   B\n"
            " wörk  1      x\n"
            " w     22222  y\n");
}

TEST(BytesTextTest, PicksTheUnit) {
  EXPECT_EQ(BytesText(0), "0 B");
  EXPECT_EQ(BytesText(1023), "1023 B");
  EXPECT_EQ(BytesText(1536), "1.5 KiB");
  EXPECT_EQ(BytesText(uint64_t{3} << 30), "3.0 GiB");
  EXPECT_EQ(BytesText(~uint64_t{0}), "16.0 EiB");
}

TEST(IndentedTest, EveryLine) {
  EXPECT_EQ(Indented("a\nb\n", 2), "  a\n  b\n");
  EXPECT_EQ(Indented("a", 1), " a\n");
  EXPECT_EQ(Indented("", 1), "");
}

class ProgressTest : public testing::Test {
 protected:
  ~ProgressTest() override { std::fclose(file_); }
  std::string Written() {
    std::string text(4096, '\0');
    std::rewind(file_);
    text.resize(std::fread(text.data(), 1, text.size(), file_));
    return text;
  }
  std::FILE* const file_ = std::tmpfile();
};

TEST_F(ProgressTest, PlainOutputHasOneLineForEachPhase) {
  ProgressPrinter printer(file_, /*terminal=*/false);
  printer.Show({"upload", 0.1, "model.onnx"});
  printer.Show({"upload", 0.9, "model.onnx"});
  printer.Show({"plan", 0.5, ""});
  EXPECT_EQ(Written(), "upload: model.onnx\nplan\n");
}

TEST_F(ProgressTest, TerminalShowsABarAndTakesItAway) {
  {
    ProgressPrinter printer(file_, /*terminal=*/true);
    printer.Show({"upload", 0.5, "model.onnx"});
    printer.Show({"upload", 7.0, ""});  // a fraction out of range does no harm
  }
  const std::string text = Written();
  EXPECT_THAT(text, testing::HasSubstr("[###############               ]  50% model.onnx"));
  EXPECT_THAT(text, testing::HasSubstr("100%"));
  EXPECT_THAT(text, testing::EndsWith("\r\x1b[K"));
}

}  // namespace
}  // namespace omserve::cli
