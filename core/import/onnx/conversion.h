// Conversion: one ONNX node on its way into the graph, as its converter sees it.
//
//   absl::Status ConvertLeakyRelu(Conversion& c) {
//     c.SetOutput(0, c.Node("LeakyRelu", {c.input(0)}, {{"negative_slope", c.Float("alpha", 0.01f)}}, c.info(0)));
//     return absl::OkStatus();
//   }
//
// Accessors of inputs and attributes do not return a status: the first error is kept, a harmless value returned, and
// the importer reports the error after the converter has run. The importer also refuses attributes that no converter
// asked for and outputs that are used but were not set, so that nothing is ignored silently.
#ifndef OMSERVE_CORE_IMPORT_ONNX_CONVERSION_H_
#define OMSERVE_CORE_IMPORT_ONNX_CONVERSION_H_

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/types/span.h"
#include "core/graph/graph.h"
#include "core/import/onnx/weights.h"
#include "protos/onnx/onnx.pb.h"

namespace omserve {

// What the importer knows of a value, which is less than shape inference will: converters pass on what is plain. Only
// ranks, no dimensions: those of the inputs may still be changed when shapes are fixed.
struct ValueInfo {
  DataType type = DataType::kUndefined;
  int rank = -1;  // -1 while unknown

  ValueInfo As(DataType new_type) const { return {new_type, rank}; }
  ValueInfo OfRank(int new_rank) const { return {type, new_rank}; }
};

// Numpy broadcasting of both; the type of `a`, or of `b` where a's is unknown.
ValueInfo BroadcastInfo(const ValueInfo& a, const ValueInfo& b);

bool IsInteger(DataType type);
bool IsFloatingPoint(DataType type);

// Known facts by value.
using ValueInfos = absl::flat_hash_map<ValueId, ValueInfo>;

class Conversion {
 public:
  // `inputs`: the graph's values for the node's inputs (invalid where absent). `used_outputs[i]`: somebody reads
  // output i. `name`: the node's name, never empty. All outlive the conversion.
  Conversion(const onnx::NodeProto& proto, const std::string& name, int opset, const char* target,
             std::vector<ValueId> inputs, std::vector<bool> used_outputs, Graph* graph, ValueInfos* infos,
             WeightLoader* weights)
      : proto_(proto), name_(name), opset_(opset), target_(target), inputs_(std::move(inputs)),
        used_outputs_(std::move(used_outputs)), outputs_(used_outputs_.size()), graph_(*graph), infos_(*infos),
        weights_(*weights) {}
  Conversion(const Conversion&) = delete;
  Conversion& operator=(const Conversion&) = delete;

  const std::string& name() const { return name_; }
  const std::string& op_type() const { return proto_.op_type(); }
  int opset() const { return opset_; }
  // The Ascend type that the table of converters gives, for converters that serve several operators.
  const char* target() const { return target_; }

  // -- Inputs --
  int num_inputs() const { return static_cast<int>(inputs_.size()); }
  bool has_input(int i) const { return i < num_inputs() && inputs_[i].valid(); }
  // Error when absent.
  ValueId input(int i);
  // Invalid when absent.
  ValueId optional_input(int i) const { return has_input(i) ? inputs_[i] : ValueId{}; }
  // All inputs; error when one is absent.
  std::vector<ValueId> inputs();

  ValueInfo info(ValueId value) const;
  ValueInfo info(int input) const { return info(optional_input(input)); }
  DataType type(int input) const { return info(input).type; }
  // The rank, or -1 while unknown.
  int rank(int input) const { return info(input).rank; }
  // The value of a constant; null for what is not (yet) constant, and for absent inputs.
  const TensorSlice* constant(ValueId value) const { return graph_.ConstantOf(value); }
  // The elements of a constant of type int32 or int64 that is short enough for a parameter.
  std::optional<std::vector<int64_t>> ConstantInts(ValueId value) const;
  std::optional<std::vector<int64_t>> ConstantInts(int input) const { return ConstantInts(optional_input(input)); }
  // As ConstantInts, for float32 and float64.
  std::optional<std::vector<double>> ConstantFloats(ValueId value) const;
  // The value of a constant bool scalar input, `fallback` when absent; error when not constant.
  bool ConstantBool(int input, bool fallback);

  // -- Attributes; an error when present with another type --
  bool HasAttr(const std::string& name);
  int64_t Int(const std::string& name, int64_t fallback);
  // As Int for an axis; error outside [-kMaxRank, kMaxRank], so that arithmetic on it cannot overflow.
  int64_t Axis(const std::string& name, int64_t fallback);
  float Float(const std::string& name, float fallback);
  std::string String(const std::string& name, const std::string& fallback);
  std::vector<int64_t> Ints(const std::string& name, std::vector<int64_t> fallback = {});
  std::vector<float> Floats(const std::string& name);
  std::optional<Tensor> TensorAttr(const std::string& name);
  // For attributes that change nothing at inference.
  void Ignore(const std::string& name) { read_.insert(name); }
  // Error UNIMPLEMENTED unless the attribute is absent or has this value.
  void RequireInt(const std::string& name, int64_t value);
  void RequireString(const std::string& name, const std::string& value);

  // -- Outputs --
  int num_outputs() const { return static_cast<int>(outputs_.size()); }
  bool uses_output(int i) const { return i < num_outputs() && used_outputs_[i]; }
  void SetOutput(int i, ValueId value);

  // -- Building --
  // The node that stands for the ONNX node and carries its name.
  ValueId Node(const std::string& type, std::vector<ValueId> inputs, AttrMap attrs = {}, ValueInfo info = {},
               int outputs = 1);
  // The same for a constant.
  ValueId NodeConst(TensorSlice value);
  // A node beside it, named <node>_<type>.
  ValueId Helper(const std::string& type, std::vector<ValueId> inputs, AttrMap attrs = {}, ValueInfo info = {},
                 int outputs = 1);
  void SetInfo(ValueId value, ValueInfo info) { infos_[value] = std::move(info); }

  // Constants beside it, named <node>_<role>.
  ValueId Const(const std::string& role, TensorSlice value);
  ValueId Ints64(const std::string& role, const std::vector<int64_t>& values);
  ValueId Int64(const std::string& role, int64_t value);
  ValueId Int32(const std::string& role, int32_t value);
  // A scalar of the given type; float32 when that is unknown. Error when the value does not fit or the type is no
  // number.
  ValueId Scalar(const std::string& role, double value, DataType type);

  // Often needed pieces.
  // Casts when the type differs from what is known of the value.
  ValueId Cast(ValueId value, DataType type);
  // The dimensions of a value as int64[rank]: a constant for constants, a Shape otherwise.
  ValueId ShapeOf(ValueId value);
  // Elements [begin, end) of a vector.
  ValueId SliceVector(ValueId vector, int64_t begin, int64_t end);
  // The rank of a value as an int64 scalar: a constant when it is known.
  ValueId RankOf(ValueId value);
  // A vector of integers from two: "Add", "Sub", "Mul", "TruncateDiv", "Maximum". A list in braces, because its
  // elements are made in their order; arguments would be made in an order that compilers choose.
  ValueId VectorMath(const std::string& type, std::vector<ValueId> operands);
  ValueId ConcatVectors(std::vector<ValueId> vectors);
  ValueId Unsqueeze(ValueId value, std::vector<int64_t> axes);
  ValueId Squeeze(ValueId value, std::vector<int64_t> axes);

  // -- Errors --
  // Keeps the first error.
  void Fail(absl::Status status) { status_.Update(status); }
  absl::Status Unsupported(absl::string_view what) const { return absl::UnimplementedError(what); }

  // -- For the importer --
  const absl::Status& status() const { return status_; }
  const std::vector<ValueId>& outputs() const { return outputs_; }
  bool WasRead(const std::string& attribute) const { return read_.count(attribute) > 0; }

 private:
  const onnx::AttributeProto* Find(const std::string& name, onnx::AttributeProto::AttributeType type);
  ValueId AddNode(const std::string& type, const std::string& name, std::vector<ValueId> inputs, AttrMap attrs,
                  ValueInfo info, int outputs);
  ValueId AddConst(const std::string& name, TensorSlice value);

  const onnx::NodeProto& proto_;
  const std::string& name_;
  const int opset_;
  const char* const target_;
  const std::vector<ValueId> inputs_;
  const std::vector<bool> used_outputs_;
  std::vector<ValueId> outputs_;
  Graph& graph_;
  ValueInfos& infos_;
  WeightLoader& weights_;
  std::set<std::string> read_;
  absl::Status status_;
};

}  // namespace omserve

#endif  // OMSERVE_CORE_IMPORT_ONNX_CONVERSION_H_
