/* A file: what fixture_parse reads, fixture_write must write so that it is read as the same again. */
#include <stdint.h>
#include <stdlib.h>

#include "rules/fixture.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	struct fixture f = FIXTURE_NONE, again = FIXTURE_NONE;
	CLEANUP(buf_fini) struct buf text = BUF(BUF_UNLIMITED);
	struct err e;

	if (fixture_parse((struct slice){ (const char *)bytes, n }, &f, &e) < 0)
		return 0;
	fixture_write(&f, &text);
	if (fixture_parse(buf_slice(&text), &again, &e) < 0 ||
	    !slice_eq(slice_trim(buf_slice(&f.body)), slice_trim(buf_slice(&again.body))) || !slice_eq(slice_of(f.source), slice_of(again.source)))
		abort();
	fixture_fini(&f);
	fixture_fini(&again);
	return 0;
}
