/* Packages that are refused, one per definition of BAD_…. */
#include "omserve/custom_op.h"

static int Infer(omserve_call* call) {
  call->outputs[0] = call->inputs[0];
  return 0;
}

#ifdef BAD_UNRESOLVED
int function_that_nobody_has(omserve_call* call);
#define COMPUTE function_that_nobody_has
#else
static int Compute(omserve_call* call) { return call->num_inputs != 1; }
#define COMPUTE Compute
#endif

#ifdef BAD_MALFORMED
static const omserve_input kInputs[] = {{"x", 17}};
#else
static const omserve_input kInputs[] = {{"x", OMSERVE_REQUIRED}};
#endif
static const char* const kOutputs[] = {"y"};

static const omserve_op kOps[] = {{
#if defined(BAD_BUILT_IN_NAME)
    .type = "Relu",
#elif defined(BAD_TAKEN_NAME)
    .type = "ScaledMatMul",
#else
    .type = "Bad",
#endif
    .inputs = kInputs,
    .num_inputs = 1,
    .outputs = kOutputs,
    .num_outputs = 1,
    .infer = Infer,
    .compute = COMPUTE,
}};

static const omserve_package kPackage = {
#ifdef BAD_OTHER_ABI
    .abi = OMSERVE_CUSTOM_ABI + 1,
#else
    .abi = OMSERVE_CUSTOM_ABI,
#endif
    .name = "bad",
    .version = "1",
    .ops = kOps,
    .num_ops = 1,
};

#ifdef BAD_NO_ENTRY
const omserve_package* another_name(void) { return &kPackage; }
#else
const omserve_package* omserve_custom_package(void) { return &kPackage; }
#endif
