#include "core/cluster/operator_cost.h"

#include <algorithm>

#include "core/cluster/cluster.h"

namespace omserve {
namespace {

double Saturation(int64_t size, double half) {
  return size > 0 ? static_cast<double>(size) / (static_cast<double>(size) + half) : 1;
}

double Together(double computing, double moving, double overlap) {
  return std::max(computing, moving) + (1 - overlap) * std::min(computing, moving);
}

}  // namespace

double OperatorRates::ComputingSeconds(const OperatorWork& work) const {
  const double reached = Saturation(work.rows, half_rows) * Saturation(work.columns, half_columns) *
                         Saturation(work.inner, half_inner);
  return work.flops / (flops_per_second * reached);
}

double OperatorRates::Seconds(const OperatorWork& work) const {
  return start_seconds + Together(ComputingSeconds(work), work.bytes / bytes_per_second, overlap);
}

double MeasuredOperator::Seconds(const OperatorWork& work, const OperatorRates& device) const {
  if (!by_product.empty()) {
    auto product = by_product.find({work.rows, work.columns, work.inner});
    if (product != by_product.end()) return product->second;
  }
  if (!by_bytes) return (rates ? *rates : device).Seconds(work);
  const double moving = by_bytes->At(work.bytes) + piece_seconds * static_cast<double>(work.pieces);
  return rates ? Together(rates->ComputingSeconds(work), moving, rates->overlap) : moving;
}

double Cluster::OperatorTime(int position, const OperatorWork& work) const {
  const ClusterDevice& device = devices_[static_cast<size_t>(position)];
  const double share = work.epilogue ? device.epilogue_share : 1;
  if (device.measured == nullptr) return share * device.Seconds(work);
  auto found = device.measured->end();
  if (!work.variant.empty()) found = device.measured->find(work.variant);
  if (found == device.measured->end()) found = device.measured->find(work.type);
  return share * (found == device.measured->end() ? device.Seconds(work) : found->second.Seconds(work, device));
}

}  // namespace omserve
