#include "client/cli/generation.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace omserve::cli {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;

TEST(GenerationTest, LengthsAreTwoNumbers) {
  EXPECT_EQ(ParseGenerationLengths("128,64")->out, 64);
  for (const char* text : {"", "128", "1,2,3", "0,4", "4,0", "a,b", "4,9999999"}) {
    EXPECT_THAT(std::string(ParseGenerationLengths(text).status().message()), HasSubstr("such as 128,64")) << text;
  }
}

TEST(GenerationTest, WordsAndPatternsMakeTheShapesOfAStep) {
  const std::vector<std::string> inputs{"ids", "mask", "past.0.key", "past.0.value"};
  const std::string text = "ids:2,new; mask:2,total;past.*:2,8,past,64";
  EXPECT_THAT(ShapesOfStep(text, inputs, 1, 7).value(),
              ElementsAre(Pair("ids", Shape{2, 1}), Pair("mask", Shape{2, 8}), Pair("past.0.key", Shape{2, 8, 7, 64}),
                          Pair("past.0.value", Shape{2, 8, 7, 64})));
  EXPECT_THAT(ShapesOfStep(text, inputs, 16, 0).value(), testing::Contains(Pair("past.0.key", Shape{2, 8, 0, 64})));
}

TEST(GenerationTest, ShapesThatFitNoInputsAreRefused) {
  const std::vector<std::string> inputs{"ids", "past.0"};
  for (const auto& [text, what] :
       {std::pair<std::string, std::string>{"ids:1,4;past.*:1,past", "has no new"},
        {"ids:1,new", "has no past"},
        {"", "has no new"},
        {"ids:1,new;cache.*:1,past", "'cache.*' of --input-shape matches no input; there are ids, past.0"},
        {"ids:1,new;past.*:past;past.0:past", "two entries of --input-shape match the input 'past.0'"},
        {"ids:1,new;past.*:old,past", "'old' is not a whole number"},
        {"ids;past.*:past,new", "not of the form"}}) {
    EXPECT_THAT(std::string(ShapesOfStep(text, inputs, 1, 1).status().message()), HasSubstr(what)) << text;
  }
}

}  // namespace
}  // namespace omserve::cli
