// Another spelling of ge/ge_ir_build.h.
#include "ge/ge_ir_build.h"
