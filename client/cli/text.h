// Text for people: aligned tables and sizes with units.
#ifndef OMSERVE_CLIENT_CLI_TEXT_H_
#define OMSERVE_CLIENT_CLI_TEXT_H_

#include <cstdint>
#include <string>
#include <vector>

namespace omserve::cli {

// Columns as wide as their widest cell (in characters of UTF-8), two blanks between; the last is not padded.
class Table {
 public:
  explicit Table(std::vector<std::string> headings) { rows_.push_back(std::move(headings)); }
  void AddRow(std::vector<std::string> cells) { rows_.push_back(std::move(cells)); }
  bool empty() const { return rows_.size() == 1; }
  // One line a row, each begun with `indent` blanks.
  std::string ToString(int indent = 0) const;

 private:
  std::vector<std::vector<std::string>> rows_;
};

// "512 B", "1.5 KiB", "2.0 GiB"
std::string BytesText(uint64_t bytes);

// "1.250 ms"
std::string MillisecondsText(double seconds);

// `text` with every line begun by `indent` blanks and ended by a line break; nothing for no text.
std::string Indented(const std::string& text, int indent);

}  // namespace omserve::cli

#endif  // OMSERVE_CLIENT_CLI_TEXT_H_
