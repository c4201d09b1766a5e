/* rules/declared.h - what a directory declares, as plain JSON, for programs: { "config": {…}, "source": { NAME: {…} },
 * "rule": { NAME: {…} } }. Its form is that of the JSON Schema (rules/reference.h). Pure. */
#pragma once
#include "base/buf.h"
#include "base/err.h"

/* BUNDLE is eval's (rules/ruleset.h), of a directory that has passed the check. A rule whose name another file has used too
 * stands under "FILE:NAME". -1: the bundle is malformed (ERR_INPUT). */
int declared_json(struct slice bundle, struct buf *out, struct err *e) MUST_USE;
