/* rules/matrix.h - bounds of a matrix, for the check and the compiler. Inside rules/ only. */
#pragma once
#include "rules/node.h"

#define MATRIX_MAX_CELLS 256
#define MATRIX_VALUE_MAX_BYTES 256      /* of one value */
#define CELL_MAX_BYTES 1024             /* of the text that a cell is known by */

/* How many cells MATRIX, which has passed the check, makes; more than MATRIX_MAX_CELLS is only "too many". */
size_t matrix_count(const struct node *matrix);
