// omctl calibrate: what operators and links of the live workers cost, measured by running probes on them, as a cost file.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "client/cli/commands.h"
#include "client/cli/probe.h"
#include "client/cli/rate_fit.h"
#include "client/cli/text.h"
#include "core/base/file.h"
#include "core/base/status.h"
#include "core/base/temporary_folder.h"
#include "core/cluster/collective_fit.h"
#include "core/cluster/cost_file.h"
#include "core/om/om_file.h"

namespace omserve::cli {
namespace {

using nlohmann::ordered_json;

constexpr char kModel[] = "omctl_calibrate";
// Runs of a probe that are timed; of these the lower quartile counts, for what else the machine does only adds.
constexpr int kRuns = 13;
constexpr int kCounts = kRuns / 4;
constexpr int kWarmRuns = 2;
// A long probe has so many repetitions more than a short one that they take about this long.
constexpr double kProbeSeconds = 5e-3;
constexpr int kShortRepetitions = 2;
constexpr int kMostRepetitions = 2000;
// How often a probe is tried whose long form seems no slower than its short one.
constexpr int kAttempts = 5;
// Of weights, in all slices of a probe together.
constexpr double kMostProbeBytes = 96e6;

constexpr char kPool[] = "MaxPoolV3";
constexpr int64_t kNarrowWindow = 3;  // whose taps cost less than moving the image
constexpr int64_t kSmall = 256;  // elements: next to nothing to do
constexpr int64_t kHeads = 8;
// Of probes whose operator treats pieces one by one: elements of a piece, and of short ones, with that many elements in all.
constexpr int64_t kPiece = 256, kShortPiece = 8, kShortPieces = 64 << 10;
constexpr int64_t kLarge = int64_t{8} << 20;  // elements: no cache holds them
// What is measured.
struct Extent {
  std::vector<std::string> operators;
  std::vector<int64_t> operator_sizes;  // elements
  std::vector<int64_t> rows, columns;   // of matrix products by square weights
  std::vector<int64_t> positions, head_sizes;  // of those of attention, of kHeads heads
  std::vector<Probe> convolutions;
  std::vector<int64_t> payloads;                          // bytes
  std::vector<CollectiveKind> collectives;
};

Probe Convolution(int64_t from, int64_t to, int64_t window, int64_t image, int64_t stride = 1) {
  return {.what = Probe::What::kConvolution, .size = image, .columns = to, .inner = from, .window = window, .stride = stride};
}

Probe Transposed(int64_t from, int64_t to, int64_t window, int64_t image) {
  Probe probe = Convolution(from, to, window, image, 2);
  probe.transposed = true;
  return probe;
}

Probe Depthwise(int64_t channels, int64_t window, int64_t image) {
  return {.what = Probe::What::kConvolution, .size = image, .columns = channels, .window = window, .depthwise = true};
}

Extent ExtentOf(bool quick) {
  if (quick) {
    return {{"Add", "SoftmaxV2", "Relu"}, {256, 64 << 10}, {1, 64}, {64, 256}, {64}, {16},
            {Depthwise(16, 3, 28), Depthwise(16, 5, 14), Convolution(16, 16, 3, 28), Convolution(16, 32, 1, 28)},
            {4 << 10, 1 << 20}, {CollectiveKind::kAllReduce, CollectiveKind::kSendReceive}};
  }
  return {{"Add", "Mul", "Sub", "RealDiv", "Relu", "Sigmoid", "Tanh", "Erf", "Gelu", "Swish", "HardSwish", "Sqrt", "SoftmaxV2",
           "RmsNorm", "LayerNormV4", "ReduceMean", "GlobalAveragePool", kPool, "Resize", "Transpose", "ConcatD", "GatherV2",
           "BroadcastTo", "SelectV2"},
          {256, 4 << 10, 64 << 10, 1 << 20},
          {1, 8, 64, 256},
          {16, 64, 256, 768},
          {16, 128},
          {8, 64},
          // From images that the first cache holds to those that only memory does; large windows for the rate of computing.
          {Depthwise(32, 3, 4), Depthwise(32, 3, 16), Depthwise(32, 3, 56), Depthwise(32, 3, 112), Depthwise(32, 3, 224),
           Depthwise(96, 5, 14), Depthwise(192, 5, 28),
           Convolution(8, 8, 3, 24), Convolution(16, 24, 3, 22), Convolution(96, 24, 3, 80), Convolution(64, 64, 3, 56),
           Convolution(256, 256, 3, 14), Convolution(512, 512, 3, 7), Convolution(3, 16, 3, 96, 2), Convolution(3, 64, 7, 224, 2),
           Convolution(8, 24, 1, 24), Convolution(16, 96, 1, 17), Convolution(32, 200, 1, 14), Convolution(16, 32, 1, 224),
           Convolution(48, 96, 1, 80), Convolution(64, 256, 1, 56), Convolution(256, 1024, 1, 14), Convolution(512, 2048, 1, 7),
           Convolution(24, 96, 1, 1),
           Transposed(32, 16, 2, 28), Transposed(24, 24, 2, 80), Transposed(24, 1, 2, 160), Transposed(16, 16, 4, 40)},
          {4 << 10, 64 << 10, 1 << 20, 8 << 20},
          {CollectiveKind::kAllReduce, CollectiveKind::kAllGather, CollectiveKind::kReduceScatter,
           CollectiveKind::kAllToAll, CollectiveKind::kBroadcast, CollectiveKind::kSendReceive}};
}

struct CalibratedDevice {
  std::string kind;
  LogicalDeviceId id;
};
using CalibratedWorker = std::vector<CalibratedDevice>;

absl::StatusOr<std::vector<CalibratedWorker>> LiveWorkers(const client::ClusterStatus& cluster) {
  std::vector<CalibratedWorker> workers;
  for (const client::WorkerStatus& worker : cluster.workers) {
    if (!worker.alive || worker.devices.empty()) continue;
    CalibratedWorker& entry = workers.emplace_back();
    for (const client::DeviceStatus& device : worker.devices) {
      ASSIGN_OR_RETURN(const LogicalDeviceId id, LogicalDeviceId::Parse(device.logical_id));
      entry.push_back({device.kind, id});
    }
  }
  if (workers.empty()) return absl::FailedPreconditionError("no worker is live: there is nothing to calibrate");
  return workers;
}

// Group sizes worth a curve: two, powers of two, and all.
std::vector<int> GroupSizes(int most) {
  std::vector<int> sizes;
  for (int size = 2; size < most; size *= 2) sizes.push_back(size);
  if (most >= 2) sizes.push_back(most);
  return sizes;
}

class Calibration {
  using Measured = MeasuredProduct;

 public:
  Calibration(Session& session, client::Client& client, Extent extent, const std::string& folder)
      : session_(session), client_(client), extent_(std::move(extent)), om_(absl::StrCat(folder, "/probe.om")) {}

  absl::StatusOr<CostFile> Measure(const std::vector<CalibratedWorker>& workers) {
    Count(workers);
    CostFile file;
    std::map<std::string, std::vector<LogicalDeviceId>> by_kind;
    for (const CalibratedWorker& worker : workers) {
      for (const CalibratedDevice& device : worker) by_kind[device.kind].push_back(device.id);
    }
    for (const auto& [kind, devices] : by_kind) {
      ASSIGN_OR_RETURN(file.devices[kind], MeasureDevice(kind, devices));
    }
    const CalibratedWorker& largest = *std::max_element(
        workers.begin(), workers.end(), [](const auto& a, const auto& b) { return a.size() < b.size(); });
    std::vector<LogicalDeviceId> inside, between;
    for (const CalibratedDevice& device : largest) inside.push_back(device.id);
    for (const CalibratedWorker& worker : workers) between.push_back(worker[0].id);
    ASSIGN_OR_RETURN(file.intra_node, MeasureLinks("inside a worker", inside));
    ASSIGN_OR_RETURN(file.inter_node, MeasureLinks("between workers", between));
    return file;
  }

  const Table& table() const { return table_; }

 private:
  void Count(const std::vector<CalibratedWorker>& workers) {
    size_t most = 0;
    std::map<std::string, int> kinds;
    for (const CalibratedWorker& worker : workers) {
      most = std::max(most, worker.size());
      for (const CalibratedDevice& device : worker) ++kinds[device.kind];
    }
    const auto links = [&](size_t devices) {
      size_t curves = 0;
      for (const int size : GroupSizes(static_cast<int>(devices))) {
        curves += static_cast<size_t>(std::count_if(extent_.collectives.begin(), extent_.collectives.end(),
                                                    [&](CollectiveKind kind) { return HasCurve(kind, size); }));
      }
      return curves * extent_.payloads.size();
    };
    size_t of_pieces = 0;  // probes that operators on pieces have besides
    for (const std::string& type : extent_.operators) {
      const auto works = Probe{.type = type, .size = kSmall}.Work();
      if (works.ok() && works->front().pieces > 0) of_pieces += 2;
    }
    const size_t of_a_kind = 1 + of_pieces + extent_.operators.size() * extent_.operator_sizes.size() +
                             extent_.rows.size() * extent_.columns.size() +
                             2 * extent_.positions.size() * extent_.head_sizes.size() + extent_.convolutions.size() + 2;
    to_do_ = kinds.size() * of_a_kind + links(most) + links(workers.size());
  }

  static bool HasCurve(CollectiveKind kind, int ranks) { return kind != CollectiveKind::kSendReceive || ranks == 2; }

  // All devices of a kind are at work at the same time, as in a model that is cut over them.
  absl::StatusOr<CostFile::Device> MeasureDevice(const std::string& kind, const std::vector<LogicalDeviceId>& devices) {
    CostFile::Device device;
    ASSIGN_OR_RETURN(const Measured large, Time({.type = "Neg", .size = kLarge}, devices));
    const double memory = large.works[0].bytes / large.seconds;
    std::vector<double> starts, speeds;
    for (const std::string& type : extent_.operators) {
      ASSIGN_OR_RETURN(device.operators[type], MeasureOperator(type, devices));
      const auto& made = device.operators[type].by_bytes->points();
      starts.push_back(made.front().second);
      const CostCurve::Point& middle = made[made.size() / 2];
      speeds.push_back(middle.first / middle.second);
      table_.AddRow({kind, type, BytesText(static_cast<uint64_t>(made.back().first)), MillisecondsText(made.back().second)});
      if (type == kPool) {
        const CostCurve::Point least = made.front(), most = made.back();  // which are replaced
        RETURN_IF_ERROR(PriceByTaps(least, most, memory, &device));
      }
    }
    // Operators that were not measured are as the middle one of those that were.
    std::sort(starts.begin(), starts.end());
    std::sort(speeds.begin(), speeds.end());
    OperatorRates rates;
    rates.start_seconds = starts[starts.size() / 2];
    rates.bytes_per_second = speeds[speeds.size() / 2];
    table_.AddRow({kind, "operators, the middle one", "",
                   absl::StrFormat("%.2f us and %.1f GB/s", 1e6 * rates.start_seconds, 1e-9 * rates.bytes_per_second)});
    table_.AddRow({kind, "memory", "", absl::StrFormat("%.1f GB/s", 1e-9 * memory)});
    // Weights come from memory at its speed, and no operator starts sooner than the quickest one.
    const OperatorRates product{.bytes_per_second = memory, .start_seconds = starts[0]};
    std::vector<Measured> products;
    for (const Probe& probe : Products()) {
      ASSIGN_OR_RETURN(products.emplace_back(), Time(probe, devices));
    }
    const OperatorRates fitted = FitProducts(product, products);
    rates.flops_per_second = fitted.flops_per_second;
    rates.half_rows = fitted.half_rows;
    rates.half_columns = fitted.half_columns;
    rates.half_inner = fitted.half_inner;
    for (const char* type : {"MatMulV2", "BatchMatMulV2"}) device.operators[type].rates = ToFile(fitted);
    AddProducts(kind, "matrix products", fitted, products);
    RETURN_IF_ERROR(MeasureConvolutions(kind, devices, product, &device));
    ASSIGN_OR_RETURN(rates.epilogue_share, MeasureEpilogues(devices, device));
    table_.AddRow({kind, "epilogues", "", absl::StrFormat("%.0f %% of the same alone", 100 * rates.epilogue_share)});
    device.rates = ToFile(rates);
    device.rates["epilogue_share"] = rates.epilogue_share;
    return device;
  }

  absl::StatusOr<CostFile::Operator> MeasureOperator(const std::string& type, const std::vector<LogicalDeviceId>& devices) {
    CostFile::Operator made;
    std::vector<CostCurve::Point> points;
    std::vector<Measured> all;
    for (const int64_t size : extent_.operator_sizes) {
      ASSIGN_OR_RETURN(const Measured measured, Time({.type = type, .size = size, .row = kPiece}, devices));
      all.push_back(measured);
      points.emplace_back(measured.works[0].bytes, measured.seconds);
    }
    // Of operators on pieces, how much each of them costs: with as many bytes, in more pieces.
    if (all[0].works[0].pieces > 0) {
      ASSIGN_OR_RETURN(const Measured whole, Time({.type = type, .size = kShortPieces, .row = kPiece}, devices));
      ASSIGN_OR_RETURN(const Measured cut, Time({.type = type, .size = kShortPieces, .row = kShortPiece}, devices));
      made.piece_seconds = std::max(0.0, (cut.seconds - whole.seconds) /
                                             static_cast<double>(cut.works[0].pieces - whole.works[0].pieces));
      for (size_t i = 0; i < points.size(); ++i) {
        // What is left is moving, which takes some time whatever noise says.
        const double pieces = made.piece_seconds * static_cast<double>(all[i].works[0].pieces);
        points[i].second = std::max(points[i].second - pieces, points[i].second / 10);
      }
    }
    ASSIGN_OR_RETURN(made.by_bytes, Increasing(std::move(points)));
    return made;
  }

  // Pools take the elements under their windows one by one, however large those are.
  absl::Status PriceByTaps(const CostCurve::Point& least, const CostCurve::Point& most, double memory,
                           CostFile::Device* device) const {
    const Probe probe{.type = kPool, .size = extent_.operator_sizes.back()};
    ASSIGN_OR_RETURN(const std::vector<OperatorWork> works, probe.Work());
    for (const char* type : {kPool, "AvgPoolV2"}) {
      CostFile::Operator& made = device->operators[type];
      made.by_bytes.reset();
      made.rates = {{"flops_per_second", works[0].flops / most.second},
                    {"bytes_per_second", memory},
                    {"start_seconds", least.second}};
    }
    return absl::OkStatus();
  }

  std::vector<Probe> Products() const {
    std::vector<Probe> probes;
    for (const int64_t columns : extent_.columns) {
      for (const int64_t rows : extent_.rows) {
        probes.push_back({.what = Probe::What::kProduct, .size = rows, .columns = columns, .inner = columns});
      }
    }
    for (const int64_t n : extent_.positions) {
      for (const int64_t head : extent_.head_sizes) {
        probes.push_back({.what = Probe::What::kProduct, .size = n, .columns = n, .inner = head, .batch = kHeads});
        probes.push_back({.what = Probe::What::kProduct, .size = n, .columns = head, .inner = n, .batch = kHeads});
      }
    }
    return probes;
  }

  // A convolution of each channel by itself does little but move images: what it takes by their bytes is what moving takes for all
  // of them. The others compute besides.
  absl::Status MeasureConvolutions(const std::string& kind, const std::vector<LogicalDeviceId>& devices,
                                   const OperatorRates& product, CostFile::Device* device) {
    std::map<std::string, std::vector<Measured>> by_form;
    std::vector<CostCurve::Point> points;
    double fastest = 0;  // of those of each channel by itself, flops per second
    for (const Probe& probe : extent_.convolutions) {
      ASSIGN_OR_RETURN(const Measured measured, Time(probe, devices));
      const OperatorWork& work = measured.works[0];
      if (!probe.depthwise) {
        by_form[std::string(work.variant.empty() ? work.type : work.variant)].push_back(measured);
        continue;
      }
      fastest = std::max(fastest, work.flops / measured.seconds);
      if (probe.window == kNarrowWindow) points.emplace_back(work.bytes, measured.seconds);
    }
    ASSIGN_OR_RETURN(const CostCurve moving, Increasing(std::move(points)));
    CostFile::Operator& depthwise = device->operators["DepthwiseConv2D"];
    depthwise.by_bytes = moving;
    OperatorRates rates = product;
    rates.flops_per_second = fastest;
    depthwise.rates = ToFile(rates);
    table_.AddRow({kind, "convolutions of each channel", BytesText(static_cast<uint64_t>(moving.points().back().first)),
                   absl::StrFormat("%s; at most %.1f Gflop/s", MillisecondsText(moving.points().back().second),
                                   1e-9 * fastest)});
    for (const auto& [form, measured] : by_form) {
      rates = product;
      rates.overlap = 0;
      rates = FitProducts(rates, measured, moving);
      CostFile::Operator& made = device->operators[form];
      made.by_bytes = moving;
      made.rates = ToFile(rates);
      made.rates["overlap"] = rates.overlap;
      AddProducts(kind, form, rates, measured, moving);
    }
    return absl::OkStatus();
  }

  // What an activation and a residual add to a product, of what they take alone.
  absl::StatusOr<double> MeasureEpilogues(const std::vector<LogicalDeviceId>& devices, const CostFile::Device& device) {
    Probe probe{.what = Probe::What::kProduct, .size = 512, .columns = 64, .inner = 64};
    ASSIGN_OR_RETURN(const Measured without, Time(probe, devices));
    probe.epilogue = true;
    ASSIGN_OR_RETURN(const Measured with, Time(probe, devices));
    double alone = 0;
    for (const OperatorWork& work : with.works) {
      if (work.epilogue) alone += device.operators.at(std::string(work.type)).by_bytes->At(work.bytes);
    }
    return std::clamp((with.seconds - without.seconds) / alone, 0.0, 1.0);
  }

  void AddProducts(const std::string& kind, const std::string& what, const OperatorRates& rates,
                   const std::vector<Measured>& measured, const std::optional<CostCurve>& moving = std::nullopt) {
    table_.AddRow({kind, what, "",
                   absl::StrFormat("%.1f Gflop/s, half of it at %.0f rows, %.0f columns or %.0f inner; %d measured, mean error %.0f %%",
                                   1e-9 * rates.flops_per_second, rates.half_rows, rates.half_columns, rates.half_inner,
                                   measured.size(), 100 * MeanError(rates, measured, moving))});
  }

  static CostFile::Rates ToFile(const OperatorRates& rates) {
    return {{"flops_per_second", rates.flops_per_second}, {"bytes_per_second", rates.bytes_per_second},
            {"start_seconds", rates.start_seconds},       {"half_rows", rates.half_rows},
            {"half_columns", rates.half_columns},         {"half_inner", rates.half_inner}};
  }

  absl::StatusOr<CostFile::Level> MeasureLinks(const std::string& where, const std::vector<LogicalDeviceId>& devices) {
    CostFile::Level level;
    std::vector<CollectiveSample> samples;
    for (const int size : GroupSizes(static_cast<int>(devices.size()))) {
      const std::vector<LogicalDeviceId> group(devices.begin(), devices.begin() + size);
      for (const CollectiveKind kind : extent_.collectives) {
        if (!HasCurve(kind, size)) continue;
        std::vector<CostCurve::Point> points;
        for (const int64_t payload : extent_.payloads) {
          const Probe probe{.what = Probe::What::kCollective, .collective = kind, .size = payload};
          ASSIGN_OR_RETURN(const double time, SecondsOf(probe, group));
          points.emplace_back(static_cast<double>(payload), time);
        }
        ASSIGN_OR_RETURN(const CostCurve curve, Increasing(std::move(points)));
        for (const auto& [bytes, seconds] : curve.points()) {
          samples.push_back({kind, size, bytes, seconds});
          table_.AddRow({where, absl::StrCat(ToString(kind), " of ", size), BytesText(static_cast<uint64_t>(bytes)),
                         MillisecondsText(seconds)});
        }
        if (kind == CollectiveKind::kSendReceive) {
          const CostCurve::Point& least = curve.points().front();
          const CostCurve::Point& most = curve.points().back();
          const double beta = std::max((most.second - least.second) / (most.first - least.first), 1e-15);
          level.bytes_per_second = 1 / beta;
          level.alpha_seconds = std::max(least.second - beta * least.first, 1e-9);
        }
      }
    }
    if (samples.empty()) return level;
    // Between the sizes that were measured a curve bends as those of the other collectives say.
    ASSIGN_OR_RETURN(const CollectiveFit fit, CollectiveFit::Make(std::move(samples)));
    level.collectives = fit.Curves(static_cast<double>(extent_.payloads.front()), static_cast<double>(extent_.payloads.back()));
    return level;
  }

  // More is never faster: where a measurement says so, it was noise.
  static absl::StatusOr<CostCurve> Increasing(std::vector<CostCurve::Point> points) {
    for (size_t i = points.size() - 1; i-- > 0;) points[i].second = std::min(points[i].second, points[i + 1].second);
    return CostCurve::Make(std::move(points));
  }

  absl::StatusOr<Measured> Time(const Probe& probe, const std::vector<LogicalDeviceId>& devices) {
    Measured measured;
    ASSIGN_OR_RETURN(measured.works, probe.Work());
    ASSIGN_OR_RETURN(measured.seconds, SecondsOf(probe, devices));
    return measured;
  }

  // Of one repetition. ABORTED when the machine is too busy to tell.
  absl::StatusOr<double> SecondsOf(const Probe& probe, const std::vector<LogicalDeviceId>& devices) {
    ++done_;
    if (const client::ProgressCallback progress = session_.progress()) {
      progress({"calibrate", static_cast<double>(done_) / static_cast<double>(to_do_), ""});
    }
    for (int attempt = 0; attempt < kAttempts; ++attempt) {
      ASSIGN_OR_RETURN(const double seconds, TrySecondsOf(probe, devices));
      if (seconds > 0) return seconds;
    }
    return absl::AbortedError(absl::StrCat("a run of many ",
                                           probe.what == Probe::What::kProduct       ? "matrix products"
                                           : probe.what == Probe::What::kConvolution ? "convolutions"
                                           : probe.what == Probe::What::kCollective ? absl::StrCat(ToString(probe.collective), "s")
                                                                                    : absl::StrCat(probe.type, "s"),
                                           " took no longer than one of few: the machine is too busy to measure; try again when it is idle"));
  }

  // Nothing, or less, when the difference was lost in noise.
  absl::StatusOr<double> TrySecondsOf(const Probe& probe, const std::vector<LogicalDeviceId>& devices) {
    ASSIGN_OR_RETURN(const double some, RunSeconds(probe, devices, kShortRepetitions));
    // First a guess at how many repetitions can be told from noise, then these.
    const double weights = 4.0 * static_cast<double>(probe.weights()) * static_cast<double>(devices.size());
    const int most = weights > 0 ? std::clamp(static_cast<int>(kMostProbeBytes / weights), 6, kMostRepetitions) : kMostRepetitions;
    int more = std::min(probe.what == Probe::What::kOperator && probe.size <= kSmall ? most : 16, most);
    ASSIGN_OR_RETURN(double all, RunSeconds(probe, devices, kShortRepetitions + more));
    const double guess = std::max((all - some) / more, 1e-7);
    const int enough = std::min(static_cast<int>(kProbeSeconds / guess), most);
    if (enough > more) {
      more = enough;
      ASSIGN_OR_RETURN(all, RunSeconds(probe, devices, kShortRepetitions + more));
    }
    return (all - some) / more;
  }

  absl::StatusOr<double> RunSeconds(const Probe& probe, const std::vector<LogicalDeviceId>& devices, int repetitions) {
    ASSIGN_OR_RETURN(const SlicedModel model, ProbeModel(probe, devices, repetitions));
    RETURN_IF_ERROR(WriteOm(model, om_));
    RETURN_IF_ERROR(client_.Load(om_, session_.Bounded(client::LoadOptions{{}, kModel})).status());
    const absl::StatusOr<double> seconds = TimeRuns();
    const absl::Status unloaded = client_.Unload(kModel, session_.ForCleanup());
    RETURN_IF_ERROR(seconds.status());
    RETURN_IF_ERROR(unloaded);
    return seconds;
  }

  absl::StatusOr<double> TimeRuns() {
    const float zero = 0;
    const std::vector<client::Tensor> inputs{client::Tensor::Of<float>("go", {1}, {&zero, 1})};
    std::vector<double> times;
    for (int i = 0; i < kWarmRuns + kRuns; ++i) {
      const absl::Time begin = absl::Now();
      RETURN_IF_ERROR(client_.Run(kModel, inputs, session_.Bounded(client::RunOptions{})).status());
      if (i >= kWarmRuns) times.push_back(absl::ToDoubleSeconds(absl::Now() - begin));
    }
    std::nth_element(times.begin(), times.begin() + kCounts, times.end());
    return times[kCounts];
  }

  Session& session_;
  client::Client& client_;
  const Extent extent_;
  const std::string om_;
  Table table_{{"WHERE", "WHAT", "SIZE", "MEASURED"}};
  size_t to_do_ = 1, done_ = 0;
};

}  // namespace

absl::StatusOr<int> RunCalibrate(Session& session, const CalibrateArguments& arguments) {
  ASSIGN_OR_RETURN(client::Client * client, session.Connect());
  ASSIGN_OR_RETURN(const client::ClusterStatus cluster, client->DescribeCluster(session.Bounded(client::CallOptions{})));
  ASSIGN_OR_RETURN(const std::vector<CalibratedWorker> workers, LiveWorkers(cluster));
  ASSIGN_OR_RETURN(const std::unique_ptr<TemporaryFolder> folder, TemporaryFolder::Create("omctl-calibrate-"));
  Calibration calibration(session, *client, ExtentOf(arguments.quick), folder->path());
  ASSIGN_OR_RETURN(const CostFile file, calibration.Measure(workers));
  const std::string text = file.ToJson();
  RETURN_IF_ERROR(WriteFileAtomically(arguments.output, text));
  if (session.json()) {
    session.PrintJson(ordered_json::parse(text));
  } else {
    session.Print(absl::StrCat(calibration.table().ToString(), "\nwritten to ", arguments.output,
                               "; plan by it with --cost-file\n"));
  }
  return 0;
}

}  // namespace omserve::cli
