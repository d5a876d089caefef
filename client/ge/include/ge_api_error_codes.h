// Another spelling of ge/ge_api_error_codes.h.
#include "ge/ge_api_error_codes.h"
