/* cli/sample.c - the sample payloads that are shipped. The table is made at build time by embed_samples.py. */
#include "cli/sample.h"

#include <string.h>

#include "samples.inc"

int sample_find(const char *provider, const char *event, struct buf *out, struct err *e)
{
	CLEANUP(buf_fini) struct buf names = BUF(400);

	for (size_t i = 0; i < COUNT(samples); i++) {
		if (strcmp(samples[i].provider, provider))
			continue;
		if (!strcmp(samples[i].event, event)) {
			buf_add(out, (struct slice){ (const char *)samples[i].bytes, samples[i].len });
			return 0;
		}
		buf_addf(&names, "%s%s", names.len ? ", " : "", samples[i].event);
	}
	if (!names.len)
		return err_set(e, ERR_INPUT, "no sample of provider '%s' is shipped: give --file", provider);
	return err_set(e, ERR_INPUT, "no sample of '%s' is shipped, of %s there are %s: give --file", event, provider,
		       buf_cstr(&names));
}
