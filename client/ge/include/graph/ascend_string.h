// AscendString: text that crosses the library's border without depending on the caller's std::string.
#ifndef OMSERVE_GE_GRAPH_ASCEND_STRING_H_
#define OMSERVE_GE_GRAPH_ASCEND_STRING_H_

#include <cstddef>
#include <functional>
#include <memory>
#include <string>

namespace ge {

using char_t = char;
using float32_t = float;

// Immutable; copies share the text.
class AscendString {
 public:
  static constexpr size_t npos = static_cast<size_t>(-1);

  AscendString() = default;
  AscendString(const char_t *text)  // NOLINT: the documented constructor converts
      : text_(text == nullptr ? nullptr : std::make_shared<const std::string>(text)) {}
  AscendString(const char_t *text, size_t length)
      : text_(text == nullptr ? nullptr : std::make_shared<const std::string>(text, length)) {}

  // Never null.
  const char_t *GetString() const { return text_ == nullptr ? "" : text_->c_str(); }
  size_t GetLength() const { return text_ == nullptr ? 0 : text_->size(); }
  size_t Find(const AscendString &part) const { return Text().find(part.Text()); }
  size_t Hash() const { return std::hash<std::string>()(Text()); }

  bool operator<(const AscendString &other) const { return Text() < other.Text(); }
  bool operator>(const AscendString &other) const { return other < *this; }
  bool operator<=(const AscendString &other) const { return !(other < *this); }
  bool operator>=(const AscendString &other) const { return !(*this < other); }
  bool operator==(const AscendString &other) const { return Text() == other.Text(); }
  bool operator!=(const AscendString &other) const { return !(*this == other); }
  bool operator==(const char_t *other) const { return other != nullptr && Text() == other; }
  bool operator!=(const char_t *other) const { return !(*this == other); }

 private:
  std::string Text() const { return text_ == nullptr ? std::string() : *text_; }
  std::shared_ptr<const std::string> text_;
};

}  // namespace ge

namespace std {
template <>
struct hash<ge::AscendString> {
  size_t operator()(const ge::AscendString &text) const { return text.Hash(); }
};
}  // namespace std

#endif  // OMSERVE_GE_GRAPH_ASCEND_STRING_H_
