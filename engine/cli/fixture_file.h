/* cli/fixture_file.h - fixtures and bodies that lie in files. One thread. */
#pragma once
#include "rules/fixture.h"

/* The file at PATH ("-": standard input), a fixture or a body. 0: *out (FIXTURE_NONE before) is owned. -1: unreadable, too
 * large, or a fixture with something wrong in it. */
int fixture_read(const char *path, struct fixture *out, struct err *e) MUST_USE;
