// Keys of options, and the plain types of the run-time interface. Values of options are always text.
#ifndef OMSERVE_GE_GE_GE_API_TYPES_H_
#define OMSERVE_GE_GE_GE_API_TYPES_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "graph/ascend_string.h"
#include "graph/tensor.h"
#include "graph/types.h"

namespace ge {

static const char *const OPTION_HOST_ENV_OS = "ge.host_env_os";
static const char *const OPTION_HOST_ENV_CPU = "ge.host_env_cpu";
static const char *const OPTION_SCREEN_PRINT_MODE = "ge.screen_print_mode";
static const char *const OPTION_GRAPH_RUN_MODE = "ge.graphRunMode";
static const char *const OPTION_EXEC_DEVICE_ID = "ge.exec.deviceId";
static const char *const OPTION_EXEC_SESSION_ID = "ge.exec.sessionId";
static const char *const OPTION_SESSION_DEVICE_ID = "ge.session_device_id";
static const char *const OPTION_EXEC_RANK_TABLE_FILE = "ge.exec.rankTableFile";
static const char *const OPTION_EXEC_RANK_ID = "ge.exec.rankId";
static const char *const OPTION_EXEC_LOGICAL_DEVICE_CLUSTER_DEPLOY_MODE = "ge.exec.logicalDeviceClusterDeployMode";
static const char *const OPTION_EXEC_LOGICAL_DEVICE_ID = "ge.exec.logicalDeviceId";
static const char *const OPTION_EXEC_MODEL_DEPLOY_MODE = "ge.exec.modelDeployMode";
static const char *const OPTION_EXEC_MODEL_DEPLOY_DEVICELIST = "ge.exec.modelDeployDevicelist";
static const char *const OPTION_HCCL_COMPILER_OFFLINE = "ge.offline_hccl_compile";
static const char *const OPTION_CONST_LIFECYCLE = "ge.constLifecycle";
static const char *const OPTION_NUMA_CONFIG = "ge.numaConfig";
static const char *const RESOURCE_CONFIG_PATH = "ge.resourceConfigPath";
static const char *const SOC_VERSION = "ge.socVersion";
static const char *const PRECISION_MODE = "ge.exec.precision_mode";
static const char *const PRECISION_MODE_V2 = "ge.exec.precision_mode_v2";
static const char *const DETERMINISTIC = "ge.deterministic";
static const char *const ENABLE_SINGLE_STREAM = "ge.enableSingleStream";
static const char *const OUTPUT_DATATYPE = "ge.outputDatatype";
static const char *const INPUT_SHAPE = "ge.inputShape";
static const char *const DYNAMIC_NODE_TYPE = "ge.dynamicNodeType";
static const char *const OP_DEBUG_LEVEL = "ge.opDebugLevel";
static const char *const EXTERNAL_WEIGHT = "ge.externalWeight";
static const char *const GRAPH_MAX_PARALLEL_MODEL_NUM = "ge.graphMaxParallelModelNum";
static const char *const TILING_SCHEDULE_OPTIMIZE = "ge.tiling_schedule_optimize";

// Options of aclgrphBuildInitialize, aclgrphBuildModel and aclgrphParseONNX.
namespace ir_option {

static const char *const INPUT_FORMAT = "input_format";
static const char *const INPUT_SHAPE = "input_shape";
static const char *const INPUT_SHAPE_RANGE = "input_shape_range";
static const char *const OP_NAME_MAP = "op_name_map";
static const char *const IS_DYNAMIC_INPUT = "is_dynamic_input";
static const char *const DYNAMIC_BATCH_SIZE = "ge.dynamicBatchSize";
static const char *const DYNAMIC_IMAGE_SIZE = "ge.dynamicImageSize";
static const char *const DYNAMIC_DIMS = "ge.dynamicDims";
static const char *const INSERT_OP_FILE = "ge.insertOpFile";
static const char *const PRECISION_MODE = "ge.exec.precision_mode";
static const char *const PRECISION_MODE_V2 = "ge.exec.precision_mode_v2";
static const char *const ALLOW_HF32 = "ge.exec.allow_hf32";
static const char *const OP_PRECISION_MODE = "ge.exec.op_precision_mode";
static const char *const TUNE_DEVICE_IDS = "ge.exec.tuneDeviceIds";
static const char *const EXEC_DISABLE_REUSED_MEMORY = "ge.exec.disableReuseMemory";
static const char *const AUTO_TUNE_MODE = "ge.autoTuneMode";
static const char *const CORE_TYPE = "ge.engineType";
static const char *const SOC_VERSION = "ge.socVersion";
static const char *const VIRTUAL_TYPE = "ge.virtual_type";
static const char *const AICORE_NUM = "ge.aicoreNum";
static const char *const BUFFER_OPTIMIZE = "ge.bufferOptimize";
static const char *const ENABLE_SINGLE_STREAM = "ge.enableSingleStream";
static const char *const AC_PARALLEL_ENABLE = "ac_parallel_enable";
static const char *const FUSION_SWITCH_FILE = "ge.fusionSwitchFile";
static const char *const ENABLE_SMALL_CHANNEL = "ge.enableSmallChannel";
static const char *const OP_SELECT_IMPL_MODE = "ge.opSelectImplmode";
static const char *const OPTYPELIST_FOR_IMPLMODE = "ge.optypelistForImplmode";
static const char *const SPARSITY = "ge.enableSparseMatrixWeight";
static const char *const COMPRESSION_OPTIMIZE_CONF = "ge.compressionOptimizeConf";
static const char *const DETERMINISTIC = "ge.deterministic";
static const char *const ENABLE_COMPRESS_WEIGHT = "ge.enableCompressWeight";
static const char *const COMPRESS_WEIGHT_CONF = "compress_weight_conf";
static const char *const OP_DEBUG_LEVEL = "ge.opDebugLevel";
static const char *const OP_DEBUG_OPTION = "op_debug_option";
static const char *const DEBUG_DIR = "ge.debugDir";
static const char *const OP_DEBUG_CONFIG = "op_debug_config";
static const char *const OP_COMPILER_CACHE_MODE = "ge.op_compiler_cache_mode";
static const char *const OP_COMPILER_CACHE_DIR = "ge.op_compiler_cache_dir";
static const char *const MDL_BANK_PATH = "ge.mdl_bank_path";
static const char *const OP_BANK_PATH = "ge.op_bank_path";
static const char *const OP_BANK_UPDATE = "ge.op_bank_update";
static const char *const PERFORMANCE_MODE = "ge.performance_mode";
static const char *const SHAPE_GENERALIZED_BUILD_MODE = "ge.shape_generalized_build_mode";
static const char *const MODIFY_MIXLIST = "ge.exec.modify_mixlist";
static const char *const CUSTOMIZE_DTYPES = "ge.customizeDtypes";
static const char *const BUILD_INNER_MODEL = "ge.build_inner_model";
static const char *const EXCLUDE_ENGINES = "ge.exec.exclude_engines";
static const char *const EXTERNAL_WEIGHT = "ge.externalWeight";
static const char *const OUTPUT_TYPE = "ge.outputDatatype";
static const char *const OUT_NODES = "ge.outputNodeName";
static const char *const INPUT_FP16_NODES = "ge.INPUT_NODES_SET_FP16";
static const char *const LOG_LEVEL = "log";
static const char *const QUANT_DUMPABLE = "ge.quant_dumpable";
static const char *const TILING_SCHEDULE_OPTIMIZE = "ge.tiling_schedule_optimize";
static const char *const GRAPH_MAX_PARALLEL_MODEL_NUM = "ge.graphMaxParallelModelNum";
static const char *const OO_LEVEL = "ge.oo.level";
static const char *const OO_CONSTANT_FOLDING = "ge.oo.constantFolding";
static const char *const OO_DEAD_CODE_ELIMINATION = "ge.oo.deadCodeElimination";
static const char *const OPTION_EXPORT_COMPILE_STAT = "ge.exportCompileStat";
static const char *const OP_DEPENDENCY_IN_OM = "ge.opDependencyInOm";
static const char *const CLUSTER_CONFIG = "ge.cluster_config";
static const char *const DISTRIBUTED_CLUSTER_BUILD = "ge.distributed_cluster_build";
static const char *const ENABLE_GRAPH_PARALLEL = "ge.enableGraphParallel";
static const char *const GRAPH_PARALLEL_OPTION_PATH = "ge.graphParallelOptionPath";
static const char *const MODEL_RELATION_CONFIG = "ge.offline_model_relation";
static const char *const IS_INPUT_ADJUST_HW_LAYOUT = "is_input_adjust_hw_layout";
static const char *const IS_OUTPUT_ADJUST_HW_LAYOUT = "is_output_adjust_hw_layout";
static const char *const OUTPUT = "output";
static const char *const ENABLE_SCOPE_FUSION_PASSES = "enable_scope_fusion_passes";
static const char *const INPUT_DATA_NAMES = "input_data_names";

}  // namespace ir_option

enum GraphRunMode : int32_t { PREDICTION = 0, TRAIN };

struct InputTensorInfo {
  uint32_t data_type = 0;
  std::vector<int64_t> dims;
  void *data = nullptr;
  int64_t length = 0;
};

struct OutputTensorInfo {
  uint32_t data_type = 0;
  std::vector<int64_t> dims;
  std::unique_ptr<uint8_t[]> data;
  int64_t length = 0;
};

using RunAsyncCallback = std::function<void(Status, std::vector<Tensor> &)>;

struct ModelDistibuteDesc {  // sic: the documented spelling
  uint32_t logic_device_number = 0;
};

}  // namespace ge

#endif  // OMSERVE_GE_GE_GE_API_TYPES_H_
