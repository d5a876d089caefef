#include "core/base/temporary_folder.h"

#include <errno.h>
#include <stdlib.h>

#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace omserve {

absl::StatusOr<std::unique_ptr<TemporaryFolder>> TemporaryFolder::Create(absl::string_view prefix,
                                                                         std::string parent) {
  if (parent.empty()) {
    const char* configured = ::getenv("TMPDIR");
    parent = configured != nullptr && *configured != '\0' ? configured : "/tmp";
  }
  std::string path = absl::StrCat(parent, "/", prefix, "XXXXXX");
  if (::mkdtemp(path.data()) == nullptr) return absl::ErrnoToStatus(errno, absl::StrCat("create folder ", path));
  return std::unique_ptr<TemporaryFolder>(new TemporaryFolder(std::move(path)));
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;  // nobody is left to hear of it
  std::filesystem::remove_all(path_, ignored);
}

}  // namespace omserve
