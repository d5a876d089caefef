// A package with one operator: ScaledMatMul, y[m,n] = scale * x[m,k] w[k,n], for float32 and int32. In ONNX models it is
// the node ScaledMatMul of domain "com.example".
//
// It shows all that a package can bring: a schema with an attribute, shape inference, a sharding rule by which omserve
// cuts the operator over devices like a matrix product of its own, a cost, and a kernel that uses several threads.
#include <cstdio>
#include <exception>
#include <thread>
#include <vector>

#include "omserve/custom_op.h"

namespace {

int Fail(omserve_call* call, const char* why) {
  std::snprintf(call->error, call->error_size, "%s", why);
  return 1;
}

// A dimension that is not known (yet) fits any other.
bool Fits(int64_t a, int64_t b) { return a == b || a == OMSERVE_UNKNOWN_DIM || b == OMSERVE_UNKNOWN_DIM; }

int Infer(omserve_call* call) {
  const omserve_tensor& x = call->inputs[0];
  const omserve_tensor& w = call->inputs[1];
  if (x.type != w.type) return Fail(call, "x and w have different types");
  if (x.type != OMSERVE_FLOAT && x.type != OMSERVE_INT32) return Fail(call, "only float32 and int32 are supported");
  if (x.rank != 2 || w.rank != 2) return Fail(call, "x and w must be matrices");
  if (!Fits(x.dims[1], w.dims[0])) return Fail(call, "x must have as many columns as w has rows");
  omserve_tensor& y = call->outputs[0];
  y.type = x.type;
  y.rank = 2;
  y.dims[0] = x.dims[0];
  y.dims[1] = w.dims[1];
  return 0;
}

// m and n: each device has some rows or columns of the result. k: each device has some columns of x and rows of w, and
// sums that are partial; omserve adds them up where they are needed whole.
int Rule(omserve_call* call, omserve_rule* rule) {
  const int32_t m = rule->factor(rule, call->inputs[0].dims[0], OMSERVE_PARALLEL, "m");
  const int32_t k = rule->factor(rule, call->inputs[0].dims[1], OMSERVE_SUM, "k");
  const int32_t n = rule->factor(rule, call->inputs[1].dims[1], OMSERVE_PARALLEL, "n");
  rule->input(rule, 0, 0, m);
  rule->input(rule, 0, 1, k);
  rule->input(rule, 1, 0, k);
  rule->input(rule, 1, 1, n);
  rule->output(rule, 0, 0, m);
  rule->output(rule, 0, 1, n);
  // Partial sums of x (or of w) pass through.
  for (int32_t input : {0, 1}) rule->linear(rule, &input, 1);
  return 0;
}

int Cost(omserve_call* call, double* flops, double* bytes) {
  const double m = static_cast<double>(call->inputs[0].dims[0]);
  const double k = static_cast<double>(call->inputs[0].dims[1]);
  const double n = static_cast<double>(call->inputs[1].dims[1]);
  *flops = 2 * m * k * n + m * n;
  *bytes = 4 * (m * k + k * n + m * n);
  return 0;
}

// Rows [begin, end) of the result.
template <typename T>
void Rows(const omserve_call& call, T scale, int64_t begin, int64_t end) {
  const int64_t k = call.inputs[0].dims[1], n = call.inputs[1].dims[1];
  const T* x = static_cast<const T*>(call.inputs[0].data);
  const T* w = static_cast<const T*>(call.inputs[1].data);
  T* y = static_cast<T*>(call.outputs[0].data);
  for (int64_t i = begin; i < end; ++i) {
    for (int64_t j = 0; j < n; ++j) y[i * n + j] = 0;
    for (int64_t l = 0; l < k; ++l) {
      for (int64_t j = 0; j < n; ++j) y[i * n + j] += x[i * k + l] * w[l * n + j];
    }
    for (int64_t j = 0; j < n; ++j) y[i * n + j] *= scale;
  }
}

template <typename T>
void Multiply(const omserve_call& call, T scale) {
  const int64_t rows = call.inputs[0].dims[0];
  const int64_t work = rows * call.inputs[0].dims[1] * call.inputs[1].dims[1];
  const int64_t threads = work < (1 << 20) ? 1 : call.threads;
  std::vector<std::thread> others;
  for (int64_t t = 1; t < threads; ++t) {
    others.emplace_back([&, t] { Rows<T>(call, scale, rows * t / threads, rows * (t + 1) / threads); });
  }
  Rows<T>(call, scale, 0, rows / threads);
  for (std::thread& other : others) other.join();
}

int Compute(omserve_call* call) {
  try {
    const float scale = call->attrs[0].f;
    if (call->outputs[0].type == OMSERVE_FLOAT) Multiply<float>(*call, scale);
    if (call->outputs[0].type == OMSERVE_INT32) Multiply<int32_t>(*call, static_cast<int32_t>(scale));
    return 0;
  } catch (const std::exception& error) {  // no thread to be had
    return Fail(call, error.what());
  }
}

const omserve_input kInputs[] = {{"x", OMSERVE_REQUIRED}, {"w", OMSERVE_REQUIRED}};
const char* const kOutputs[] = {"y"};

omserve_attr Scale() {
  omserve_attr attr = {};
  attr.name = "scale";
  attr.kind = OMSERVE_ATTR_FLOAT;
  attr.f = 1;
  return attr;
}
const omserve_attr kAttrs[] = {Scale()};

omserve_op ScaledMatMul() {
  omserve_op op = {};
  op.type = "ScaledMatMul";
  op.onnx_domain = "com.example";
  op.onnx_type = "ScaledMatMul";
  op.inputs = kInputs;
  op.num_inputs = 2;
  op.outputs = kOutputs;
  op.num_outputs = 1;
  op.attrs = kAttrs;
  op.num_attrs = 1;
  op.infer = Infer;
  op.rule = Rule;
  op.cost = Cost;
  op.compute = Compute;
  return op;
}
const omserve_op kOps[] = {ScaledMatMul()};
const omserve_package kPackage = {OMSERVE_CUSTOM_ABI, "example", "1.0", kOps, 1};

}  // namespace

const omserve_package* omserve_custom_package(void) { return &kPackage; }
