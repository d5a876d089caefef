#include "runtime.h"

#include <mutex>
#include <set>

#include "absl/strings/str_cat.h"
#include "core/base/file.h"
#include "core/base/status.h"
#include "core/base/temporary_folder.h"
#include "core/om/om_file.h"
#include "ge/ge_api.h"
#include "messages.h"
#include "service.h"

namespace ge {
namespace {

struct State {
  std::mutex mutex;
  std::optional<Options> options;
};

State& TheState() {
  static auto* const state = new State;
  return *state;
}

absl::StatusOr<uint32_t> DevicesOfModel(const void* data, uint64_t length) {
  ASSIGN_OR_RETURN(const std::unique_ptr<omserve::TemporaryFolder> folder, omserve::TemporaryFolder::Create("omserve-ge-"));
  const std::string path = folder->File("model.om");
  RETURN_IF_ERROR(omserve::WriteFileAtomically(path, absl::string_view(static_cast<const char*>(data), length)));
  ASSIGN_OR_RETURN(const std::unique_ptr<omserve::OmFile> om, omserve::OmFile::Open(path));
  std::set<omserve::LogicalDeviceId> devices;
  for (const omserve::SliceInfo& slice : om->info().slices) devices.insert(slice.devices.begin(), slice.devices.end());
  return static_cast<uint32_t>(devices.size());
}

Status Initialize(const Options& options) {
  if (absl::Status status = CheckKeys("GEInitialize", options); !status.ok()) return Report(FAILED, status);
  WarnUnknown("GEInitialize", options, RunKeys());
  if (absl::Status status = CheckValues(options); !status.ok()) return Report(FAILED, status);
  if (const std::string file = ValueOf(options, RESOURCE_CONFIG_PATH); !file.empty()) {
    if (absl::Status status = DevicesOf(file).status(); !status.ok()) return Report(ACL_ERROR_GE_PARAM_INVALID, status);
  }
  State& state = TheState();
  const std::lock_guard<std::mutex> lock(state.mutex);
  if (state.options.has_value()) {
    Warn("W11005: GEInitialize was called before; its first options stay");
    return SUCCESS;
  }
  state.options = options;
  HoldService();
  return SUCCESS;
}

}  // namespace

std::optional<Options> RuntimeOptions() {
  const std::lock_guard<std::mutex> lock(TheState().mutex);
  return TheState().options;
}

Status GEInitialize(const std::map<std::string, std::string>& options) { return Initialize(options); }
Status GEInitialize(const std::map<AscendString, AscendString>& options) { return Initialize(FromAscend(options)); }

Status GEFinalize() {
  State& state = TheState();
  const std::lock_guard<std::mutex> lock(state.mutex);
  if (!state.options.has_value()) return SUCCESS;
  state.options.reset();
  ReleaseService();
  return SUCCESS;
}

std::string GEGetErrorMsg() { return TakeErrors(); }
AscendString GEGetErrorMsgV2() { return AscendString(TakeErrors().c_str()); }
std::string GEGetWarningMsg() { return TakeWarnings(); }
AscendString GEGetWarningMsgV2() { return AscendString(TakeWarnings().c_str()); }

Status GetModelDistributeDesc(const void* data, const uint64_t length, ModelDistibuteDesc& desc) {
  if (data == nullptr || length == 0) return Report(ACL_ERROR_GE_PARAM_INVALID, "E10001", "GetModelDistributeDesc: the model is empty");
  const absl::StatusOr<uint32_t> devices = DevicesOfModel(data, length);
  if (!devices.ok()) return Report(ACL_ERROR_GE_PARAM_INVALID, devices.status());
  desc.logic_device_number = *devices;
  return SUCCESS;
}

}  // namespace ge
