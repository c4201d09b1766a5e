/* eval/builtin.h - the providers that come with the program: the files of plugins/providers/, embedded at build time. */
#pragma once
#include <stddef.h>

struct eval_builtin {
	const char *name;
	const unsigned char *text;
	size_t len;
};
extern const struct eval_builtin eval_builtins[];
extern const size_t eval_builtin_count;
