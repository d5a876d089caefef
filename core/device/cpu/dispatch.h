// Dispatch: from a DataType at run time to a C++ type at compile time.
//
//   Dispatch<float, int32_t, int64_t>(type, [&](auto tag) { using T = typename decltype(tag)::type; ... });
#ifndef OMSERVE_CORE_DEVICE_CPU_DISPATCH_H_
#define OMSERVE_CORE_DEVICE_CPU_DISPATCH_H_

#include <cstdint>
#include <type_traits>

#include "core/tensor/data_type.h"

namespace omserve::cpu {

// Calls visit(std::type_identity<T>) for the T in Types that `type` is; false if it is none of them.
template <typename... Types, typename Visit>
bool Dispatch(DataType type, Visit&& visit) {
  return ((DataTypeOf<Types>() == type ? (visit(std::type_identity<Types>{}), true) : false) || ...);
}

// The types arithmetic is done in.
template <typename Visit>
bool DispatchNumeric(DataType type, Visit&& visit) {
  return Dispatch<float, double, int8_t, int16_t, int32_t, int64_t, uint8_t>(type, visit);
}

template <typename Visit>
bool DispatchFloating(DataType type, Visit&& visit) {
  return Dispatch<float, double>(type, visit);
}

// An unsigned integer of the element's size, for operators that only move bytes. False for a type without size.
template <typename Visit>
bool DispatchSize(DataType type, Visit&& visit) {
  switch (SizeOf(type)) {
    case 1: visit(std::type_identity<uint8_t>{}); return true;
    case 2: visit(std::type_identity<uint16_t>{}); return true;
    case 4: visit(std::type_identity<uint32_t>{}); return true;
    case 8: visit(std::type_identity<uint64_t>{}); return true;
    default: return false;
  }
}

}  // namespace omserve::cpu

#endif  // OMSERVE_CORE_DEVICE_CPU_DISPATCH_H_
