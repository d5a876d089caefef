// Instances of the ASPLOS'25 / EuroSys'25 contest on intra-operator parallelism (IOPDDL), as cost networks.
//
// Format: {"problem": {"name", "nodes": {"intervals": [[lo, hi)…], "costs": [[…]…], "usages": [[…]…]},
// "edges": {"nodes": [[u, v]…], "costs": [[row-major]…]}, "usage_limit"}}, gzipped or not. Costs of 1e18 and more are
// forbidden; parallel edges occur; an empty interval takes no memory.
#ifndef OMSERVE_TESTS_PERF_IOPDDL_CONTEST_H_
#define OMSERVE_TESTS_PERF_IOPDDL_CONTEST_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "core/partition/search/network.h"

namespace omserve::iopddl {

struct Instance {
  std::string name;
  CostNetwork network;
};

// The bytes of a file, unpacked when it is a gzip file.
absl::StatusOr<std::string> ReadPacked(const std::string& path);

// Streams the file into a network.
absl::StatusOr<Instance> ReadInstance(const std::string& path);

// What the checker found: it reads the file again in its own way and adds up in integers.
struct Verdict {
  bool valid = false;  // one value per node, no forbidden one, memory kept at every time
  std::string problem;
  int64_t cost = 0;
};
absl::StatusOr<Verdict> Check(const std::string& path, const std::vector<int>& choice);

// A row of table.csv: what others reached. 0 = not known.
struct Record {
  double timeout_s = 0;
  double best_known = 0;      // least of the teams' costs
  double winner_solver = 0;   // the winners' later solver, median of 10 seeds on 8 cores
  double lower_bound = 0;
};
// By the name of the instance ("A"); a record of zeros when the table lacks it.
absl::StatusOr<Record> FindRecord(const std::string& table_path, const std::string& instance);

}  // namespace omserve::iopddl

#endif  // OMSERVE_TESTS_PERF_IOPDDL_CONTEST_H_
