/* A hooks file of adnanh/webhook, as YAML, which JSON nearly is: whatever it holds becomes files, or an error that says why. */
#include <stdint.h>
#include <stdlib.h>

#include "cli/adnanh.h"
#include "cli/yaml_read.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	json_t *hooks = NULL;
	struct adnanh made;
	struct err e = { 0 };

	if (yaml_read((struct slice){ (const char *)bytes, n }, &hooks, &e) < 0) {
		if (!e.msg[0])
			abort();
		return 0;
	}
	if (adnanh_convert(hooks, "hooks.yaml", "hooks", &made, &e) == 0) {
		if (made.n_rules != made.n_hooks || made.n < made.n_rules + 1)
			abort();
		adnanh_fini(&made);
	}
	json_decref(hooks);
	return 0;
}
