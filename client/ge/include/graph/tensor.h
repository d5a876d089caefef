// Shape, TensorDesc and Tensor.
#ifndef OMSERVE_GE_GRAPH_TENSOR_H_
#define OMSERVE_GE_GRAPH_TENSOR_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "graph/ascend_string.h"
#include "graph/types.h"

namespace ge {

class GE_FUNC_VISIBILITY Shape {
 public:
  Shape() = default;
  explicit Shape(const std::vector<int64_t> &dims) : dims_(dims) {}

  // 0 for a shape of unknown rank, {-2}; a scalar has no dimensions at all.
  size_t GetDimNum() const;
  graphStatus SetDim(size_t index, int64_t value);
  std::vector<int64_t> GetDims() const { return dims_; }
  int64_t GetDim(size_t index) const;  // 0 when there is no such dimension
  // Product of the dimensions: -1 when one is unknown; 0 for a scalar, an empty tensor and on overflow.
  int64_t GetShapeSize() const;

 private:
  std::vector<int64_t> dims_;
};

class GE_FUNC_VISIBILITY TensorDesc {
 public:
  TensorDesc() = default;
  explicit TensorDesc(Shape shape, Format format = FORMAT_ND, DataType type = DT_FLOAT);

  void Update(const Shape &shape, Format format = FORMAT_ND, DataType type = DT_FLOAT);
  Shape GetShape() const { return shape_; }
  void SetShape(const Shape &shape) { shape_ = shape; }
  graphStatus SetUnknownDimNumShape();
  graphStatus SetShapeRange(const std::vector<std::pair<int64_t, int64_t>> &range);
  graphStatus GetShapeRange(std::vector<std::pair<int64_t, int64_t>> &range) const;
  Format GetFormat() const { return format_; }
  void SetFormat(Format format) { format_ = format; }
  Shape GetOriginShape() const { return origin_shape_; }
  void SetOriginShape(const Shape &shape) { origin_shape_ = shape; }
  Format GetOriginFormat() const { return origin_format_; }
  void SetOriginFormat(Format format) { origin_format_ = format; }
  DataType GetDataType() const { return type_; }
  void SetDataType(DataType type) { type_ = type; }
  std::string GetName() const { return name_; }
  graphStatus GetName(AscendString &name) const;
  void SetName(const std::string &name) { name_ = name; }
  void SetName(const char_t *name) { name_ = name == nullptr ? "" : name; }
  int64_t GetSize() const { return size_; }
  void SetSize(int64_t size) { size_ = size; }
  int64_t GetRealDimCnt() const { return real_dim_count_; }
  void SetRealDimCnt(int64_t count) { real_dim_count_ = count; }
  Placement GetPlacement() const { return placement_; }
  void SetPlacement(Placement placement) { placement_ = placement; }
  void SetReuseInputIndex(uint32_t index) { reuse_input_index_ = index; }
  void SetExpandDimsRule(const AscendString &rule) { expand_dims_rule_ = rule; }
  graphStatus GetExpandDimsRule(AscendString &rule) const;
  // A value that the tensor is known to have.
  void SetConstData(std::unique_ptr<uint8_t[]> data, const size_t &size);
  bool GetConstData(uint8_t **data, size_t &size) const;

 private:
  Shape shape_;
  Format format_ = FORMAT_ND;
  Shape origin_shape_;
  Format origin_format_ = FORMAT_ND;
  DataType type_ = DT_FLOAT;
  std::string name_;
  int64_t size_ = 0;
  int64_t real_dim_count_ = 0;
  Placement placement_ = kPlacementHost;
  uint32_t reuse_input_index_ = 0;
  AscendString expand_dims_rule_;
  std::vector<std::pair<int64_t, int64_t>> range_;
  std::shared_ptr<std::vector<uint8_t>> const_data_;
};

// A description and bytes. Copies share the bytes; Clone does not. Not thread-safe while it changes.
class GE_FUNC_VISIBILITY Tensor {
 public:
  using DeleteFunc = std::function<void(uint8_t *)>;

  Tensor();
  explicit Tensor(const TensorDesc &desc);
  Tensor(const TensorDesc &desc, const std::vector<uint8_t> &data);
  Tensor(const TensorDesc &desc, const uint8_t *data, size_t size);
  Tensor(TensorDesc &&desc, std::vector<uint8_t> &&data);

  TensorDesc GetTensorDesc() const;
  graphStatus SetTensorDesc(const TensorDesc &desc);
  graphStatus SetShape(const Shape &shape);
  graphStatus SetFormat(const Format &format);
  graphStatus SetDataType(const DataType &type);
  graphStatus SetPlacement(const Placement &placement);
  Shape GetShape() const;
  Format GetFormat() const;
  DataType GetDataType() const;
  Placement GetPlacement() const;

  const uint8_t *GetData() const;
  uint8_t *GetData();
  size_t GetSize() const;
  // Gives the bytes away: a copy when others share them.
  std::unique_ptr<uint8_t[], DeleteFunc> ResetData();
  graphStatus ResetData(uint8_t *data, size_t size, const DeleteFunc &deleter);
  graphStatus SetData(std::vector<uint8_t> &&data);
  graphStatus SetData(const std::vector<uint8_t> &data);
  graphStatus SetData(const uint8_t *data, size_t size);
  // Takes `data` over; `deleter` frees it.
  graphStatus SetData(uint8_t *data, size_t size, const DeleteFunc &deleter);
  // Text, as tensors of DT_STRING hold it. The build service has no such tensors and refuses them by name.
  graphStatus SetData(const std::string &data);
  graphStatus SetData(const char_t *data);

  // GRAPH_FAILED when shape and type ask for another number of bytes.
  graphStatus IsValid();
  Tensor Clone() const;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace ge

#endif  // OMSERVE_GE_GRAPH_TENSOR_H_
