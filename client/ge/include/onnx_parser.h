// Another spelling of parser/onnx_parser.h.
#include "parser/onnx_parser.h"
