/* extract() must accept what jansson accepts, and find what it finds. */
#include "extract_oracle.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	const char *wrong = oracle_check((struct slice){ (const char *)bytes, n });
	if (wrong) {
		fprintf(stderr, "%s\n", wrong);
		abort();
	}
	return 0;
}
