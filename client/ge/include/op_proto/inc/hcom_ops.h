// Another spelling of hcom_ops.h.
#include "hcom_ops.h"
