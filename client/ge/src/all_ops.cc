// Registers every operator's class with OperatorFactory, whether or not a program includes all_ops.h.
#include "all_ops.h"
