// Another spelling of all_ops.h.
#include "all_ops.h"
