#include "client/cli/npy.h"

#include <cstdio>
#include <string>

#include "absl/strings/str_cat.h"
#include "core/base/file.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace omserve::cli {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

Buffer BufferOf(const std::string& bytes) { return Buffer::CopyOf(bytes.data(), bytes.size()); }

// A file as numpy writes it.
std::string Npy(const std::string& dict, const std::string& data, int major = 1) {
  std::string header = dict + "\n";
  std::string file = std::string("\x93NUMPY") + static_cast<char>(major) + '\0';
  const size_t length_size = major == 1 ? 2 : 4;
  for (size_t i = 0; i < length_size; ++i) file += static_cast<char>(header.size() >> (8 * i));
  return file + header + data;
}
std::string Dict(const std::string& descr, const std::string& shape, const std::string& fortran = "False") {
  return absl::StrCat("{'descr': '", descr, "', 'fortran_order': ", fortran, ", 'shape': ", shape, ", }");
}

absl::Status ErrorOf(const std::string& file) { return ParseNpy(BufferOf(file)).status(); }

TEST(NpyTest, ReadsAllVersions) {
  const float values[] = {1.5f, -2.0f};
  const std::string data(reinterpret_cast<const char*>(values), sizeof(values));
  for (int major : {1, 2, 3}) {
    const auto tensor = ParseNpy(BufferOf(Npy(Dict("<f4", "(1, 2)"), data, major)));
    ASSERT_TRUE(tensor.ok()) << tensor.status();
    EXPECT_EQ(tensor->desc(), (TensorDesc{DataType::kFloat, {1, 2}}));
    EXPECT_THAT(tensor->values<float>(), ElementsAre(1.5f, -2.0f));
  }
}

TEST(NpyTest, ReadsEveryType) {
  const std::pair<const char*, DataType> cases[] = {
      {"<f4", DataType::kFloat},  {"<f8", DataType::kDouble}, {"<f2", DataType::kFloat16},
      {"|i1", DataType::kInt8},   {"<i2", DataType::kInt16},  {"<i4", DataType::kInt32},
      {"<i8", DataType::kInt64},  {"|u1", DataType::kUint8},  {"<u2", DataType::kUint16},
      {"<u4", DataType::kUint32}, {"<u8", DataType::kUint64}, {"|b1", DataType::kBool}};
  for (const auto& [descr, type] : cases) {
    const auto tensor = ParseNpy(BufferOf(Npy(Dict(descr, "(3,)"), std::string(3 * SizeOf(type), '\1'))));
    ASSERT_TRUE(tensor.ok()) << descr << ": " << tensor.status();
    EXPECT_EQ(tensor->type(), type);
  }
}

TEST(NpyTest, ScalarsAndEmptyArrays) {
  const auto scalar = ParseNpy(BufferOf(Npy(Dict("<i8", "()"), std::string(8, '\0'))));
  ASSERT_TRUE(scalar.ok()) << scalar.status();
  EXPECT_TRUE(scalar->shape().empty());
  const auto empty = ParseNpy(BufferOf(Npy(Dict("<f4", "(1, 4, 0, 8)"), "")));
  ASSERT_TRUE(empty.ok()) << empty.status();
  EXPECT_EQ(empty->byte_size(), 0u);
}

TEST(NpyTest, OrderOfOneDimensionDoesNotMatter) {
  EXPECT_TRUE(ErrorOf(Npy(Dict("<f4", "(1,)", "True"), "1234")).ok());
}

TEST(NpyTest, UnsupportedFormsAreNamed) {
  const std::pair<std::string, const char*> cases[] = {
      {Npy(Dict("<f4", "(2, 2)", "True"), std::string(16, 'x')), "Fortran order"},
      {Npy(Dict(">f4", "(1,)"), "1234"), "big-endian"},
      {Npy(Dict("|O", "(1,)"), "12345678"), "'|O'"},
      {Npy(Dict("<c8", "(1,)"), "12345678"), "'<c8'"},
      {Npy(Dict("<f4", "(1,)"), "1234", 4), "version 4"},
  };
  for (const auto& [file, message] : cases) {
    EXPECT_EQ(ErrorOf(file).code(), absl::StatusCode::kUnimplemented) << message;
    EXPECT_THAT(std::string(ErrorOf(file).message()), HasSubstr(message));
  }
}

TEST(NpyTest, DamagedFilesAreRefused) {
  const std::string good = Npy(Dict("<f4", "(2,)"), "12345678");
  ASSERT_TRUE(ErrorOf(good).ok());
  for (size_t size = 0; size < good.size(); ++size) {
    EXPECT_EQ(ErrorOf(good.substr(0, size)).code(), absl::StatusCode::kInvalidArgument) << size;
  }
  const std::string bad[] = {
      good + "x",
      Npy("{'descr': '<f4'}", ""),
      Npy("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': ()}", "1234"),
      Npy("{'descr': '<f4', 'fortran_order': 0, 'shape': ()}", "1234"),
      Npy("{'descr': '<f4', 'fortran_order': False, 'shape': 3}", "1234"),
      Npy(Dict("<f4", "(-1,)"), "1234"),
      Npy(Dict("<f4", "(99999999999999999999,)"), "1234"),
      Npy(Dict("<f4", "(4611686018427387904, 4)"), "1234"),
      Npy(Dict("<f4", "(1, 1, 1, 1, 1, 1, 1, 1, 1)"), "1234"),
      Npy(Dict("<f4", "(1 1)"), "1234"),
      Npy("{'evil': '<f4', 'fortran_order': False, 'shape': ()}", "1234"),
      Npy(Dict("<f4", "()") + "extra", "1234"),
  };
  for (const std::string& file : bad) {
    EXPECT_EQ(ErrorOf(file).code(), absl::StatusCode::kInvalidArgument) << file.substr(10, 70);
  }
}

TEST(NpyTest, EveryFlippedBitOfTheHeaderEndsWithAnAnswer) {
  const std::string good = Npy(Dict("<f4", "(2,)"), "12345678");
  for (size_t i = 0; i < good.size(); ++i) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string flipped = good;
      flipped[i] ^= static_cast<char>(1 << bit);
      ErrorOf(flipped).IgnoreError();
    }
  }
}

TEST(NpyTest, HeaderIsAsNumpyWritesIt) {
  const auto header = NpyHeader({DataType::kFloat, {3, 4}});
  ASSERT_TRUE(header.ok());
  EXPECT_EQ(header->size() % 64, 0u);
  EXPECT_EQ(header->substr(0, 8), std::string("\x93NUMPY\x01\x00", 8));
  EXPECT_EQ(header->substr(10, 59), "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }");
  EXPECT_EQ(header->back(), '\n');
}

TEST(NpyTest, WrittenFilesReadBack) {
  const std::string path = testing::TempDir() + "/omserve_npy_test.npy";
  for (const Shape& shape : {Shape{}, Shape{6}, Shape{2, 3}, Shape{2, 0}}) {
    const Tensor tensor =
        Tensor::Of<int64_t>(shape, std::vector<int64_t>(static_cast<size_t>(NumElements(shape)), -7));
    ASSERT_TRUE(WriteNpy(path, tensor).ok());
    const auto read = ReadNpy(path);
    ASSERT_TRUE(read.ok()) << read.status();
    EXPECT_EQ(read->desc(), tensor.desc());
    EXPECT_EQ(read->buffer().view(), tensor.buffer().view());
  }
  std::remove(path.c_str());
}

TEST(NpyTest, Bfloat16IsWrittenAsItsBits) {
  std::byte* writable = nullptr;
  const Tensor tensor = Tensor::Allocate({DataType::kBfloat16, {1}}, &writable);
  const auto header = NpyHeader(tensor.desc());
  ASSERT_TRUE(header.ok());
  EXPECT_THAT(*header, HasSubstr("'<u2'"));
}

TEST(NpyTest, MissingFileIsNamed) {
  const auto tensor = ReadNpy("/nowhere/x.npy");
  EXPECT_EQ(tensor.status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(tensor.status().message()), HasSubstr("/nowhere/x.npy"));
}

}  // namespace
}  // namespace omserve::cli
