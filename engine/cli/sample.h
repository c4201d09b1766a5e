/* cli/sample.h - the sample events of a provider: those that are shipped (plugins/providers/samples/PROVIDER/NAME.http,
 * embedded) and those of the user, in the same folder of the site, which come first. A sample is text as of
 * rules/recording.h. */
#pragma once
#include "base/buf.h"
#include "base/err.h"

struct sample {
	char *name;                     /* "push", "pull_request.opened" */
	struct buf text;
};
struct samples {
	struct sample *list;            /* by name */
	size_t n;
};
/* All of PROVIDER. SITE may be a folder that is not there. 0: end *out with samples_fini. -1: a file of the site cannot
 * be read (ERR_IO, ERR_LIMIT). */
int samples_read(const char *provider, const char *site, struct samples *out, struct err *e) MUST_USE;
void samples_fini(struct samples *s);
const struct sample *samples_find(const struct samples *s, const char *name);
void samples_names(const struct samples *s, struct buf *out);           /* "ping, push, tag" */
/* The names of shipped providers that have samples, one after the other; NULL at the end. */
const char *sample_provider(size_t i);
