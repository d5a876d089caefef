#include "graph/tensor.h"

#include <algorithm>
#include <cstring>
#include <limits>

namespace ge {

size_t Shape::GetDimNum() const { return dims_ == std::vector<int64_t>{UNKNOWN_DIM_NUM} ? 0 : dims_.size(); }

graphStatus Shape::SetDim(size_t index, int64_t value) {
  if (index >= dims_.size()) return GRAPH_FAILED;
  dims_[index] = value;
  return GRAPH_SUCCESS;
}

int64_t Shape::GetDim(size_t index) const { return index < dims_.size() ? dims_[index] : 0; }

int64_t Shape::GetShapeSize() const {
  if (dims_.empty()) return 0;
  int64_t size = 1;
  for (int64_t dim : dims_) {
    if (dim < 0) return -1;
    if (__builtin_mul_overflow(size, dim, &size)) return 0;
  }
  return size;
}

TensorDesc::TensorDesc(Shape shape, Format format, DataType type) { Update(shape, format, type); }

void TensorDesc::Update(const Shape& shape, Format format, DataType type) {
  shape_ = shape;
  format_ = format;
  type_ = type;
}

graphStatus TensorDesc::SetUnknownDimNumShape() {
  shape_ = Shape({UNKNOWN_DIM_NUM});
  return GRAPH_SUCCESS;
}

graphStatus TensorDesc::SetShapeRange(const std::vector<std::pair<int64_t, int64_t>>& range) {
  range_ = range;
  return GRAPH_SUCCESS;
}

graphStatus TensorDesc::GetShapeRange(std::vector<std::pair<int64_t, int64_t>>& range) const {
  range = range_;
  return GRAPH_SUCCESS;
}

graphStatus TensorDesc::GetName(AscendString& name) const {
  name = AscendString(name_.data(), name_.size());
  return GRAPH_SUCCESS;
}

graphStatus TensorDesc::GetExpandDimsRule(AscendString& rule) const {
  rule = expand_dims_rule_;
  return GRAPH_SUCCESS;
}

void TensorDesc::SetConstData(std::unique_ptr<uint8_t[]> data, const size_t& size) {
  const_data_ = data == nullptr ? nullptr : std::make_shared<std::vector<uint8_t>>(data.get(), data.get() + size);
}

bool TensorDesc::GetConstData(uint8_t** data, size_t& size) const {
  if (const_data_ == nullptr || data == nullptr) return false;
  *data = const_data_->data();
  size = const_data_->size();
  return true;
}

struct Tensor::Impl {
  TensorDesc desc;
  std::unique_ptr<uint8_t[], DeleteFunc> data{nullptr, [](uint8_t* bytes) { delete[] bytes; }};
  size_t size = 0;
};

Tensor::Tensor() : impl_(std::make_shared<Impl>()) {}
Tensor::Tensor(const TensorDesc& desc) : Tensor() { impl_->desc = desc; }
Tensor::Tensor(const TensorDesc& desc, const std::vector<uint8_t>& data) : Tensor(desc) { (void)SetData(data); }
Tensor::Tensor(const TensorDesc& desc, const uint8_t* data, size_t size) : Tensor(desc) { (void)SetData(data, size); }
Tensor::Tensor(TensorDesc&& desc, std::vector<uint8_t>&& data) : Tensor(desc) { (void)SetData(data); }

TensorDesc Tensor::GetTensorDesc() const { return impl_->desc; }

graphStatus Tensor::SetTensorDesc(const TensorDesc& desc) {
  impl_->desc = desc;
  return GRAPH_SUCCESS;
}

graphStatus Tensor::SetShape(const Shape& shape) {
  impl_->desc.SetShape(shape);
  return GRAPH_SUCCESS;
}

graphStatus Tensor::SetFormat(const Format& format) {
  impl_->desc.SetFormat(format);
  return GRAPH_SUCCESS;
}

graphStatus Tensor::SetDataType(const DataType& type) {
  impl_->desc.SetDataType(type);
  return GRAPH_SUCCESS;
}

graphStatus Tensor::SetPlacement(const Placement& placement) {
  impl_->desc.SetPlacement(placement);
  return GRAPH_SUCCESS;
}

Shape Tensor::GetShape() const { return impl_->desc.GetShape(); }
Format Tensor::GetFormat() const { return impl_->desc.GetFormat(); }
DataType Tensor::GetDataType() const { return impl_->desc.GetDataType(); }
Placement Tensor::GetPlacement() const { return impl_->desc.GetPlacement(); }
const uint8_t* Tensor::GetData() const { return impl_->data.get(); }
uint8_t* Tensor::GetData() { return impl_->data.get(); }
size_t Tensor::GetSize() const { return impl_->size; }

std::unique_ptr<uint8_t[], Tensor::DeleteFunc> Tensor::ResetData() {
  if (impl_.use_count() > 1) impl_ = Clone().impl_;
  impl_->size = 0;
  return std::move(impl_->data);
}

graphStatus Tensor::ResetData(uint8_t* data, size_t size, const DeleteFunc& deleter) {
  return SetData(data, size, deleter);
}

graphStatus Tensor::SetData(std::vector<uint8_t>&& data) { return SetData(data.data(), data.size()); }
graphStatus Tensor::SetData(const std::vector<uint8_t>& data) { return SetData(data.data(), data.size()); }

graphStatus Tensor::SetData(const uint8_t* data, size_t size) {
  if (data == nullptr && size != 0) return GRAPH_FAILED;
  auto* bytes = new uint8_t[std::max<size_t>(size, 1)];
  if (size != 0) std::memcpy(bytes, data, size);
  return SetData(bytes, size, [](uint8_t* old) { delete[] old; });
}

graphStatus Tensor::SetData(uint8_t* data, size_t size, const DeleteFunc& deleter) {
  if ((data == nullptr && size != 0) || deleter == nullptr) return GRAPH_FAILED;
  impl_->data = std::unique_ptr<uint8_t[], DeleteFunc>(data, deleter);
  impl_->size = size;
  return GRAPH_SUCCESS;
}

graphStatus Tensor::SetData(const std::string& data) {
  return SetData(reinterpret_cast<const uint8_t*>(data.data()), data.size());
}

graphStatus Tensor::SetData(const char_t* data) { return data == nullptr ? GRAPH_FAILED : SetData(std::string(data)); }

graphStatus Tensor::IsValid() {
  const Shape shape = impl_->desc.GetShape();
  const int64_t count = shape.GetDims().empty() ? 1 : shape.GetShapeSize();
  const int64_t bytes = GetSizeInBytes(count, impl_->desc.GetDataType());
  // What has no fixed size fits any number of bytes.
  if (count < 0 || bytes < 0) return GRAPH_SUCCESS;
  return static_cast<size_t>(bytes) == impl_->size ? GRAPH_SUCCESS : GRAPH_FAILED;
}

Tensor Tensor::Clone() const {
  Tensor clone(impl_->desc);
  if (impl_->data != nullptr) (void)clone.SetData(impl_->data.get(), impl_->size);
  return clone;
}

int GetSizeByDataType(DataType type) {
  switch (type) {
    case DT_INT8:
    case DT_UINT8:
    case DT_BOOL:
    case DT_QINT8:
    case DT_QUINT8:
    case DT_DUAL_SUB_INT8:
    case DT_DUAL_SUB_UINT8:
    case DT_HIFLOAT8:
    case DT_FLOAT8_E5M2:
    case DT_FLOAT8_E4M3FN:
    case DT_FLOAT8_E8M0:
      return 1;
    case DT_FLOAT16:
    case DT_BF16:
    case DT_INT16:
    case DT_UINT16:
    case DT_QINT16:
    case DT_QUINT16:
      return 2;
    case DT_FLOAT:
    case DT_INT32:
    case DT_UINT32:
    case DT_QINT32:
    case DT_COMPLEX32:
      return 4;
    case DT_DUAL:
      return 5;
    case DT_INT64:
    case DT_UINT64:
    case DT_DOUBLE:
    case DT_COMPLEX64:
    case DT_RESOURCE:
    case DT_VARIANT:
      return 8;
    case DT_COMPLEX128:
      return 16;
    case DT_UINT1:
      return 1001;
    case DT_INT2:
    case DT_UINT2:
      return 1002;
    case DT_INT4:
    case DT_FLOAT4_E2M1:
    case DT_FLOAT4_E1M2:
      return 1004;
    case DT_FLOAT6_E3M2:
    case DT_FLOAT6_E2M3:
      return 1006;
    default:
      return -1;
  }
}

int64_t GetSizeInBytes(int64_t count, DataType type) {
  const int64_t size = GetSizeByDataType(type);
  if (count < 0 || size < 0) return -1;
  int64_t product = 0;
  if (__builtin_mul_overflow(count, size > 1000 ? size - 1000 : size, &product)) return -1;
  return size > 1000 ? (product + 7) / 8 : product;
}

}  // namespace ge
