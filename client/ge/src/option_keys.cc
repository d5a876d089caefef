// Which keys each call knows, after the lists that the header of CANN 8.1 keeps and the table of its documents.
#include "options.h"

#include "ge/ge_api_types.h"

namespace ge {

const std::set<std::string>& InitializeKeys() {
  static const auto* const keys = new std::set<std::string>{
    ir_option::CORE_TYPE, ir_option::SOC_VERSION, ir_option::VIRTUAL_TYPE, ir_option::BUFFER_OPTIMIZE,
    ir_option::ENABLE_COMPRESS_WEIGHT, ir_option::COMPRESS_WEIGHT_CONF, ir_option::SPARSITY,
    ir_option::PRECISION_MODE, ir_option::PRECISION_MODE_V2, ir_option::ALLOW_HF32,
    ir_option::TUNE_DEVICE_IDS, ir_option::EXEC_DISABLE_REUSED_MEMORY, ir_option::AUTO_TUNE_MODE,
    ir_option::ENABLE_SINGLE_STREAM, ir_option::AC_PARALLEL_ENABLE, ir_option::AICORE_NUM,
    ir_option::FUSION_SWITCH_FILE, ir_option::ENABLE_SMALL_CHANNEL, ir_option::OP_SELECT_IMPL_MODE,
    ir_option::OPTYPELIST_FOR_IMPLMODE, ir_option::OP_DEBUG_LEVEL, ir_option::OP_DEBUG_OPTION,
    ir_option::DEBUG_DIR, ir_option::OP_COMPILER_CACHE_DIR, ir_option::OP_COMPILER_CACHE_MODE,
    ir_option::MODIFY_MIXLIST, ir_option::COMPRESSION_OPTIMIZE_CONF, ir_option::OP_DEBUG_CONFIG,
    ir_option::DETERMINISTIC, ir_option::CLUSTER_CONFIG, ir_option::OP_DEPENDENCY_IN_OM,
    ir_option::TILING_SCHEDULE_OPTIMIZE, ir_option::GRAPH_MAX_PARALLEL_MODEL_NUM, ir_option::OO_LEVEL,
    ir_option::OO_CONSTANT_FOLDING, ir_option::OO_DEAD_CODE_ELIMINATION,
    ir_option::OPTION_EXPORT_COMPILE_STAT,
      OPTION_HOST_ENV_OS, OPTION_HOST_ENV_CPU, OPTION_SCREEN_PRINT_MODE};
  return *keys;
}

const std::set<std::string>& BuildModelKeys() {
  static const auto* const keys = new std::set<std::string>{
    ir_option::INPUT_FORMAT, ir_option::INPUT_SHAPE, ir_option::INPUT_SHAPE_RANGE, ir_option::OP_NAME_MAP,
    ir_option::DYNAMIC_BATCH_SIZE, ir_option::DYNAMIC_IMAGE_SIZE, ir_option::DYNAMIC_DIMS,
    ir_option::INSERT_OP_FILE, ir_option::OP_PRECISION_MODE, ir_option::ALLOW_HF32, ir_option::PRECISION_MODE,
    ir_option::PRECISION_MODE_V2, ir_option::TUNE_DEVICE_IDS, ir_option::EXEC_DISABLE_REUSED_MEMORY,
    ir_option::AUTO_TUNE_MODE, ir_option::OUTPUT_TYPE, ir_option::OUT_NODES, ir_option::INPUT_FP16_NODES,
    ir_option::LOG_LEVEL, ir_option::OP_DEBUG_LEVEL, ir_option::OP_DEBUG_OPTION, ir_option::DEBUG_DIR,
    ir_option::OP_COMPILER_CACHE_DIR, ir_option::OP_COMPILER_CACHE_MODE, ir_option::MDL_BANK_PATH,
    ir_option::OP_BANK_PATH, ir_option::OP_BANK_UPDATE, ir_option::PERFORMANCE_MODE,
    ir_option::SHAPE_GENERALIZED_BUILD_MODE, ir_option::MODIFY_MIXLIST, ir_option::CUSTOMIZE_DTYPES,
    ir_option::BUILD_INNER_MODEL, ir_option::OP_DEBUG_CONFIG, ir_option::EXCLUDE_ENGINES,
    ir_option::EXTERNAL_WEIGHT, ir_option::DISTRIBUTED_CLUSTER_BUILD, ir_option::MODEL_RELATION_CONFIG,
    ir_option::ENABLE_GRAPH_PARALLEL, ir_option::AC_PARALLEL_ENABLE, ir_option::GRAPH_PARALLEL_OPTION_PATH,
    ir_option::QUANT_DUMPABLE, ir_option::TILING_SCHEDULE_OPTIMIZE, ir_option::GRAPH_MAX_PARALLEL_MODEL_NUM,
    ir_option::OO_LEVEL, ir_option::OO_CONSTANT_FOLDING, ir_option::OO_DEAD_CODE_ELIMINATION,
    ir_option::OPTION_EXPORT_COMPILE_STAT,
      "ge.inputShape"};
  return *keys;
}

const std::set<std::string>& ParseKeys() {
  static const auto* const keys = new std::set<std::string>{
    ir_option::INPUT_FP16_NODES, ir_option::IS_INPUT_ADJUST_HW_LAYOUT, ir_option::IS_OUTPUT_ADJUST_HW_LAYOUT,
    ir_option::OUTPUT, ir_option::OUT_NODES, ir_option::ENABLE_SCOPE_FUSION_PASSES,
    ir_option::INPUT_DATA_NAMES, ir_option::INPUT_SHAPE,
  };
  return *keys;
}

const std::set<std::string>& RunKeys() {
  static const auto* const keys = new std::set<std::string>{
    "ac_parallel_enable", "event_sync_timeout", "ge.aicoreNum", "ge.bufferOptimize", "ge.cluster_config",
    "ge.constLifecycle", "ge.customizeDtypes", "ge.debugDir", "ge.deterministic", "ge.disableOptimizations",
    "ge.dynamicBatchSize", "ge.dynamicDims", "ge.dynamicImageSize", "ge.dynamicNodeType",
    "ge.enableGraphParallel", "ge.enableSingleStream", "ge.exec.atomicCleanPolicy",
    "ge.exec.dataInputsShapeRange", "ge.exec.deviceId", "ge.exec.disableReuseMemory", "ge.exec.dumpData",
    "ge.exec.dumpDebugMode", "ge.exec.dumpLayer", "ge.exec.dumpMode", "ge.exec.dumpPath", "ge.exec.dumpStep",
    "ge.exec.dynamicGraphExecuteMode", "ge.exec.enableDump", "ge.exec.enableDumpDebug",
    "ge.exec.enable_exception_dump", "ge.exec.frozenInputIndexes", "ge.exec.hostInputIndexes",
    "ge.exec.hostSchedulingMaxThreshold", "ge.exec.inputReuseMemIndexes", "ge.exec.input_fusion_size",
    "ge.exec.logicalDeviceClusterDeployMode", "ge.exec.logicalDeviceId", "ge.exec.modelDeployDevicelist",
    "ge.exec.modelDeployMode", "ge.exec.modify_mixlist", "ge.exec.op_precision_mode",
    "ge.exec.outputReuseMemIndexes", "ge.exec.precision_mode", "ge.exec.precision_mode_v2",
    "ge.exec.profilingMode", "ge.exec.profilingOptions", "ge.exec.rankId", "ge.exec.rankTableFile",
    "ge.exec.reuseZeroCopyMemory", "ge.exec.staticMemoryPolicy", "ge.exec.static_model_ops_lower_limit",
    "ge.exec.variable_acc", "ge.exportCompileStat", "ge.externalWeight", "ge.featureBaseRefreshable",
    "ge.fusionSwitchFile", "ge.graphMaxParallelModelNum", "ge.graphMemoryMaxSize",
    "ge.graphParallelOptionPath", "ge.graphRunMode", "ge.graph_compiler_cache_dir", "ge.graph_key",
    "ge.inputShape", "ge.jit_compile", "ge.mdl_bank_path", "ge.oo.constantFolding",
    "ge.oo.deadCodeElimination", "ge.oo.level", "ge.opDebugLevel", "ge.opSelectImplmode", "ge.op_bank_path",
    "ge.op_compiler_cache_dir", "ge.op_compiler_cache_mode", "ge.outputDatatype", "ge.resourceConfigPath",
    "ge.session_device_id", "ge.socVersion", "ge.tiling_schedule_optimize", "ge.topoSortingMode",
    "ge.variableMemoryMaxSize", "op_debug_config", "stream_sync_timeout",
  };
  return *keys;
}

}  // namespace ge
