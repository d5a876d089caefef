// Buffer: shared, immutable bytes with an owner. Copying a Buffer copies a reference, never the bytes.
#ifndef OMSERVE_CORE_TENSOR_BUFFER_H_
#define OMSERVE_CORE_TENSOR_BUFFER_H_

#include <cstddef>
#include <memory>
#include <string_view>
#include <utility>

#include "core/base/file.h"

namespace omserve {

// Thread-safe to read. Made from heap memory, a mapped file, or memory of another library kept alive by `owner`.
class Buffer {
 public:
  Buffer() = default;
  Buffer(std::shared_ptr<const void> owner, const std::byte* data, size_t size)
      : owner_(std::move(owner)), data_(data), size_(size) {}

  // Fresh heap memory, 64-byte aligned; `*writable` gets its address, to be filled before the Buffer is shared.
  static Buffer Allocate(size_t size, std::byte** writable);
  static Buffer CopyOf(const void* data, size_t size);
  // Bytes [offset, offset + size) of a mapped file; the caller has checked that they lie inside.
  static Buffer OfFile(std::shared_ptr<const MappedFile> file, size_t offset, size_t size);

  const std::byte* data() const { return data_; }
  size_t size() const { return size_; }
  std::string_view view() const { return {reinterpret_cast<const char*>(data_), size_}; }
  const std::shared_ptr<const void>& owner() const { return owner_; }

  // Bytes [offset, offset + size) of this buffer, sharing its owner; they must lie inside.
  Buffer Slice(size_t offset, size_t size) const { return Buffer(owner_, data_ + offset, size); }

 private:
  std::shared_ptr<const void> owner_;
  const std::byte* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace omserve

#endif  // OMSERVE_CORE_TENSOR_BUFFER_H_
