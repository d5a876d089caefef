// The parts of a cluster OM that connect its slices: the root graph (MODEL_DEF) and the relation of submodels
// (FLOW_MODEL), both made from the ModelInfo.
#ifndef OMSERVE_CORE_OM_FLOW_MODEL_H_
#define OMSERVE_CORE_OM_FLOW_MODEL_H_

#include <string>

#include "core/om/model.h"
#include "ge/flow_model.pb.h"
#include "ge/ge_ir.pb.h"

namespace omserve {

// "0:0:0:0,0:0:1:0": the devices of a slice as deploy_info holds them.
std::string DeviceList(const SliceInfo& slice);

// Data → one PartitionedCall per slice → NetOutput. An output that slices hold in pieces appears once per
// different piece, from the first slice that has it.
ge::proto::GraphDef RootGraph(const ModelInfo& info);

// Slices are connected by queues of equal name.
ge::flow_model::proto::FlowModelDef FlowModel(const ModelInfo& info);

}  // namespace omserve

#endif  // OMSERVE_CORE_OM_FLOW_MODEL_H_
