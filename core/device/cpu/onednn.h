// oneDNN: where its exceptions become Status, and a primitive with its arguments ready to run without allocating.
#ifndef OMSERVE_CORE_DEVICE_CPU_ONEDNN_H_
#define OMSERVE_CORE_DEVICE_CPU_ONEDNN_H_

#include <cstddef>
#include <oneapi/dnnl/dnnl.hpp>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace omserve::cpu {

const dnnl::engine& OneDnnEngine();

// Runs `body`, which may throw dnnl::error or std::bad_alloc.
template <typename Body>
absl::Status CatchOneDnn(absl::string_view what, const Body& body) {
  try {
    body();
    return absl::OkStatus();
  } catch (const dnnl::error& error) {
    const std::string message = absl::StrCat("oneDNN: ", what, ": ", error.what());
    if (error.status == dnnl_unimplemented) return absl::UnimplementedError(message);
    if (error.status == dnnl_out_of_memory) return absl::ResourceExhaustedError(message);
    return absl::InternalError(message);
  } catch (const std::bad_alloc&) {
    return absl::ResourceExhaustedError(absl::StrCat("oneDNN: ", what, ": out of memory"));
  }
}

// Attributes every primitive here uses: scratch memory comes from the arena.
inline dnnl::primitive_attr UserScratchpad() {
  dnnl::primitive_attr attr;
  attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  return attr;
}

// A primitive and its arguments. Used by one thread at a time.
class OneDnnCall {
 public:
  OneDnnCall() = default;
  OneDnnCall(dnnl::primitive primitive, const dnnl::memory::desc& scratchpad)
      : primitive_(std::move(primitive)), stream_(OneDnnEngine()), scratch_bytes_(scratchpad.get_size()) {
    if (scratch_bytes_ > 0) AddArgument(DNNL_ARG_SCRATCHPAD, scratchpad);
  }

  // Returns the argument's position for Set. `data` may be given once for all runs.
  int AddArgument(int argument, const dnnl::memory::desc& desc, void* data = DNNL_MEMORY_NONE);
  void Set(int position, const void* data) {
    memories_[static_cast<size_t>(position)].set_data_handle(const_cast<void*>(data));
  }
  size_t scratch_bytes() const { return scratch_bytes_; }
  absl::Status Run(std::byte* scratch);

 private:
  dnnl::primitive primitive_;
  dnnl::stream stream_;
  size_t scratch_bytes_ = 0;  // argument 0, when not 0
  std::vector<dnnl::memory> memories_;
  std::vector<dnnl_exec_arg_t> arguments_;
};

// Copies `from` into `to` of another layout.
absl::Status Reorder(const dnnl::memory::desc& from_desc, const void* from, const dnnl::memory::desc& to_desc, void* to);

}  // namespace omserve::cpu

#endif  // OMSERVE_CORE_DEVICE_CPU_ONEDNN_H_
