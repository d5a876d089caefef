// Another spelling of ge/ge_api_types.h.
#include "ge/ge_api_types.h"
