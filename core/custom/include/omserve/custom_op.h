/* Packages of custom operators: the C interface between omserve and a shared object that brings operators.
 *
 * A package is one shared object that exports omserve_custom_package(). omserve loads it from configured folders only
 * (docs/custom_operators.md). A worked package is in examples/custom_op.
 *
 * Rules for all functions of a package: they may be called from several threads at once, with different calls; they do
 * not keep pointers they are given; no exception may leave them. They return 0, or another number after writing
 * a reason to call->error. All pointers that omserve gives are valid during the call alone; what the package describes
 * (omserve_package and all below it) must stay as it is as long as the process lives. */
#ifndef OMSERVE_CUSTOM_OP_H_
#define OMSERVE_CUSTOM_OP_H_

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Grows with every change of what is below; a package made for another number is refused. */
#define OMSERVE_CUSTOM_ABI 1u
#define OMSERVE_MAX_RANK 8
#define OMSERVE_UNKNOWN_DIM (-1) /* of a dimension, while shapes are not fixed */

/* Element types, by ACL's numbers. */
enum {
  OMSERVE_FLOAT = 0, OMSERVE_FLOAT16 = 1, OMSERVE_INT8 = 2, OMSERVE_INT32 = 3, OMSERVE_UINT8 = 4, OMSERVE_INT16 = 6,
  OMSERVE_UINT16 = 7, OMSERVE_UINT32 = 8, OMSERVE_INT64 = 9, OMSERVE_UINT64 = 10, OMSERVE_DOUBLE = 11,
  OMSERVE_BOOL = 12, OMSERVE_BFLOAT16 = 27,
  OMSERVE_ABSENT = 28 /* an optional input that is not there */
};

/* Kinds of inputs. Parameters steer shape inference: constant once shapes are fixed, and whole on every device. */
enum {
  OMSERVE_REQUIRED = 0, OMSERVE_OPTIONAL = 1,
  OMSERVE_DYNAMIC = 2, /* any number of tensors in place; at most one per operator */
  OMSERVE_PARAMETER = 3, OMSERVE_OPTIONAL_PARAMETER = 4
};

/* Kinds of attributes. */
enum {
  OMSERVE_ATTR_INT = 0, OMSERVE_ATTR_FLOAT = 1, OMSERVE_ATTR_BOOL = 2, OMSERVE_ATTR_STRING = 3, OMSERVE_ATTR_INTS = 4,
  OMSERVE_ATTR_FLOATS = 5
};

typedef struct omserve_input {
  const char* name;
  int32_t kind;
} omserve_input;

/* An attribute with its default (in a schema) or its value (in a call). */
typedef struct omserve_attr {
  const char* name;
  int32_t kind;
  int32_t required; /* schema: it has no default */
  int64_t i;        /* INT; BOOL: 0 or 1 */
  float f;          /* FLOAT */
  const char* s;    /* STRING; NULL in a schema is "" */
  const int64_t* ints;
  const float* floats;
  int64_t count; /* of ints or floats; in a call of the bytes of s too */
} omserve_attr;

typedef struct omserve_tensor {
  int32_t type;
  int32_t rank;
  int64_t dims[OMSERVE_MAX_RANK];
  /* compute: dense row-major elements. Otherwise: the value of a parameter that is constant, else NULL. */
  void* data;
} omserve_tensor;

/* One node, as every function of an operator sees it. */
typedef struct omserve_call {
  const char* node; /* name */
  int32_t num_inputs;
  const omserve_tensor* inputs; /* in order; a dynamic one is spread in place */
  int32_t num_outputs;
  omserve_tensor* outputs; /* infer: to be filled in (type, rank, dims) */
  int32_t num_attrs;
  const omserve_attr* attrs; /* in the order of the schema, with defaults filled in */
  int32_t threads;           /* compute: how many may be used, this one included */
  void* scratch;             /* compute: as many bytes as scratch_bytes asked for, aligned to 64 */
  char* error;               /* a reason ended by 0, error_size bytes at most */
  size_t error_size;
} omserve_call;

/* Kinds of factors: see docs/sharding_rules.md. */
enum {
  OMSERVE_PARALLEL = 0, /* pieces are independent */
  OMSERVE_SUM = 1,      /* in no output: cutting it leaves partial sums of the outputs */
  OMSERVE_WHOLE = 2     /* may not be cut */
};

/* Writes a sharding rule. A dimension that nothing is said about is whole. The operator must compute, from the pieces
 * of its inputs and the same attributes, the piece of its outputs. */
typedef struct omserve_rule {
  void* self;
  /* A factor of `size`; answers its number. */
  int32_t (*factor)(struct omserve_rule*, int64_t size, int32_t kind, const char* name);
  /* Appends a factor to a dimension, major to minor; the sizes multiply to the dimension. */
  void (*input)(struct omserve_rule*, int32_t input, int32_t dim, int32_t factor);
  void (*output)(struct omserve_rule*, int32_t output, int32_t dim, int32_t factor);
  /* Partial sums of all these inputs at once, the others being whole, give partial sums of the outputs. */
  void (*linear)(struct omserve_rule*, const int32_t* inputs, int32_t count);
} omserve_rule;

typedef struct omserve_op {
  const char* type;        /* in graphs, AIR and OM; a C identifier that is not taken */
  const char* onnx_domain; /* both or none NULL: the ONNX nodes that stand for it; not ONNX's own domain */
  const char* onnx_type;
  const omserve_input* inputs;
  int32_t num_inputs;
  const char* const* outputs; /* names */
  int32_t num_outputs;        /* at least 1 */
  const omserve_attr* attrs;
  int32_t num_attrs;
  /* Fills call->outputs from inputs and attributes. Dimensions may be unknown. */
  int (*infer)(omserve_call* call);
  /* Or NULL: it runs whole on every device. Shapes are fixed. */
  int (*rule)(omserve_call* call, omserve_rule* rule);
  /* Or NULL (one operation per element of the first output): floating-point operations, and bytes read and written. */
  int (*cost)(omserve_call* call, double* flops, double* bytes);
  /* Or NULL: none. Asked once, when a model is loaded. */
  int (*scratch_bytes)(omserve_call* call, int64_t* bytes);
  int (*compute)(omserve_call* call);
} omserve_op;

typedef struct omserve_package {
  uint32_t abi;        /* OMSERVE_CUSTOM_ABI; first in every version */
  const char* name;    /* letters, digits, '_', '-', '.' */
  const char* version; /* a load wants the very version that a model was built with */
  const omserve_op* ops;
  int32_t num_ops;
} omserve_package;

#ifdef __GNUC__
__attribute__((visibility("default")))
#endif
const omserve_package* omserve_custom_package(void);

#ifdef __cplusplus
}
#endif

#endif /* OMSERVE_CUSTOM_OP_H_ */
