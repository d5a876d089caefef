// Any text as the value of an option (input shapes, a list of devices), and, line by line, as the command line of atc.
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/str_split.h"
#include "client/atc/options.h"
#include "core/build/build.h"
#include "core/cluster/cluster.h"
#include "tests/fuzz/status_check.h"

namespace {

void FuzzAtc(absl::string_view text) {
  const std::vector<std::string> arguments = absl::StrSplit(text, '\n', absl::SkipEmpty());
  // By themselves, and where what a build needs is there.
  for (bool complete : {false, true}) {
    std::vector<std::string> line;
    if (complete) line = {"--model=m.onnx", "--framework=5", "--soc_version=Ascend910B1", "--output=m"};
    line.insert(line.end(), arguments.begin(), arguments.end());
    const auto options = omserve::atc::ParseOptions(line);
    omserve::fuzz::CheckError(options.status());
    if (options.ok()) continue;
    // Every refusal has a code of CANN's tables.
    omserve::fuzz::Check(options.status().message()[0] == 'E');
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const absl::string_view text(reinterpret_cast<const char*>(data), size);
  FuzzAtc(text);
  auto shapes = omserve::ParseInputShapes(text);
  omserve::fuzz::CheckError(shapes.status());
  if (shapes.ok()) {
    for (const auto& [name, shape] : *shapes) {
      omserve::fuzz::Check(!name.empty());
      for (int64_t dim : shape) omserve::fuzz::Check(dim >= 0);
    }
  }
  auto devices = omserve::LogicalDeviceId::ParseList(text);
  omserve::fuzz::CheckError(devices.status());
  if (devices.ok()) {
    for (size_t i = 0; i < devices->size() && i < 100; ++i) {
      const omserve::LogicalDeviceId& device = (*devices)[i];
      // What was read reads back as the same.
      auto again = omserve::LogicalDeviceId::ParseList(device.ToString());
      omserve::fuzz::Check(again.ok() && again->size() == 1 && (*again)[0] == device);
    }
  }
  return 0;
}
