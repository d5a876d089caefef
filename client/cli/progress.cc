#include "client/cli/progress.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace omserve::cli {

void ProgressPrinter::Show(const client::Progress& progress) {
  constexpr int kBarWidth = 30;
  constexpr size_t kMessageWidth = 40;
  if (!terminal_) {
    if (progress.phase == phase_) return;
    phase_ = progress.phase;
    absl::FPrintF(out_, "%s\n",
                  progress.message.empty() ? phase_ : absl::StrCat(phase_, ": ", progress.message));
    return;
  }
  const double fraction = std::isfinite(progress.fraction) ? std::clamp(progress.fraction, 0.0, 1.0) : 0.0;
  const int filled = static_cast<int>(fraction * kBarWidth);
  std::string message = progress.message;
  if (message.size() > kMessageWidth) message = absl::StrCat(message.substr(0, kMessageWidth), "...");
  absl::FPrintF(out_, "\r\x1b[K%-9s [%s%s] %3d%% %s", progress.phase, std::string(filled, '#'),
                std::string(kBarWidth - filled, ' '), static_cast<int>(fraction * 100), message);
  std::fflush(out_);
  bar_shown_ = true;
}

void ProgressPrinter::Finish() {
  if (!bar_shown_) return;
  std::fputs("\r\x1b[K", out_);
  std::fflush(out_);
  bar_shown_ = false;
}

}  // namespace omserve::cli
