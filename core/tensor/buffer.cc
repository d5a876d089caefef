#include "core/tensor/buffer.h"

#include <cstdlib>
#include <cstring>
#include <new>

#include "core/base/checked.h"

namespace omserve {

Buffer Buffer::Allocate(size_t size, std::byte** writable) {
  constexpr size_t kAlignment = 64;
  void* memory = std::aligned_alloc(kAlignment, AlignUp(size == 0 ? size_t{1} : size, kAlignment));
  if (memory == nullptr) throw std::bad_alloc();
  *writable = static_cast<std::byte*>(memory);
  return Buffer(std::shared_ptr<const void>(memory, std::free), *writable, size);
}

Buffer Buffer::CopyOf(const void* data, size_t size) {
  std::byte* writable = nullptr;
  Buffer buffer = Allocate(size, &writable);
  if (size > 0) std::memcpy(writable, data, size);
  return buffer;
}

Buffer Buffer::OfFile(std::shared_ptr<const MappedFile> file, size_t offset, size_t size) {
  const std::byte* data = file->data() + offset;
  return Buffer(std::move(file), data, size);
}

}  // namespace omserve
