/* base/scan.c - runs of ordinary bytes, by the compiler's vectors of sixteen. */
#include "base/scan.h"

#include <string.h>

typedef signed char bytes16 __attribute__((vector_size(16)));

static int is_any(bytes16 v)
{
	uint64_t halves[2];
	memcpy(halves, &v, sizeof v);
	return (halves[0] | halves[1]) != 0;
}

/* As signed chars, the bytes from 0x80 on are below 0x20, too. */
static int is_printable(char c)
{
	return (signed char)c >= 0x20 && c != 0x7f;
}

size_t scan_printable(struct slice s)
{
	size_t n = 0;
	bytes16 v;

	for (; n + sizeof v <= s.len; n += sizeof v) {
		memcpy(&v, s.ptr + n, sizeof v);
		if (is_any((v < 0x20) | (v == 0x7f)))
			break;
	}
	while (n < s.len && is_printable(s.ptr[n]))
		n++;
	return n;
}

size_t scan_json_plain(struct slice s)
{
	size_t n = 0;
	bytes16 v;

	for (; n + sizeof v <= s.len; n += sizeof v) {
		memcpy(&v, s.ptr + n, sizeof v);
		if (is_any((v < 0x20) | (v == 0x7f) | (v == '"') | (v == '\\')))
			break;
	}
	while (n < s.len && is_printable(s.ptr[n]) && s.ptr[n] != '"' && s.ptr[n] != '\\')
		n++;
	return n;
}
