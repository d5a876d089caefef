// SHA-256, whole or in steps. Digests are lower-case hexadecimal, 64 characters.
#ifndef OMSERVE_CORE_BASE_SHA256_H_
#define OMSERVE_CORE_BASE_SHA256_H_

#include <cstddef>
#include <memory>
#include <string>

#include "absl/strings/string_view.h"

namespace omserve {

class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;

  void Update(const void* data, size_t size);
  void Update(absl::string_view bytes) { Update(bytes.data(), bytes.size()); }
  // The digest of all updates so far; may be called once.
  std::string Finish();

  static std::string Of(const void* data, size_t size);
  static std::string Of(absl::string_view bytes) { return Of(bytes.data(), bytes.size()); }
  // True for 64 lower-case hexadecimal characters, the only form accepted from outside.
  static bool IsDigest(absl::string_view text);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace omserve

#endif  // OMSERVE_CORE_BASE_SHA256_H_
