// Names with a meaning in GE IR that both directions of the conversion use.
#ifndef OMSERVE_CORE_OM_GE_IR_NAMES_H_
#define OMSERVE_CORE_OM_GE_IR_NAMES_H_

namespace omserve {

inline constexpr char kDataType[] = "Data";
inline constexpr char kConstType[] = "Const";
inline constexpr char kOlderConstType[] = "Constant";
inline constexpr char kFileConstantType[] = "FileConstant";  // its bytes lie in a file beside
inline constexpr char kNetOutputType[] = "NetOutput";
inline constexpr char kNetOutputName[] = "Node_Output";
inline constexpr char kIndexAttr[] = "index";  // of a Data: its position among the inputs
inline constexpr char kValueAttr[] = "value";  // of a Const
// Of the graph, our own: the names of its outputs, which GE IR does not keep.
inline constexpr char kOutputNamesAttr[] = "_omserve_output_names";

}  // namespace omserve

#endif  // OMSERVE_CORE_OM_GE_IR_NAMES_H_
