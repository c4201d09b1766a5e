/* rules/job_api.h - the methods and the data of `job` in words: what the reference page and the editor types are made of. The
 * functions themselves are in lua/; a test holds the two together. Types are written as the Lua language server reads them
 * ("string", "string?", "fun(): any"). Constant; any thread. */
#pragma once
#include <stddef.h>

struct job_word {                       /* arrays of them end with name NULL */
	const char *name, *type, *doc;
};
struct job_method {
	const char *name;
	const struct job_word *params;  /* before and behind the options, in order; the one named "options" is that table */
	const struct job_word *options; /* its keys; NULL: it takes none */
	const char *returns;            /* NULL: nothing */
	const char *doc, *example;
	int has_items;                  /* the options table is the whole call, and holds the arguments too: job:exec { … } */
};
extern const struct job_method job_methods[];
extern const size_t job_method_count;
extern const struct job_word job_data[];        /* job.event, …; ended by name NULL */
