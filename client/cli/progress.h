// Progress of long calls on standard error: a bar on a terminal, else a line for each phase.
#ifndef OMSERVE_CLIENT_CLI_PROGRESS_H_
#define OMSERVE_CLIENT_CLI_PROGRESS_H_

#include <cstdio>
#include <string>

#include "omserve/client.h"

namespace omserve::cli {

class ProgressPrinter {
 public:
  // `terminal`: whether `out` can be overwritten in place.
  ProgressPrinter(std::FILE* out, bool terminal) : out_(out), terminal_(terminal) {}
  ~ProgressPrinter() { Finish(); }
  ProgressPrinter(const ProgressPrinter&) = delete;
  ProgressPrinter& operator=(const ProgressPrinter&) = delete;

  void Show(const client::Progress& progress);
  // Takes the bar away, so that other output can follow.
  void Finish();

 private:
  std::FILE* const out_;
  const bool terminal_;
  bool bar_shown_ = false;
  std::string phase_;
};

}  // namespace omserve::cli

#endif  // OMSERVE_CLIENT_CLI_PROGRESS_H_
