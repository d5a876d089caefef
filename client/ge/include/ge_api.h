// Another spelling of ge/ge_api.h.
#include "ge/ge_api.h"
