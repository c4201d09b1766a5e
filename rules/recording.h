/* rules/recording.h - a request kept as text, to be sent again: lines "Name: value", an empty line, the body without the
 * newline at its end. In all of it ${id} stands for the delivery's id, ${now} and ${now_ms} for the time. What proves who
 * sent it is not in it: provider_sign adds that. Pure. */
#pragma once
#include "base/buf.h"
#include "base/err.h"
#include "rules/provider.h"

#define RECORDING_MAX_HEADERS 40

struct recording {
	struct buf text;                        /* what the others borrow from */
	struct header headers[RECORDING_MAX_HEADERS];   /* a Content-Type among them: application/json unless TEXT says another */
	size_t n_headers;
	struct slice body;
};
/* 0: end *out with recording_fini. -1: TEXT is no such text (ERR_INPUT), or too long (ERR_LIMIT). */
int recording_parse(struct slice text, const char *id, int64_t now_ms, struct recording *out, struct err *e) MUST_USE;
void recording_fini(struct recording *r);
