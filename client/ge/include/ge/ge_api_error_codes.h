// Status values of the run-time interface, and their texts.
#ifndef OMSERVE_GE_GE_GE_API_ERROR_CODES_H_
#define OMSERVE_GE_GE_GE_API_ERROR_CODES_H_

#include <cstdint>
#include <map>
#include <string>

#include "ge/ge_error_codes.h"
#include "graph/ascend_string.h"
#include "graph/ge_error_codes.h"

namespace ge {

constexpr Status SUCCESS = 0U;
constexpr Status FAILED = 0xFFFFFFFFU;

// runtime(2)<<30 | type(2)<<28 | level(3)<<25 | system(8)<<17 | module(5)<<12 | value(12).
constexpr Status GE_CLI_INIT_FAILED = 1343229953U;
constexpr Status GE_CLI_FINAL_FAILED = 1343229954U;
constexpr Status GE_CLI_SESS_CONSTRUCT_FAILED = 1343229955U;
constexpr Status GE_CLI_SESS_DESTROY_FAILED = 1343229956U;
constexpr Status GE_CLI_SESS_ADD_FAILED = 1343229957U;
constexpr Status GE_CLI_SESS_REMOVE_FAILED = 1343229959U;
constexpr Status GE_CLI_SESS_RUN_FAILED = 1343229960U;
constexpr Status GE_CLI_GE_ALREADY_INITIALIZED = 1343229962U;
constexpr Status GE_CLI_GE_NOT_INITIALIZED = 1343229963U;
constexpr Status GE_SESS_INIT_FAILED = 1343238144U;
constexpr Status GE_SESS_ALREADY_RUNNING = 1343238145U;
constexpr Status GE_SESS_GRAPH_NOT_EXIST = 1343238146U;
constexpr Status GE_SESS_GRAPH_ALREADY_EXIST = 1343238147U;
constexpr Status GE_SESS_GRAPH_IS_RUNNING = 1343238148U;
constexpr Status GE_SESSION_NOT_EXIST = 1343238149U;
constexpr Status GE_SESSION_MANAGER_NOT_INIT = 1343238150U;
constexpr Status GE_GRAPH_INIT_FAILED = 1343242240U;
constexpr Status GE_GRAPH_GRAPH_NOT_EXIST = 1343242242U;
constexpr Status GE_GRAPH_GRAPH_ALREADY_EXIST = 1343242243U;
constexpr Status GE_GRAPH_GRAPH_IS_RUNNING = 1343242244U;
constexpr Status GE_GRAPH_RUN_FAILED = 1343242273U;
constexpr Status GE_GRAPH_NOT_BUILT = 1343242295U;
constexpr Status MEMALLOC_FAILED = 1343225856U;
constexpr Status END_OF_SEQUENCE = 1343225863U;
constexpr Status PATH_INVALID = 1343225864U;

// Texts of status values. Thread-safe.
class GE_FUNC_VISIBILITY StatusFactory {
 public:
  static StatusFactory *Instance();
  // The first text of a value stays.
  void RegisterErrorNo(uint32_t value, const std::string &text);
  void RegisterErrorNo(uint32_t value, const char_t *text) { RegisterErrorNo(value, std::string(text == nullptr ? "" : text)); }
  // "" for a value without a text.
  std::string GetErrDesc(uint32_t value);
  graphStatus GetErrDescV2(uint32_t value, AscendString &text);

 private:
  StatusFactory();
};

}  // namespace ge

#endif  // OMSERVE_GE_GE_GE_API_ERROR_CODES_H_
