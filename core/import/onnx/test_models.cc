#include "core/import/onnx/test_models.h"

#include <cstring>
#include <type_traits>

#include "absl/strings/str_cat.h"
#include "core/base/file.h"

namespace omserve {
namespace {

void SetValueInfo(const std::string& name, DataType type, const Shape& shape, onnx::ValueInfoProto* info) {
  info->set_name(name);
  onnx::TypeProto::Tensor* tensor = info->mutable_type()->mutable_tensor_type();
  tensor->set_elem_type(ToOnnxNumber(type));
  tensor->mutable_shape();
  for (size_t i = 0; i < shape.size(); ++i) {
    onnx::TensorShapeProto::Dimension* dim = tensor->mutable_shape()->add_dim();
    if (shape[i] == kUnknownDim) {
      dim->set_dim_param(absl::StrCat(name, "_", i));
    } else {
      dim->set_dim_value(shape[i]);
    }
  }
}

template <typename T>
T ElementAt(const Tensor& tensor, int64_t i) {
  T element;
  std::memcpy(&element, tensor.data() + static_cast<size_t>(i) * sizeof(T), sizeof(T));
  return element;
}

void SetTyped(const Tensor& value, onnx::TensorProto* proto) {
  for (int64_t i = 0; i < value.num_elements(); ++i) {
    switch (value.type()) {
      case DataType::kFloat: proto->add_float_data(ElementAt<float>(value, i)); break;
      case DataType::kDouble: proto->add_double_data(ElementAt<double>(value, i)); break;
      case DataType::kInt64: proto->add_int64_data(ElementAt<int64_t>(value, i)); break;
      case DataType::kUint64: proto->add_uint64_data(ElementAt<uint64_t>(value, i)); break;
      case DataType::kUint32: proto->add_uint64_data(ElementAt<uint32_t>(value, i)); break;
      case DataType::kInt32: proto->add_int32_data(ElementAt<int32_t>(value, i)); break;
      case DataType::kInt16: proto->add_int32_data(ElementAt<int16_t>(value, i)); break;
      case DataType::kInt8: proto->add_int32_data(ElementAt<int8_t>(value, i)); break;
      case DataType::kUint8:
      case DataType::kBool: proto->add_int32_data(ElementAt<uint8_t>(value, i)); break;
      default: proto->add_int32_data(ElementAt<uint16_t>(value, i)); break;  // uint16 and the 16-bit floats
    }
  }
}

void SetTensor(const std::string& name, const Tensor& value, OnnxStorage storage, onnx::TensorProto* proto) {
  if (!name.empty()) proto->set_name(name);
  proto->set_data_type(ToOnnxNumber(value.type()));
  for (int64_t dim : value.shape()) proto->add_dims(dim);
  if (storage == OnnxStorage::kTyped) {
    SetTyped(value, proto);
  } else {
    proto->set_raw_data(value.data(), value.byte_size());
  }
}

void SetAttr(const OnnxAttr& value, onnx::AttributeProto* attribute) {
  std::visit(
      [&](const auto& v) {
        using T = std::decay_t<decltype(v)>;
        if constexpr (std::is_same_v<T, int64_t>) {
          attribute->set_type(onnx::AttributeProto::INT);
          attribute->set_i(v);
        } else if constexpr (std::is_same_v<T, float>) {
          attribute->set_type(onnx::AttributeProto::FLOAT);
          attribute->set_f(v);
        } else if constexpr (std::is_same_v<T, std::string>) {
          attribute->set_type(onnx::AttributeProto::STRING);
          attribute->set_s(v);
        } else if constexpr (std::is_same_v<T, std::vector<int64_t>>) {
          attribute->set_type(onnx::AttributeProto::INTS);
          for (int64_t element : v) attribute->add_ints(element);
        } else if constexpr (std::is_same_v<T, std::vector<float>>) {
          attribute->set_type(onnx::AttributeProto::FLOATS);
          for (float element : v) attribute->add_floats(element);
        } else if constexpr (std::is_same_v<T, std::vector<std::string>>) {
          attribute->set_type(onnx::AttributeProto::STRINGS);
          for (const std::string& element : v) attribute->add_strings(element);
        } else {
          attribute->set_type(onnx::AttributeProto::TENSOR);
          SetTensor("", v, OnnxStorage::kRaw, attribute->mutable_t());
        }
      },
      value);
}

}  // namespace

OnnxModelBuilder::OnnxModelBuilder(int opset, int ir_version) {
  model_.set_ir_version(ir_version);
  model_.add_opset_import()->set_version(opset);
  model_.mutable_graph()->set_name("test");
}

void OnnxModelBuilder::AddInput(const std::string& name, DataType type, const Shape& shape) {
  SetValueInfo(name, type, shape, model_.mutable_graph()->add_input());
}

void OnnxModelBuilder::AddInit(const std::string& name, const Tensor& value, OnnxStorage storage) {
  SetTensor(name, value, storage, model_.mutable_graph()->add_initializer());
}

void OnnxModelBuilder::AddExternalInit(const std::string& name, const TensorDesc& desc, const std::string& location,
                                       int64_t offset, int64_t length) {
  onnx::TensorProto* proto = model_.mutable_graph()->add_initializer();
  proto->set_name(name);
  proto->set_data_type(ToOnnxNumber(desc.type));
  for (int64_t dim : desc.shape) proto->add_dims(dim);
  proto->set_data_location(onnx::TensorProto::EXTERNAL);
  auto add = [&](const std::string& key, const std::string& value) {
    onnx::StringStringEntryProto* entry = proto->add_external_data();
    entry->set_key(key);
    entry->set_value(value);
  };
  add("location", location);
  add("offset", absl::StrCat(offset));
  if (length >= 0) add("length", absl::StrCat(length));
}

onnx::NodeProto* OnnxModelBuilder::AddNode(const std::string& op_type, const std::vector<std::string>& inputs,
                                           const std::vector<std::string>& outputs, const OnnxAttrs& attrs,
                                           const std::string& name) {
  onnx::NodeProto* node = model_.mutable_graph()->add_node();
  node->set_op_type(op_type);
  if (!name.empty()) node->set_name(name);
  for (const std::string& input : inputs) node->add_input(input);
  for (const std::string& output : outputs) node->add_output(output);
  for (const auto& [key, value] : attrs) {
    onnx::AttributeProto* attribute = node->add_attribute();
    attribute->set_name(key);
    SetAttr(value, attribute);
  }
  return node;
}

void OnnxModelBuilder::AddOutput(const std::string& name, DataType type, const Shape& shape) {
  onnx::ValueInfoProto* info = model_.mutable_graph()->add_output();
  // Without a shape nothing is said of the value: an importer takes what is said for a hint.
  if (shape.empty()) {
    info->set_name(name);
    info->mutable_type()->mutable_tensor_type()->set_elem_type(ToOnnxNumber(type));
  } else {
    SetValueInfo(name, type, shape, info);
  }
}

Buffer OnnxModelBuilder::ToBuffer() const {
  const std::string bytes = Serialize();
  return Buffer::CopyOf(bytes.data(), bytes.size());
}

absl::Status OnnxModelBuilder::WriteTo(const std::string& path) const { return WriteFileAtomically(path, Serialize()); }

}  // namespace omserve
