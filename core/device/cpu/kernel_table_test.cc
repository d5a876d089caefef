// Every operator that models may use has a kernel.
#include <set>
#include <string>

#include <gtest/gtest.h>

#include "core/device/cpu/kernel.h"
#include "core/ops/op.h"

namespace omserve::cpu {
namespace {

TEST(KernelTable, CoversTheOperators) {
  const std::set<std::string> structure = {"Const", "Data", "NetOutput"};
  for (const std::string& type : OpRegistry::Get().Types()) {
    EXPECT_TRUE(KernelTable::Get().Has(type) || structure.count(type) > 0) << type;
  }
}

}  // namespace
}  // namespace omserve::cpu
