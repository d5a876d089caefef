// Any bytes as a cluster OM, as the OM of a slice, and as the JSON inside: a clean error, or something
// consistent.
#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "core/graph/graph.h"
#include "core/om/model.h"
#include "core/om/om_file.h"
#include "google/protobuf/stubs/logging.h"

namespace {

void Check(bool holds) {
  if (!holds) std::abort();
}

// Nothing from outside may look like a mistake of our own.
void CheckError(const absl::Status& status) {
  Check(status.ok() || (!status.message().empty() && status.code() != absl::StatusCode::kInternal));
}

void FuzzCluster(const uint8_t* data, size_t size) {
  const int fd = ::memfd_create("om", MFD_CLOEXEC);
  Check(fd >= 0 && ::write(fd, data, size) == static_cast<ssize_t>(size));
  auto om = omserve::OmFile::Open("/proc/self/fd/" + std::to_string(fd));
  ::close(fd);
  CheckError(om.status());
  if (!om.ok()) return;
  CheckError((*om)->VerifyDigests());
  for (const omserve::OmSubmodel& submodel : (*om)->submodels()) {
    CheckError(omserve::ReadSliceOm(omserve::Buffer::OfFile(submodel.file, submodel.offset, submodel.size))
                   .status());
  }
}

void FuzzSlice(const uint8_t* data, size_t size) {
  auto graph = omserve::ReadSliceOm(omserve::Buffer::CopyOf(data, size));
  CheckError(graph.status());
  if (!graph.ok()) return;
  Check(omserve::Verify(*graph).ok());
  // Reads every byte of the constants.
  for (int32_t id : graph->NodeIds()) {
    if (const omserve::TensorSlice* constant = graph->node(id)->constant()) {
      volatile uint8_t sum = 0;
      constant
          ->ForEachRun([&](const std::byte* bytes, size_t count) {
            for (size_t i = 0; i < count; ++i) sum = sum + static_cast<uint8_t>(bytes[i]);
            return absl::OkStatus();
          })
          .IgnoreError();
    }
  }
}

void FuzzModelInfo(const uint8_t* data, size_t size) {
  auto info = omserve::ModelInfoFromJson(absl::string_view(reinterpret_cast<const char*>(data), size));
  CheckError(info.status());
  if (!info.ok()) return;
  // What was read can be written, and is the same again.
  const std::string json = omserve::ModelInfoToJson(*info);
  auto again = omserve::ModelInfoFromJson(json);
  Check(again.ok() && omserve::ModelInfoToJson(*again) == json);
}

}  // namespace

// Else protobuf reports every text that is no UTF-8.
extern "C" int LLVMFuzzerInitialize(int*, char***) {
  google::protobuf::SetLogHandler(nullptr);
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  FuzzCluster(data, size);
  FuzzSlice(data, size);
  FuzzModelInfo(data, size);
  return 0;
}
