// A simulation as a picture: a lane per stage, time from left to right, one self-contained SVG.
#ifndef OMSERVE_CLIENT_CLI_TIMELINE_SVG_H_
#define OMSERVE_CLIENT_CLI_TIMELINE_SVG_H_

#include <string>

#include "core/simulate/pipeline.h"

namespace omserve::cli {

// The events that `simulation` recorded of runs of `program`. Blocks have the classes mat, norm, move, other and comm.
// With several runs a strip above each lane tells them apart, and one below shows what its stage sends meanwhile.
std::string TimelineSvg(const PipelineProgram& program, const Simulation& simulation);

// `text` with the characters that mean something in HTML escaped.
std::string Escape(const std::string& text);

}  // namespace omserve::cli

#endif  // OMSERVE_CLIENT_CLI_TIMELINE_SVG_H_
