/* cli/sample.h - the sample payloads that are shipped (plugins/providers/samples/PROVIDER/EVENT.json, embedded). Pure. */
#pragma once
#include "base/buf.h"
#include "base/err.h"

/* Append the sample of EVENT ("push", "pull_request") to OUT. -1: there is none; the message names those there are. */
int sample_find(const char *provider, const char *event, struct buf *out, struct err *e) MUST_USE;
