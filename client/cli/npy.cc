#include "client/cli/npy.h"

#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "core/base/file.h"
#include "core/base/status.h"

namespace omserve::cli {
namespace {

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr size_t kHeaderAlignment = 64;

// NumPy's codes without the byte order. Reading them is unambiguous; bfloat16 is only ever written (as u2).
struct TypeCode {
  std::string_view code;
  DataType type;
};
constexpr TypeCode kTypeCodes[] = {
    {"f4", DataType::kFloat},    {"f8", DataType::kDouble}, {"f2", DataType::kFloat16},
    {"i1", DataType::kInt8},     {"i2", DataType::kInt16},  {"i4", DataType::kInt32},
    {"i8", DataType::kInt64},    {"u1", DataType::kUint8},  {"u2", DataType::kUint16},
    {"u4", DataType::kUint32},   {"u8", DataType::kUint64}, {"b1", DataType::kBool},
    {"u2", DataType::kBfloat16},
};

absl::StatusOr<DataType> TypeOfDescr(std::string_view descr) {
  const bool known_order =
      !descr.empty() && std::string_view("<>|=").find(descr.front()) != std::string_view::npos;
  const std::string_view code = known_order ? descr.substr(1) : descr;
  for (const TypeCode& known : kTypeCodes) {
    if (known.code != code) continue;
    if (known_order && descr.front() == '>' && SizeOf(known.type) > 1) {
      return absl::UnimplementedError(
          absl::StrCat("its numbers are big-endian; save it with .astype('<", std::string(code), "')"));
    }
    return known.type;
  }
  return absl::UnimplementedError(
      absl::StrCat("element type '", std::string(descr), "' is not one models have"));
}

// The header's text: a Python dictionary literal with the keys descr, fortran_order and shape.
class HeaderReader {
 public:
  explicit HeaderReader(std::string_view text) : text_(text) {}

  struct Header {
    std::string descr;
    bool fortran_order = false;
    Shape shape;
  };

  absl::StatusOr<Header> Read() {
    std::optional<std::string> descr;
    std::optional<bool> fortran_order;
    std::optional<Shape> shape;
    RETURN_IF_ERROR(Expect('{'));
    while (!Accept('}')) {
      ASSIGN_OR_RETURN(const std::string key, String());
      RETURN_IF_ERROR(Expect(':'));
      if (key == "descr") {
        ASSIGN_OR_RETURN(descr, String());
      } else if (key == "fortran_order") {
        ASSIGN_OR_RETURN(fortran_order, Bool());
      } else if (key == "shape") {
        ASSIGN_OR_RETURN(shape, Tuple());
      } else {
        return Damaged(absl::StrCat("unknown key '", key, "'"));
      }
      if (!Accept(',')) {
        RETURN_IF_ERROR(Expect('}'));
        break;
      }
    }
    SkipBlanks();
    if (!rest().empty()) return Damaged("text after the dictionary");
    if (!descr || !fortran_order || !shape) return Damaged("needs the keys descr, fortran_order and shape");
    return Header{*std::move(descr), *fortran_order, *std::move(shape)};
  }

 private:
  std::string_view rest() const { return text_.substr(at_); }

  void SkipBlanks() {
    while (at_ < text_.size() && absl::ascii_isspace(static_cast<unsigned char>(text_[at_]))) ++at_;
  }

  bool Accept(char c) {
    SkipBlanks();
    if (at_ >= text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }

  absl::Status Expect(char c) {
    if (Accept(c)) return absl::OkStatus();
    return Damaged(absl::StrCat("expected '", std::string(1, c), "'"));
  }

  absl::StatusOr<std::string> String() {
    SkipBlanks();
    if (at_ >= text_.size() || (text_[at_] != '\'' && text_[at_] != '"')) {
      // A list here is the descr of a structured type.
      return Damaged("expected a string (structured types are not supported)");
    }
    const size_t end = text_.find(text_[at_], at_ + 1);
    if (end == std::string_view::npos) return Damaged("a string does not end");
    std::string value(text_.substr(at_ + 1, end - at_ - 1));
    at_ = end + 1;
    return value;
  }

  absl::StatusOr<bool> Bool() {
    SkipBlanks();
    for (const auto& [word, value] : {std::pair(std::string_view("True"), true), {"False", false}}) {
      if (rest().substr(0, word.size()) != word) continue;
      at_ += word.size();
      return value;
    }
    return Damaged("expected True or False");
  }

  absl::StatusOr<Shape> Tuple() {
    Shape shape;
    RETURN_IF_ERROR(Expect('('));
    while (!Accept(')')) {
      if (shape.size() == kMaxRank) return Damaged(absl::StrCat("more than ", kMaxRank, " dimensions"));
      SkipBlanks();
      size_t digits = 0;
      while (absl::ascii_isdigit(static_cast<unsigned char>(digits < rest().size() ? rest()[digits] : ' ')))
        ++digits;
      int64_t dim = 0;
      if (digits == 0 || !absl::SimpleAtoi(std::string(rest().substr(0, digits)), &dim)) {
        return Damaged("expected a dimension");
      }
      at_ += digits;
      shape.push_back(dim);
      if (!Accept(',')) {
        RETURN_IF_ERROR(Expect(')'));
        break;
      }
    }
    return shape;
  }

  absl::Status Damaged(absl::string_view what) const {
    return absl::InvalidArgumentError(absl::StrCat("header, character ", at_, ": ", what));
  }

  const std::string_view text_;
  size_t at_ = 0;
};

uint32_t LittleEndian(std::string_view bytes) {
  uint32_t value = 0;
  for (size_t i = bytes.size(); i-- > 0;) value = value << 8 | static_cast<unsigned char>(bytes[i]);
  return value;
}

}  // namespace

absl::StatusOr<Tensor> ParseNpy(const Buffer& file) {
  const std::string_view bytes = file.view();
  constexpr size_t kVersionEnd = kMagic.size() + 2;
  if (bytes.substr(0, kMagic.size()) != kMagic || bytes.size() < kVersionEnd) {
    return absl::InvalidArgumentError("not an .npy file");
  }
  const int major = static_cast<unsigned char>(bytes[kMagic.size()]);
  if (major < 1 || major > 3) {
    return absl::UnimplementedError(absl::StrCat(".npy format version ", major, "; known are 1 to 3"));
  }
  const size_t length_size = major == 1 ? 2 : 4;
  if (bytes.size() < kVersionEnd + length_size) return absl::InvalidArgumentError("the header is cut off");
  const size_t header_begin = kVersionEnd + length_size;
  const size_t header_size = LittleEndian(bytes.substr(kVersionEnd, length_size));
  if (header_size > bytes.size() - header_begin) {
    return absl::InvalidArgumentError(absl::StrCat("a header of ", header_size,
                                                   " bytes is announced, the file has ",
                                                   bytes.size() - header_begin, " more"));
  }

  ASSIGN_OR_RETURN(const HeaderReader::Header header,
                   HeaderReader(bytes.substr(header_begin, header_size)).Read());
  TensorDesc desc{DataType::kUndefined, header.shape};
  ASSIGN_OR_RETURN(desc.type, TypeOfDescr(header.descr));
  if (header.fortran_order && header.shape.size() > 1) {
    return absl::UnimplementedError("it is in Fortran order; save it with numpy.ascontiguousarray");
  }
  ASSIGN_OR_RETURN(const size_t size, CheckedByteSize(desc));
  const size_t data_begin = header_begin + header_size;
  if (size != bytes.size() - data_begin) {
    return absl::InvalidArgumentError(
        absl::StrCat(ToString(desc), " takes ", size, " bytes, the file has ", bytes.size() - data_begin));
  }
  Buffer data = file.Slice(data_begin, size);
  // NumPy aligns the data; Tensor promises it.
  if (reinterpret_cast<uintptr_t>(data.data()) % SizeOf(desc.type) != 0)
    data = Buffer::CopyOf(data.data(), size);
  return Tensor::Create(std::move(desc), std::move(data));
}

absl::StatusOr<Tensor> ReadNpy(const std::string& path) {
  ASSIGN_OR_RETURN(std::shared_ptr<const MappedFile> file, MappedFile::Open(path));
  const size_t size = file->size();
  ASSIGN_OR_RETURN_WITH(Tensor tensor, ParseNpy(Buffer::OfFile(std::move(file), 0, size)), path);
  return tensor;
}

absl::StatusOr<std::string> NpyHeader(const TensorDesc& desc) {
  std::string_view code;
  for (const TypeCode& known : kTypeCodes) {
    if (known.type == desc.type) code = known.code;
  }
  if (code.empty()) {
    return absl::UnimplementedError(absl::StrCat(std::string(Name(desc.type)), " cannot be written as .npy"));
  }
  // Python writes a tuple of one element with a comma.
  std::string dict = absl::StrCat("{'descr': '", SizeOf(desc.type) == 1 ? "|" : "<", std::string(code),
                                  "', 'fortran_order': False, 'shape': (", absl::StrJoin(desc.shape, ", "),
                                  desc.shape.size() == 1 ? "," : "", "), }");
  const size_t fixed = kMagic.size() + 4;
  dict.append(kHeaderAlignment - (fixed + dict.size() + 1) % kHeaderAlignment, ' ');
  dict.push_back('\n');
  std::string header(kMagic);
  header.append({'\x01', '\x00', static_cast<char>(dict.size() & 0xff), static_cast<char>(dict.size() >> 8)});
  return header + dict;
}

absl::Status WriteNpy(const std::string& path, const Tensor& tensor) {
  ASSIGN_OR_RETURN_WITH(const std::string header, NpyHeader(tensor.desc()), path);
  ASSIGN_OR_RETURN(const std::unique_ptr<FileWriter> writer, FileWriter::Create(path));
  RETURN_IF_ERROR(writer->Append(header));
  RETURN_IF_ERROR(writer->Append(tensor.data(), tensor.byte_size()));
  return writer->Commit();
}

}  // namespace omserve::cli
