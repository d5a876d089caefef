// Any text as the value of an option: input shapes, a list of devices.
#include <cstddef>
#include <cstdint>

#include "core/build/build.h"
#include "core/cluster/cluster.h"
#include "tests/fuzz/status_check.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const absl::string_view text(reinterpret_cast<const char*>(data), size);
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
