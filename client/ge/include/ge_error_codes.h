// Another spelling of ge/ge_error_codes.h.
#include "ge/ge_error_codes.h"
