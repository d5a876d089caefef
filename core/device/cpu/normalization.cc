// Normalisations: over the last dimensions (layer, RMS), by channel (batch), by groups of channels (instance, group).
#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "core/base/status.h"
#include "core/device/cpu/kernel.h"
#include "core/device/cpu/parallel.h"
#include "core/device/cpu/row_math.h"

namespace omserve::cpu {

namespace {

using Made = absl::StatusOr<std::unique_ptr<Kernel>>;

const float* Floats(const void* pointer) { return static_cast<const float*>(pointer); }
float* Floats(void* pointer) { return static_cast<float*>(pointer); }

int64_t Product(const Shape& shape, size_t begin, size_t end) {
  return NumElements(absl::MakeConstSpan(shape).subspan(begin, end - begin));
}

absl::Status NeedFloats(const KernelRequest& request) {
  for (int i = 0; i < request.num_inputs(); ++i) {
    const DataType type = request.inputs[i].type;
    const bool is_parameter = type == DataType::kInt32 || type == DataType::kInt64;
    if (request.has_input(i) && type != DataType::kFloat && !(i == 1 && is_parameter)) return request.UnsupportedType(i);
  }
  return absl::OkStatus();
}

// Where the operands of a row normalisation are among inputs and outputs; -1 where the operator has none.
struct RowOperands {
  int addend = -1;  // x2 of the Add... forms, added to x first
  int extra = -1;   // AddLayerNorm's bias, added too
  int gamma = -1;
  int beta = -1;
  int mean = -1;      // output
  int deviation = -1;  // output: rstd or variance
  int sum = -1;       // output: x after the additions
};

enum class RowNorm { kLayer, kRms };

class RowNormKernel : public Kernel {
 public:
  RowNormKernel(const KernelRequest& request, RowNorm kind, RowOperands operands, int64_t rows, int64_t length,
                bool gives_variance)
      : kind_(kind), at_(operands), rows_(rows), length_(length), epsilon_(request.Attr<float>("epsilon")),
        gives_variance_(gives_variance), threads_(request.threads),
        keep_sum_(operands.sum >= 0 && operands.sum < static_cast<int>(request.outputs.size())),
        keep_statistics_(static_cast<int>(request.outputs.size()) > operands.deviation) {
    has_extra_ = at_.extra >= 0 && request.has_input(at_.extra);
    extra_whole_ = has_extra_ && NumElements(request.input_shape(at_.extra)) == rows * length && rows != 1;
    has_gamma_ = request.has_input(at_.gamma);
    has_beta_ = at_.beta >= 0 && request.has_input(at_.beta);
  }

  absl::Status Run(const void* const* inputs, void* const* outputs, KernelContext&) override {
    if (length_ == 0) return absl::OkStatus();
    const float* x = Floats(inputs[0]);
    const float* addend = at_.addend >= 0 ? Floats(inputs[at_.addend]) : nullptr;
    const float* extra = has_extra_ ? Floats(inputs[at_.extra]) : nullptr;
    const float* gamma = has_gamma_ ? Floats(inputs[at_.gamma]) : nullptr;
    const float* beta = has_beta_ ? Floats(inputs[at_.beta]) : nullptr;
    float* y = Floats(outputs[0]);
    float* sum = keep_sum_ ? Floats(outputs[at_.sum]) : nullptr;
    float* mean = keep_statistics_ && at_.mean >= 0 ? Floats(outputs[at_.mean]) : nullptr;
    float* deviation = keep_statistics_ ? Floats(outputs[at_.deviation]) : nullptr;
    const int64_t n = length_;
    const bool centred = kind_ == RowNorm::kLayer;
    const bool gives_variance = gives_variance_;
    const int64_t extra_stride = extra_whole_ ? n : 0;
    const float epsilon = epsilon_;
    ParallelFor(threads_, rows_, std::max<int64_t>(1, kElementGrain / 4 / n), [=](int64_t begin, int64_t end) {
      Simd([=]() OMSERVE_LOOP {
        for (int64_t row = begin; row < end; ++row) {
          const float* from = x + row * n;
          float* to = y + row * n;
          if (addend != nullptr) {
            // Where the sum is no output, y holds it until it is normalised.
            float* added = sum != nullptr ? sum + row * n : to;
            const float* second = addend + row * n;
#pragma omp simd
            for (int64_t i = 0; i < n; ++i) added[i] = from[i] + second[i];
            if (extra != nullptr) {
              const float* third = extra + row * extra_stride;
#pragma omp simd
              for (int64_t i = 0; i < n; ++i) added[i] += third[i];
            }
            from = added;
          }
          const float center = centred ? RowSum(from, n) / static_cast<float>(n) : 0.0f;
          const float variance = RowSquares(from, n, center) / static_cast<float>(n);
          const float factor = 1.0f / std::sqrt(variance + epsilon);
          if (gamma != nullptr && beta != nullptr) {
#pragma omp simd
            for (int64_t i = 0; i < n; ++i) to[i] = (from[i] - center) * factor * gamma[i] + beta[i];
          } else if (gamma != nullptr) {
#pragma omp simd
            for (int64_t i = 0; i < n; ++i) to[i] = (from[i] - center) * factor * gamma[i];
          } else {
#pragma omp simd
            for (int64_t i = 0; i < n; ++i) to[i] = (from[i] - center) * factor + (beta != nullptr ? beta[i] : 0.0f);
          }
          if (mean != nullptr) mean[row] = center;
          if (deviation != nullptr) deviation[row] = gives_variance ? variance : factor;
        }
      });
    });
    return absl::OkStatus();
  }
  bool MayOverwrite(int input) const override { return input == 0; }

 private:
  const RowNorm kind_;
  const RowOperands at_;
  const int64_t rows_, length_;
  const float epsilon_;
  const bool gives_variance_;
  const int threads_;
  const bool keep_sum_, keep_statistics_;
  bool has_extra_, extra_whole_, has_gamma_, has_beta_;
};

// `begin`: the first normalised dimension.
Made MakeRowNorm(const KernelRequest& request, RowNorm kind, const RowOperands& operands, int begin,
                 bool gives_variance = false) {
  RETURN_IF_ERROR(NeedFloats(request));
  const Shape& shape = request.input_shape(0);
  const int64_t length = Product(shape, begin, shape.size());
  for (int i : {operands.gamma, operands.beta}) {
    if (i >= 0 && request.has_input(i) && NumElements(request.input_shape(i)) != length) {
      return request.Unsupported(absl::StrCat("a scale of shape ", ToString(request.input_shape(i)),
                                              " when normalising ", length, " elements"));
    }
  }
  return std::make_unique<RowNormKernel>(request, kind, operands, Product(shape, 0, begin), length, gives_variance);
}

Made MakeLayerNorm(const KernelRequest& request) {
  ASSIGN_OR_RETURN(const int begin, NormalizeAxis(request.Attr<int64_t>("begin_norm_axis"),
                                                  static_cast<int>(request.input_shape(0).size())));
  return MakeRowNorm(request, RowNorm::kLayer, {.gamma = 1, .beta = 2, .mean = 1, .deviation = 2}, begin,
                     request.type() == "LayerNorm");
}

Made MakeLayerNormV4(const KernelRequest& request) {
  ASSIGN_OR_RETURN(const std::vector<int64_t> normalized, request.ConstantInts(1));
  const int rank = static_cast<int>(request.input_shape(0).size());
  const int begin = std::max(0, rank - static_cast<int>(normalized.size()));
  return MakeRowNorm(request, RowNorm::kLayer, {.gamma = 2, .beta = 3, .mean = 1, .deviation = 2}, begin);
}

Made MakeAddLayerNorm(const KernelRequest& request) {
  if (request.input_shape(0) != request.input_shape(1)) return request.Unsupported("addends of different shapes");
  const int rank = static_cast<int>(request.input_shape(0).size());
  const int begin = std::max(0, rank - static_cast<int>(request.input_shape(2).size()));
  return MakeRowNorm(request, RowNorm::kLayer,
                     {.addend = 1, .extra = 4, .gamma = 2, .beta = 3, .mean = 1, .deviation = 2, .sum = 3}, begin);
}

Made MakeRmsNorm(const KernelRequest& request) {
  const int begin = static_cast<int>(request.input_shape(0).size()) - static_cast<int>(request.input_shape(1).size());
  return MakeRowNorm(request, RowNorm::kRms, {.gamma = 1, .deviation = 1}, std::max(0, begin));
}

Made MakeAddRmsNorm(const KernelRequest& request) {
  if (request.input_shape(0) != request.input_shape(1)) return request.Unsupported("addends of different shapes");
  const int begin = static_cast<int>(request.input_shape(0).size()) - static_cast<int>(request.input_shape(2).size());
  return MakeRowNorm(request, RowNorm::kRms, {.addend = 1, .gamma = 2, .deviation = 1, .sum = 2}, std::max(0, begin));
}

// y = x * a[c] + b[c], with a and b from the statistics: x seen as [outer, channels, inner].
class BatchNormKernel : public Kernel {
 public:
  BatchNormKernel(const KernelRequest& request, int channel_axis)
      : epsilon_(request.Attr<float>("epsilon")), threads_(request.threads) {
    const Shape& shape = request.input_shape(0);
    outer_ = Product(shape, 0, channel_axis);
    channels_ = shape[channel_axis];
    inner_ = Product(shape, channel_axis + 1, shape.size());
  }

  size_t scratch_bytes() const override { return static_cast<size_t>(channels_) * 2 * sizeof(float); }

  absl::Status Run(const void* const* inputs, void* const* outputs, KernelContext& context) override {
    const float* x = Floats(inputs[0]);
    const float *scale = Floats(inputs[1]), *offset = Floats(inputs[2]);
    const float *mean = Floats(inputs[3]), *variance = Floats(inputs[4]);
    float* y = Floats(outputs[0]);
    float* a = reinterpret_cast<float*>(context.scratch);
    float* b = a + channels_;
    for (int64_t c = 0; c < channels_; ++c) {
      a[c] = scale[c] / std::sqrt(variance[c] + epsilon_);
      b[c] = offset[c] - mean[c] * a[c];
    }
    const int64_t inner = inner_, channels = channels_;
    if (inner == 1) {
      ParallelFor(threads_, outer_, std::max<int64_t>(1, kElementGrain / std::max<int64_t>(1, channels)),
                  [=](int64_t begin, int64_t end) {
                    Simd([=]() OMSERVE_LOOP {
                      for (int64_t row = begin; row < end; ++row) {
#pragma omp simd
                        for (int64_t c = 0; c < channels; ++c) {
                          y[row * channels + c] = x[row * channels + c] * a[c] + b[c];
                        }
                      }
                    });
                  });
      return absl::OkStatus();
    }
    ParallelFor(threads_, outer_ * channels, std::max<int64_t>(1, kElementGrain / std::max<int64_t>(1, inner)),
                [=](int64_t begin, int64_t end) {
                  Simd([=]() OMSERVE_LOOP {
                    for (int64_t row = begin; row < end; ++row) {
                      const float factor = a[row % channels], shift = b[row % channels];
#pragma omp simd
                      for (int64_t i = row * inner; i < (row + 1) * inner; ++i) y[i] = x[i] * factor + shift;
                    }
                  });
                });
    return absl::OkStatus();
  }
  bool MayOverwrite(int input) const override { return input == 0; }

 private:
  const float epsilon_;
  const int threads_;
  int64_t outer_, channels_, inner_;
};

int ChannelAxis(const KernelRequest& request) {
  const std::string format = request.Attr<std::string>("data_format");
  const int rank = static_cast<int>(request.input_shape(0).size());
  return !format.empty() && format.back() == 'C' ? rank - 1 : std::min(1, rank - 1);
}

Made MakeBatchNorm(const KernelRequest& request) {
  RETURN_IF_ERROR(NeedFloats(request));
  if (request.Attr<bool>("is_training")) return request.Unsupported("is_training");
  if (request.input_shape(0).empty()) return request.Unsupported("a scalar");
  for (int i = 1; i < 5; ++i) {
    if (!request.has_input(i)) return request.Unsupported("absent statistics");
  }
  const int axis = ChannelAxis(request);
  for (int i = 1; i < 5; ++i) {
    if (NumElements(request.input_shape(i)) != request.input_shape(0)[axis]) {
      return absl::InvalidArgumentError(absl::StrCat("input ", i, " has shape ", ToString(request.input_shape(i)),
                                                     ", expected one element for each of the ",
                                                     request.input_shape(0)[axis], " channels"));
    }
  }
  return std::make_unique<BatchNormKernel>(request, axis);
}

// Mean and variance over groups of channels (all of a channel's elements: one group per channel is InstanceNorm).
// Channels first. Statistics outputs are [n, groups] or of one element per group in any shape.
class GroupNormKernel : public Kernel {
 public:
  GroupNormKernel(const KernelRequest& request, int64_t groups, float epsilon, bool gives_rstd, bool silu)
      : groups_(groups), epsilon_(epsilon), gives_rstd_(gives_rstd), silu_(silu),
        has_gamma_(request.has_input(1)), has_beta_(request.has_input(2)),
        keep_statistics_(request.outputs.size() >= 3), threads_(request.threads) {
    const Shape& shape = request.input_shape(0);
    batch_ = shape[0];
    channels_ = shape[1];
    inner_ = Product(shape, 2, shape.size());
  }

  absl::Status Run(const void* const* inputs, void* const* outputs, KernelContext&) override {
    const float* x = Floats(inputs[0]);
    const float* gamma = has_gamma_ ? Floats(inputs[1]) : nullptr;
    const float* beta = has_beta_ ? Floats(inputs[2]) : nullptr;
    float* y = Floats(outputs[0]);
    float* mean = keep_statistics_ ? Floats(outputs[1]) : nullptr;
    float* deviation = keep_statistics_ ? Floats(outputs[2]) : nullptr;
    const int64_t per_group = channels_ / groups_, length = per_group * inner_, inner = inner_, groups = groups_;
    const float epsilon = epsilon_;
    const bool gives_rstd = gives_rstd_, silu = silu_;
    if (length == 0) return absl::OkStatus();
    ParallelFor(threads_, batch_ * groups_, std::max<int64_t>(1, kElementGrain / 4 / length),
                [=](int64_t begin, int64_t end) {
                  Simd([=]() OMSERVE_LOOP {
                    for (int64_t row = begin; row < end; ++row) {
                      const float* from = x + row * length;
                      float* to = y + row * length;
                      const float center = RowSum(from, length) / static_cast<float>(length);
                      const float variance = RowSquares(from, length, center) / static_cast<float>(length);
                      const float factor = 1.0f / std::sqrt(variance + epsilon);
                      for (int64_t k = 0; k < per_group; ++k) {
                        const int64_t channel = row % groups * per_group + k;
                        const float a = gamma != nullptr ? factor * gamma[channel] : factor;
                        const float b = (beta != nullptr ? beta[channel] : 0.0f) - center * a;
#pragma omp simd
                        for (int64_t i = k * inner; i < (k + 1) * inner; ++i) {
                          const float value = from[i] * a + b;
                          to[i] = silu ? Swish(value, 1.0f) : value;
                        }
                      }
                      if (mean != nullptr) {
                        mean[row] = center;
                        deviation[row] = gives_rstd ? factor : variance;
                      }
                    }
                  });
                });
    return absl::OkStatus();
  }
  bool MayOverwrite(int input) const override { return input == 0; }

 private:
  const int64_t groups_;
  const float epsilon_;
  const bool gives_rstd_, silu_, has_gamma_, has_beta_, keep_statistics_;
  const int threads_;
  int64_t batch_, channels_, inner_;
};

Made MakeGrouped(const KernelRequest& request, int64_t groups, float epsilon, bool gives_rstd, bool silu) {
  RETURN_IF_ERROR(NeedFloats(request));
  const Shape& shape = request.input_shape(0);
  if (shape.size() < 2) return request.Unsupported("fewer than two dimensions");
  if (groups <= 0 || shape[1] % groups != 0) {
    return absl::InvalidArgumentError(absl::StrCat(shape[1], " channels cannot form ", groups, " groups"));
  }
  for (int i : {1, 2}) {
    if (request.has_input(i) && NumElements(request.input_shape(i)) != shape[1]) {
      return request.Unsupported(absl::StrCat("a scale of shape ", ToString(request.input_shape(i))));
    }
  }
  if (request.outputs.size() >= 3) {
    for (int i : {1, 2}) {
      if (NumElements(request.output_shape(i)) != shape[0] * groups) {
        return request.Unsupported(absl::StrCat("statistics of shape ", ToString(request.output_shape(i))));
      }
    }
  }
  return std::make_unique<GroupNormKernel>(request, groups, epsilon, gives_rstd, silu);
}

absl::Status NeedChannelsFirst(const KernelRequest& request) {
  const std::string format = request.Attr<std::string>("data_format");
  // Formats only say where the channels are.
  if (!format.empty() && format.back() == 'C') return request.Unsupported(absl::StrCat("data_format ", format));
  return absl::OkStatus();
}

Made MakeInstanceNorm(const KernelRequest& request) {
  RETURN_IF_ERROR(NeedChannelsFirst(request));
  if (request.input_shape(0).size() < 2) return request.Unsupported("fewer than two dimensions");
  return MakeGrouped(request, request.input_shape(0)[1], request.Attr<float>("epsilon"), false, false);
}

Made MakeGroupNorm(const KernelRequest& request) {
  RETURN_IF_ERROR(NeedChannelsFirst(request));
  return MakeGrouped(request, request.Attr<int64_t>("num_groups"), request.Attr<float>("eps"), false, false);
}

Made MakeGroupNormSilu(const KernelRequest& request) {
  return MakeGrouped(request, request.Attr<int64_t>("num_groups"), request.Attr<float>("eps"), true,
                     request.Attr<bool>("activate_silu"));
}

}  // namespace

void AddNormalizationKernels(KernelTable& table) {
  table.Add({"LayerNorm", "LayerNormV3"}, MakeLayerNorm);
  table.Add({"LayerNormV4"}, MakeLayerNormV4);
  table.Add({"AddLayerNorm"}, MakeAddLayerNorm);
  table.Add({"RmsNorm"}, MakeRmsNorm);
  table.Add({"AddRmsNorm"}, MakeAddRmsNorm);
  table.Add({"BatchNorm", "BNInfer"}, MakeBatchNorm);
  table.Add({"InstanceNorm"}, MakeInstanceNorm);
  table.Add({"GroupNorm"}, MakeGroupNorm);
  table.Add({"GroupNormSilu"}, MakeGroupNormSilu);
}

}  // namespace omserve::cpu
