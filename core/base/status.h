// Status macros of the house.
//
//   absl::StatusOr<Plan> Make() {
//     RETURN_IF_ERROR(Check());
//     ASSIGN_OR_RETURN(Graph graph, Import(path));
//     return PlanFor(graph);
//   }
#ifndef OMSERVE_CORE_BASE_STATUS_H_
#define OMSERVE_CORE_BASE_STATUS_H_

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"

namespace omserve {

// Returns `status` with "context: " in front of its message; OK stays OK. The code and payloads are kept.
inline absl::Status Annotate(const absl::Status& status, absl::string_view context) {
  if (status.ok()) return status;
  absl::Status annotated(status.code(), absl::StrCat(context, ": ", status.message()));
  status.ForEachPayload(
      [&](absl::string_view url, const absl::Cord& payload) { annotated.SetPayload(url, payload); });
  return annotated;
}

}  // namespace omserve

#define OMSERVE_CONCAT_INNER(a, b) a##b
#define OMSERVE_CONCAT(a, b) OMSERVE_CONCAT_INNER(a, b)

#define RETURN_IF_ERROR(expr)                                                \
  do {                                                                       \
    if (absl::Status omserve_status = (expr); !omserve_status.ok()) {        \
      return omserve_status;                                                 \
    }                                                                        \
  } while (false)

// As RETURN_IF_ERROR, naming in `context` what was being done.
#define RETURN_IF_ERROR_WITH(expr, context)                                  \
  do {                                                                       \
    if (absl::Status omserve_status = (expr); !omserve_status.ok()) {        \
      return ::omserve::Annotate(omserve_status, context);                   \
    }                                                                        \
  } while (false)

#define ASSIGN_OR_RETURN_IMPL(result, lhs, expr) \
  auto result = (expr);                          \
  if (!result.ok()) return result.status();      \
  lhs = std::move(result).value()

#define ASSIGN_OR_RETURN(lhs, expr) ASSIGN_OR_RETURN_IMPL(OMSERVE_CONCAT(omserve_or_, __LINE__), lhs, expr)

#define ASSIGN_OR_RETURN_WITH_IMPL(result, lhs, expr, context)                       \
  auto result = (expr);                                                              \
  if (!result.ok()) return ::omserve::Annotate(result.status(), context);            \
  lhs = std::move(result).value()

#define ASSIGN_OR_RETURN_WITH(lhs, expr, context) \
  ASSIGN_OR_RETURN_WITH_IMPL(OMSERVE_CONCAT(omserve_or_, __LINE__), lhs, expr, context)

#endif  // OMSERVE_CORE_BASE_STATUS_H_
