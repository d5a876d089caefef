#include "core/cluster/operator_cost.h"

#include <algorithm>

#include "core/cluster/cluster.h"

namespace omserve {
namespace {

double Saturation(int64_t size, double half) {
  return size > 0 ? static_cast<double>(size) / (static_cast<double>(size) + half) : 1;
}

}  // namespace

double OperatorRates::Seconds(const OperatorWork& work) const {
  const double reached = Saturation(work.rows, half_rows) * Saturation(work.columns, half_columns) *
                         Saturation(work.inner, half_inner);
  return start_seconds + std::max(work.flops / (flops_per_second * reached), work.bytes / bytes_per_second);
}

double Cluster::OperatorTime(int position, const OperatorWork& work) const {
  const ClusterDevice& device = devices_[static_cast<size_t>(position)];
  if (device.measured == nullptr) return device.Seconds(work);
  auto found = device.measured->find(work.type);
  if (found == device.measured->end()) return device.Seconds(work);
  const MeasuredOperator& measured = found->second;
  auto product = measured.by_product.find({work.rows, work.columns, work.inner});
  if (product != measured.by_product.end()) return product->second;
  if (measured.by_bytes) return measured.by_bytes->At(work.bytes);
  return measured.rates ? measured.rates->Seconds(work) : device.Seconds(work);
}

}  // namespace omserve
