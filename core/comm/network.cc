#include "core/comm/network.h"

#include <poll.h>
#include <ucs/config/global_opts.h>
#include <ucs/debug/debug.h>
#include <ucs/debug/log_def.h>

#include <algorithm>
#include <cstdarg>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/base/status.h"

namespace omserve {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

// How long closing a connection may take: gently, so that the last messages get out, and by force.
constexpr milliseconds kGentleClose{500};
constexpr milliseconds kForcedClose{200};
// How long to sleep when a message is not out yet: UCX's queues in shared memory wake the one who waits for
// data, but not the one who waits for room.
constexpr std::chrono::nanoseconds kShortestNap = std::chrono::microseconds(50);
constexpr std::chrono::nanoseconds kLongestNap = milliseconds(5);
// How long a last word to the peers may take.
constexpr milliseconds kFarewell{20};
constexpr MessageTag kFarewellTag{true, MessageTag::kNoGroup, 1};

// The last error UCX logged on this thread: its status codes alone ("No such device") do not say what is
// wrong.
thread_local std::string last_ucx_message;

bool IsSet(const char* variable) { return std::getenv(variable) != nullptr; }

// UCX would write to standard output, where programs here print results.
ucs_log_func_rc_t OnUcxMessage(const char* file, unsigned line, const char* function, ucs_log_level_t level,
                               const ucs_log_component_config_t* component, const char* format,
                               va_list arguments) {
  if (level > ucs_global_opts.log_component.log_level) return UCS_LOG_FUNC_RC_STOP;
  char text[512];
  va_list copy;
  va_copy(copy, arguments);
  std::vsnprintf(text, sizeof(text), format, copy);
  va_end(copy);
  if (level <= UCS_LOG_LEVEL_ERROR) last_ucx_message = text;
  // The user who names a file gets UCX's own form.
  static const bool has_file = IsSet("UCX_LOG_FILE");
  if (has_file) return UCS_LOG_FUNC_RC_CONTINUE;
  std::fprintf(stderr, "UCX %s: %s\n", ucs_log_level_names[level], text);
  return UCS_LOG_FUNC_RC_STOP;
}

// UCX takes some liberties with the process that loads it; unless the user asked for them, they are taken
// back before main, because a process need not use the network to be hit by them. (One stays: UCX patches
// libc's mmap and its kin, to know when memory registered for RDMA goes away; UCX_MEM_EVENTS=n in the
// environment prevents it.)
bool TameUcx() {
  if (!IsSet("UCX_LOG_LEVEL")) ucs_global_opts_set_value("LOG_LEVEL", "error");
  if (!IsSet("UCX_WARN_UNUSED_ENV_VARS")) ucs_global_opts_set_value("WARN_UNUSED_ENV_VARS", "n");
  ucs_log_push_handler(&OnUcxMessage);
  // It handles signals such as SIGSEGV, and, for debugging, SIGHUP.
  if (!IsSet("UCX_HANDLE_ERRORS")) {
    for (unsigned i = 0; i < ucs_global_opts.error_signals.count; ++i) {
      ucs_debug_disable_signal(ucs_global_opts.error_signals.signals[i]);
    }
  }
  if (!IsSet("UCX_DEBUG_SIGNO")) ucs_debug_disable_signal(static_cast<int>(ucs_global_opts.debug_signo));
  return true;
}

[[maybe_unused]] const bool ucx_is_tame = TameUcx();

absl::Status FromUcx(absl::string_view what, ucs_status_t status) {
  std::string detail = std::exchange(last_ucx_message, {});
  return absl::UnavailableError(absl::StrCat(what, ": UCX: ", ucs_status_string(status),
                                             detail.empty() ? "" : " (", detail, detail.empty() ? "" : ")"));
}

// What goes in front of a worker's address. The address is handed to UCX, which trusts it, so what was
// damaged or was made by another UCX must be found out before.
struct AddressHeader {
  static constexpr char kMagic[8] = {'O', 'M', 'S', '-', 'U', 'C', 'X', '1'};
  char magic[8];
  uint32_t ucx_version;  // major << 16 | minor: the form of addresses changes between minor releases
  int32_t rank;
  uint64_t checksum;  // FNV-1a of the rest
};

uint64_t Fnv1a(absl::string_view bytes) {
  uint64_t hash = 0xcbf29ce484222325;
  for (const char c : bytes) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return hash;
}

uint32_t UcxVersion() {
  unsigned major, minor, release;
  ucp_get_version(&major, &minor, &release);
  return major << 16 | minor;
}

}  // namespace

absl::StatusOr<std::unique_ptr<NetworkContext>> NetworkContext::Create() {
  last_ucx_message.clear();

  ucp_config_t* config = nullptr;
  if (const ucs_status_t status = ucp_config_read(nullptr, nullptr, &config); status != UCS_OK) {
    return FromUcx("reading the UCX_* variables", status);
  }
  // Without this, error handling, which every wait here needs, would leave UCX with TCP alone on one machine.
  if (!IsSet("UCX_MM_ERROR_HANDLING") && !IsSet("UCX_SYSV_ERROR_HANDLING") &&
      !IsSet("UCX_POSIX_ERROR_HANDLING")) {
    ucp_config_modify(config, "MM_ERROR_HANDLING", "y");
  }
  // The default of 20 s notices a dead peer later than the coordinator's lease does.
  if (!IsSet("UCX_KEEPALIVE_INTERVAL")) ucp_config_modify(config, "KEEPALIVE_INTERVAL", "1s");

  ucp_params_t params{};
  params.field_mask = UCP_PARAM_FIELD_FEATURES | UCP_PARAM_FIELD_MT_WORKERS_SHARED;
  params.features = UCP_FEATURE_TAG | UCP_FEATURE_WAKEUP;
  params.mt_workers_shared = 1;
  ucp_context_h handle = nullptr;
  const ucs_status_t status = ucp_init(&params, config, &handle);
  ucp_config_release(config);
  if (status != UCS_OK) return FromUcx("no transport between processes can be used", status);
  return std::unique_ptr<NetworkContext>(new NetworkContext(handle));
}

NetworkContext::~NetworkContext() { ucp_cleanup(handle_); }

absl::StatusOr<std::unique_ptr<NetworkWorker>> NetworkWorker::Create(const NetworkContext& context, int rank,
                                                                     std::atomic<uint64_t>* sent_bytes) {
  ucp_worker_params_t params{};
  params.field_mask = UCP_WORKER_PARAM_FIELD_THREAD_MODE;
  params.thread_mode = UCS_THREAD_MODE_SERIALIZED;
  ucp_worker_h handle = nullptr;
  if (const ucs_status_t status = ucp_worker_create(context.handle(), &params, &handle); status != UCS_OK) {
    return FromUcx(absl::StrCat("opening the network for rank ", rank), status);
  }
  std::unique_ptr<NetworkWorker> worker(new NetworkWorker(rank, handle, sent_bytes));
  if (const ucs_status_t status = ucp_worker_get_efd(handle, &worker->event_fd_); status != UCS_OK) {
    return FromUcx("the transports chosen cannot wake a sleeping thread", status);
  }

  ucp_address_t* address = nullptr;
  size_t size = 0;
  if (const ucs_status_t status = ucp_worker_get_address(handle, &address, &size); status != UCS_OK) {
    return FromUcx(absl::StrCat("finding the address of rank ", rank), status);
  }
  AddressHeader header{};
  std::memcpy(header.magic, AddressHeader::kMagic, sizeof(header.magic));
  header.ucx_version = UcxVersion();
  header.rank = rank;
  header.checksum = Fnv1a({reinterpret_cast<const char*>(address), size});
  worker->address_.assign(reinterpret_cast<const char*>(&header), sizeof(header));
  worker->address_.append(reinterpret_cast<const char*>(address), size);
  ucp_worker_release_address(handle, address);
  return worker;
}

NetworkWorker::~NetworkWorker() {
  if (worker_ == nullptr) return;
  const auto deadline = steady_clock::now() + kGentleClose;
  absl::StatusOr<bool> sent = AdvanceBackgroundLocked();
  while (sent.ok() && !*sent && steady_clock::now() < deadline) sent = AdvanceBackgroundLocked();
  if (operations_.empty() && background_.empty()) CloseEndpoints(/*force=*/false, kGentleClose);
  Close();
}

absl::Status NetworkWorker::AddPeer(int rank, const std::string& address) {
  AddressHeader header;
  if (address.size() <= sizeof(header)) {
    return absl::InvalidArgumentError(absl::StrCat("the address of rank ", rank, " has ", address.size(),
                                                   " bytes, which is too short for one"));
  }
  std::memcpy(&header, address.data(), sizeof(header));
  const absl::string_view body = absl::string_view(address).substr(sizeof(header));
  if (std::memcmp(header.magic, AddressHeader::kMagic, sizeof(header.magic)) != 0 ||
      header.checksum != Fnv1a(body)) {
    return absl::InvalidArgumentError(absl::StrCat("the address of rank ", rank, " is damaged"));
  }
  if (header.rank != rank) {
    return absl::InvalidArgumentError(
        absl::StrCat("the address given for rank ", rank, " is that of rank ", header.rank));
  }
  if (header.ucx_version != UcxVersion()) {
    return absl::InvalidArgumentError(absl::StrCat("rank ", rank, " uses UCX ", header.ucx_version >> 16, ".",
                                                   header.ucx_version & 0xffff, ", rank ", rank_, " uses ",
                                                   UcxVersion() >> 16, ".", UcxVersion() & 0xffff,
                                                   "; all workers must use the same minor version"));
  }

  Peer& peer = peers_[rank];  // UCX keeps a pointer to it; a map's elements stay where they are
  peer.rank = rank;
  peer.address = std::string(body);
  ucp_ep_params_t params{};
  params.field_mask = UCP_EP_PARAM_FIELD_REMOTE_ADDRESS | UCP_EP_PARAM_FIELD_ERR_HANDLING_MODE |
                      UCP_EP_PARAM_FIELD_ERR_HANDLER;
  params.address = reinterpret_cast<const ucp_address_t*>(peer.address.data());
  params.err_mode = UCP_ERR_HANDLING_MODE_PEER;
  params.err_handler.cb = &NetworkWorker::OnPeerFailure;
  params.err_handler.arg = &peer;
  if (const ucs_status_t status = ucp_ep_create(worker_, &params, &peer.endpoint); status != UCS_OK) {
    peer.endpoint = nullptr;
    return FromUcx(absl::StrCat("rank ", rank_, " finds no transport to rank ", rank), status);
  }
  return absl::OkStatus();
}

void NetworkWorker::OnPeerFailure(void* peer, ucp_ep_h endpoint, ucs_status_t status) {
  static_cast<Peer*>(peer)->failure = status;
}

NetworkWorker::Operation NetworkWorker::Send(int peer, MessageTag tag, const void* data, size_t bytes) {
  Operation operation{&peers_.at(peer), /*receive=*/false, bytes};
  if (worker_ == nullptr) {
    operation.status = UCS_ERR_CANCELED;
    return operation;
  }
  ucp_request_param_t param{};
  operation.request = ucp_tag_send_nbx(operation.peer->endpoint, data, bytes, tag.Encode(rank_), &param);
  sent_bytes_->fetch_add(bytes, std::memory_order_relaxed);
  if (UCS_PTR_IS_ERR(operation.request)) {
    operation.status = UCS_PTR_STATUS(operation.request);
    operation.request = nullptr;
  }
  return operation;
}

size_t NetworkWorker::StartSend(int peer, MessageTag tag, const void* data, size_t bytes) {
  std::lock_guard lock(mutex_);
  operations_.push_back(Send(peer, tag, data, bytes));
  return operations_.size() - 1;
}

bool NetworkWorker::StartBackgroundSend(int peer, MessageTag tag, const void* data, size_t bytes) {
  std::lock_guard lock(mutex_);
  if (background_.size() == kBackgroundSends) return false;
  if (spare_.empty()) spare_.push_back(std::make_unique<BackgroundSend>());
  background_.push_back(std::move(spare_.back()));
  spare_.pop_back();
  BackgroundSend& send = *background_.back();
  std::memcpy(send.data.Get(bytes), data, bytes);
  send.operation = Send(peer, tag, send.data.data(), bytes);
  return true;
}

absl::StatusOr<bool> NetworkWorker::AdvanceBackgroundLocked() {
  while (worker_ != nullptr && ucp_worker_progress(worker_) != 0) {
  }
  for (auto it = background_.begin(); it != background_.end();) {
    Operation& operation = (*it)->operation;
    if (!Complete(operation)) {
      if (operation.peer->failure != UCS_OK) return Describe(operation);
      ++it;
      continue;
    }
    if (operation.status != UCS_OK) return Describe(operation);
    spare_.push_back(std::move(*it));
    it = background_.erase(it);
  }
  return background_.empty();
}

absl::StatusOr<bool> NetworkWorker::AdvanceBackground() {
  std::lock_guard lock(mutex_);
  return AdvanceBackgroundLocked();
}

size_t NetworkWorker::StartReceive(int peer, MessageTag tag, void* data, size_t bytes) {
  std::lock_guard lock(mutex_);
  Operation& operation = operations_.emplace_back(Operation{&peers_.at(peer), /*receive=*/true, bytes});
  if (worker_ == nullptr) {
    operation.status = UCS_ERR_CANCELED;
    return operations_.size() - 1;
  }
  // Always a request, so that the length can be checked in one place.
  ucp_request_param_t param{};
  param.op_attr_mask = UCP_OP_ATTR_FLAG_NO_IMM_CMPL;
  operation.request = ucp_tag_recv_nbx(worker_, data, bytes, tag.Encode(peer), ~uint64_t{0}, &param);
  if (UCS_PTR_IS_ERR(operation.request)) {
    operation.status = UCS_PTR_STATUS(operation.request);
    operation.request = nullptr;
  }
  return operations_.size() - 1;
}

bool NetworkWorker::Complete(Operation& operation) {
  if (operation.request == nullptr) return true;
  ucp_tag_recv_info_t info{};
  const ucs_status_t status = operation.receive ? ucp_tag_recv_request_test(operation.request, &info)
                                                : ucp_request_check_status(operation.request);
  if (status == UCS_INPROGRESS) return false;
  operation.status = status;
  if (operation.receive && status == UCS_OK && info.length != operation.bytes) {
    operation.status = UCS_ERR_MESSAGE_TRUNCATED;
  }
  ucp_request_free(operation.request);
  operation.request = nullptr;
  return true;
}

absl::Status NetworkWorker::Describe(const Operation& operation) const {
  if (operation.status == UCS_ERR_MESSAGE_TRUNCATED) {
    return absl::InternalError(absl::StrCat("rank ", operation.peer->rank,
                                            " sent a message that has not the ", operation.bytes,
                                            " bytes expected"));
  }
  const ucs_status_t status = operation.peer->failure != UCS_OK ? operation.peer->failure : operation.status;
  return FromUcx(absl::StrCat("rank ", operation.peer->rank, " cannot be reached"), status);
}

absl::StatusOr<bool> NetworkWorker::Advance(size_t* open, size_t end) {
  for (; *open < end; ++*open) {
    Operation& operation = operations_[*open];
    if (!Complete(operation)) {
      if (operation.peer->failure == UCS_OK) return false;
      // What the peer sent before it went may still be on its way to this operation.
      while (ucp_worker_progress(worker_) != 0) {
      }
      if (!Complete(operation)) return Describe(operation);
    }
    if (operation.status != UCS_OK) return Describe(operation);
  }
  return true;
}

absl::Status NetworkWorker::WaitRange(size_t begin, size_t end, const CallScope& scope) {
  size_t open = begin;
  std::chrono::nanoseconds nap = kShortestNap;
  for (Spinner spinner(scope.spin);;) {
    absl::StatusOr<bool> complete = Advance(&open, end);
    if (!complete.ok()) return scope.Fail(complete.status());
    if (*complete) return absl::OkStatus();
    if (ucp_worker_progress(worker_) != 0) {
      spinner.Restart();
      nap = kShortestNap;
      continue;
    }
    if (!scope.interrupted() && spinner.Next()) continue;

    RETURN_IF_ERROR(scope.Check(operations_[open].peer->rank));
    if (absl::Status farewell = HearFarewell(); !farewell.ok()) return scope.guard->Fail(std::move(farewell));
    std::chrono::nanoseconds sleep = kLongestSleep;
    if (HasOpenSend()) {
      sleep = nap;
      nap = std::min(2 * nap, kLongestNap);
    }
    const absl::Duration left = scope.limit->deadline - absl::Now();
    if (left < absl::FromChrono(sleep)) sleep = std::max(absl::ToChronoNanoseconds(left), kShortestNap);
    NetworkWorker* const self = this;
    Sleep({&self, 1}, sleep);
  }
}

absl::Status NetworkWorker::Wait(size_t operation, const CallScope& scope) {
  std::lock_guard lock(mutex_);
  absl::Status status = WaitRange(operation, operation + 1, scope);
  if (!status.ok()) AbandonLocked(status);
  return status;
}

absl::Status NetworkWorker::WaitAll(const CallScope& scope) {
  std::lock_guard lock(mutex_);
  absl::Status status = WaitRange(0, operations_.size(), scope);
  if (!status.ok()) AbandonLocked(status);
  operations_.clear();
  return status;
}

absl::StatusOr<bool> NetworkWorker::Poll() {
  std::lock_guard lock(mutex_);
  if (worker_ != nullptr) ucp_worker_progress(worker_);
  size_t open = 0;
  ASSIGN_OR_RETURN(const bool complete, Advance(&open, operations_.size()));
  if (complete) {
    operations_.clear();
  } else {
    RETURN_IF_ERROR(HearFarewell());
  }
  return complete;
}

int NetworkWorker::awaited_peer() const {
  for (const Operation& operation : operations_) {
    if (operation.request != nullptr) return operation.peer->rank;
  }
  return rank_;
}

void NetworkWorker::Sleep(absl::Span<NetworkWorker* const> workers, std::chrono::nanoseconds limit) {
  std::vector<pollfd> fds;
  fds.reserve(workers.size());
  for (const NetworkWorker* worker : workers) {
    // UCX refuses while it has something to do.
    if (worker->worker_ == nullptr || ucp_worker_arm(worker->worker_) != UCS_OK) return;
    fds.push_back({worker->event_fd_, POLLIN, 0});
  }
  const timespec time = absl::ToTimespec(absl::FromChrono(limit));
  ppoll(fds.data(), fds.size(), &time, nullptr);
}

bool NetworkWorker::HasOpenSend() const {
  return !background_.empty() || std::any_of(operations_.begin(), operations_.end(), [](const Operation& operation) {
    return !operation.receive && operation.request != nullptr;
  });
}

void NetworkWorker::CloseEndpoints(bool force, milliseconds limit) {
  std::vector<void*> requests;
  for (auto& [rank, peer] : peers_) {
    if (peer.endpoint == nullptr) continue;
    ucp_request_param_t param{};
    // A broken connection can only be closed by force.
    if (force || peer.failure != UCS_OK) {
      param.op_attr_mask = UCP_OP_ATTR_FIELD_FLAGS;
      param.flags = UCP_EP_CLOSE_FLAG_FORCE;
    }
    void* request = ucp_ep_close_nbx(std::exchange(peer.endpoint, nullptr), &param);
    if (UCS_PTR_IS_PTR(request)) requests.push_back(request);
  }
  const auto deadline = steady_clock::now() + limit;
  for (void* request : requests) {
    while (ucp_request_check_status(request) == UCS_INPROGRESS && steady_clock::now() < deadline) {
      ucp_worker_progress(worker_);
    }
    ucp_request_free(request);
  }
}

absl::Status NetworkWorker::HearFarewell() {
  ucp_tag_recv_info_t info{};
  const ucp_tag_message_h message =
      ucp_tag_probe_nb(worker_, kFarewellTag.Encode(0), ~MessageTag::kSourceMask,
                       /*remove=*/1, &info);
  if (message == nullptr) return absl::OkStatus();
  const int source = static_cast<int>((info.sender_tag & MessageTag::kSourceMask) >> 32);
  Farewell& farewell = heard_farewell_;
  ucp_request_param_t param{};
  void* request = ucp_tag_msg_recv_nbx(worker_, &farewell, sizeof(farewell), message, &param);
  bool heard = request == nullptr;
  if (UCS_PTR_IS_PTR(request)) {
    // It is short enough to have arrived as a whole; if not, the fact alone must do.
    heard = ucp_request_check_status(request) == UCS_OK;
    ucp_request_free(request);
  }
  const bool valid = heard && info.length >= offsetof(Farewell, text) &&
                     farewell.length <= sizeof(farewell.text) && farewell.code > 0 &&
                     farewell.code <= static_cast<int>(absl::StatusCode::kUnauthenticated);
  if (!valid) return absl::UnavailableError(absl::StrCat("rank ", source, " has left"));
  return absl::Status(static_cast<absl::StatusCode>(farewell.code),
                      absl::string_view(farewell.text, farewell.length));
}

void NetworkWorker::Abandon(const absl::Status& cause) {
  std::lock_guard lock(mutex_);
  AbandonLocked(cause);
}

void NetworkWorker::AbandonLocked(const absl::Status& cause) {
  if (worker_ == nullptr) return;
  Farewell farewell{};
  farewell.code = static_cast<int32_t>(cause.code());
  farewell.length = static_cast<uint32_t>(std::min(cause.message().size(), sizeof(farewell.text)));
  std::memcpy(farewell.text, cause.message().data(), farewell.length);
  const size_t first = operations_.size();
  for (auto& [rank, peer] : peers_) {
    if (peer.endpoint == nullptr || peer.failure != UCS_OK) continue;
    operations_.push_back(Send(rank, kFarewellTag, &farewell, offsetof(Farewell, text) + farewell.length));
  }
  const auto deadline = steady_clock::now() + kFarewell;
  for (size_t i = first; i < operations_.size() && steady_clock::now() < deadline;) {
    if (Complete(operations_[i])) {
      ++i;
    } else {
      ucp_worker_progress(worker_);
    }
  }
  Close();
}

void NetworkWorker::Close() {
  for (Operation& operation : operations_) {
    if (operation.request != nullptr && operation.receive) ucp_request_cancel(worker_, operation.request);
  }
  CloseEndpoints(/*force=*/true, kForcedClose);
  const auto open = [&] {
    bool any = false;
    for (Operation& operation : operations_) any |= !Complete(operation);
    for (const auto& send : background_) any |= !Complete(send->operation);
    return any;
  };
  const auto deadline = steady_clock::now() + kForcedClose;
  while (open() && steady_clock::now() < deadline) ucp_worker_progress(worker_);
  const auto forget = [](Operation& operation) {
    operation.status = UCS_ERR_CANCELED;
    // Not even closing completed it; destroying the worker ends it.
    if (operation.request != nullptr) ucp_request_free(std::exchange(operation.request, nullptr));
  };
  for (Operation& operation : operations_) forget(operation);
  for (const auto& send : background_) forget(send->operation);
  ucp_worker_destroy(std::exchange(worker_, nullptr));
}

}  // namespace omserve
