/* cli/yaml_read.h - a YAML document as JSON values; libyaml is included here alone. Pure. */
#pragma once
#include <jansson.h>

#include "base/err.h"
#include "base/slice.h"

#define YAML_NODES_MAX 100000                   /* with what aliases repeat */
#define YAML_DEPTH_MAX 64

/* The first document of TEXT. Plain scalars are strings, true, false or null, as YAML 1.1 has it; numbers stay strings, as they
 * were written. 0: *out is owned. -1: not YAML, with the line; or beyond a bound. */
int yaml_read(struct slice text, json_t **out, struct err *e) MUST_USE;
