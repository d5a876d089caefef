#include "core/device/cpu/onednn.h"

#include <utility>

namespace omserve::cpu {

const dnnl::engine& OneDnnEngine() {
  static const dnnl::engine& engine = *new dnnl::engine(dnnl::engine::kind::cpu, 0);
  return engine;
}

int OneDnnCall::AddArgument(int argument, const dnnl::memory::desc& desc, void* data) {
  memories_.emplace_back(desc, OneDnnEngine(), data);
  arguments_.push_back({argument, memories_.back().get()});
  return static_cast<int>(memories_.size()) - 1;
}

absl::Status OneDnnCall::Run(std::byte* scratch) {
  if (scratch_bytes_ > 0) Set(0, scratch);
  // The C call: the C++ one builds a map and a vector each time.
  const dnnl_status_t status = dnnl_primitive_execute(primitive_.get(), stream_.get(),
                                                      static_cast<int>(arguments_.size()), arguments_.data());
  if (status != dnnl_success) return absl::InternalError(absl::StrCat("oneDNN: execution failed with ", status));
  return absl::OkStatus();
}

absl::Status Reorder(const dnnl::memory::desc& from_desc, const void* from, const dnnl::memory::desc& to_desc,
                     void* to) {
  return CatchOneDnn("reorder", [&] {
    dnnl::memory source(from_desc, OneDnnEngine(), const_cast<void*>(from));
    dnnl::memory target(to_desc, OneDnnEngine(), to);
    dnnl::stream stream(OneDnnEngine());
    dnnl::reorder(source, target).execute(stream, source, target);
    stream.wait();
  });
}

}  // namespace omserve::cpu
