/* rules/schema.h - everything that may be written in a user's directory, as one table: declarations, their keys, the types
 * of the values, a line and an example of each. check.c validates by it, and whatever tells people about the language
 * (reference, editor types, completion) is generated from it. To add a key is to add a row. Pure, constant; any thread. */
#pragma once
#include "base/buf.h"
#include "base/slice.h"

enum schema_kind {
	SCHEMA_STRING = 1,              /* at least MIN bytes */
	SCHEMA_DURATION,                /* "10m"; from MIN to MAX ms */
	SCHEMA_SIZE,                    /* "64MiB"; from MIN to MAX bytes */
	SCHEMA_INTEGER,                 /* MIN to MAX */
	SCHEMA_BOOL,
	SCHEMA_WORD,                    /* one of WORDS */
	SCHEMA_DATE,                    /* "2026-12-01" or "2026-12-01T06:00:00Z" */
	SCHEMA_ADDRESS,                 /* "127.0.0.1:8787", "[::1]:8787" */
	SCHEMA_NETWORK,                 /* "10.0.0.0/8", "2001:db8::1" */
	SCHEMA_PATH,                    /* of a URL: "/webhooks/stripe" */
	SCHEMA_NAME,                    /* of a secret: [A-Za-z0-9._-]{1,64} */
	SCHEMA_TEMPLATE,                /* a string in which {field} stands for the event's field; MIN to MAX bytes, MAX 0: any */
	SCHEMA_PROVIDER,                /* the name of a provider */
	SCHEMA_QUEUE,                   /* the name of a queue that pushrod.lua declares */
	SCHEMA_EVENT,                   /* "push", "github:pull_request.opened" */
	SCHEMA_CRON,                    /* "0 3 * * mon-fri", "@daily" */
	SCHEMA_SECRET,                  /* secret "name" */
	SCHEMA_FUNCTION,
	SCHEMA_FILTER,                  /* function(event) return false, "why" end */
	SCHEMA_TABLE,                   /* with the keys of TABLE, and items as it says */
	SCHEMA_LIST,                    /* at least MIN items, at most MAX (0: any number), each of a type of OF */
	SCHEMA_MAP,                     /* any key that is a name of an environment variable; values of a type of OF */
	SCHEMA_CONDITIONS,              /* what `when` holds */
	SCHEMA_MATRIX,                  /* a list of cells, or a product of lists of values */
	SCHEMA_ANYTHING,                /* has its own compiler: a provider's descriptor */
};

#define KEY_TEMPLATE_MAX 512            /* bytes of a key's template */
#define QUEUE_DEBOUNCE_MIN_MS 100
#define NETWORKS_MAX 256                /* of one list */

struct schema_table;
struct schema_type {                    /* arrays of them end with kind 0 and mean: any of these */
	enum schema_kind kind;
	int64_t min, max;
	const char *const *words;
	const struct schema_table *table;
	const struct schema_type *of;
};
struct schema_key {
	const char *name;
	const struct schema_type *types;
	int is_required;
	const char *doc;                /* one line */
	const char *example;            /* the value, as it would be written; NULL: of a table, see its keys */
};
struct schema_table {
	const struct schema_key *keys;
	size_t n;
	const struct schema_key *item;  /* what stands first in it without a name; NULL: nothing may */
	int takes_many;                 /* several of them may */
};
enum schema_place { SCHEMA_SETTINGS, SCHEMA_RULES, SCHEMA_PROVIDERS };  /* pushrod.lua, rules/, plugins/providers/ */
struct schema_decl {
	const char *kind;
	enum schema_place place;
	int has_name;
	const struct schema_table *table;       /* NULL: not checked here */
	const char *doc;
	const char *example;            /* a whole declaration; NULL: told elsewhere */
};
extern const struct schema_decl schema_decls[];
extern const size_t schema_decl_count;
/* Words that the language has and this version does not know yet: say so instead of "undefined". NULL-ended. */
extern const char *const schema_later_words[];

const struct schema_decl *schema_decl_find(struct slice kind);                          /* NULL for another word */
const struct schema_key *schema_key_find(const struct schema_table *t, struct slice name);

/* ---- the words of `when` and of `on` ---- */
enum operator_operand {
	OPERAND_SCALAR,                 /* a string, number, true, false, null */
	OPERAND_ORDERED,                /* a number or a string */
	OPERAND_TEXT,
	OPERAND_PATTERN,                /* a string with * ** ? */
	OPERAND_REGEX,
	OPERAND_NETWORK,                /* "10.0.0.0/8" */
	OPERAND_BOOL,
	OPERAND_TEST,                   /* of each element of a list: a test, or a table of tests by path */
};
struct schema_operator {
	const char *name;
	enum operator_operand operand;
	int takes_list;                 /* a list of operands means: any of them */
	const char *doc;
	const char *example;            /* a whole test: "title = { has = \"[urgent]\" }" */
};
extern const struct schema_operator schema_operators[];
extern const size_t schema_operator_count;
extern const char *const schema_facts[];                /* on every event: source, provider, …; NULL-ended */
extern const char *const schema_open[];                 /* payload, header, query: tables with keys of the sender's; NULL-ended */
extern const char *const schema_combinators[];          /* any, all, none; NULL-ended */
extern const char *const schema_events[];               /* common events; NULL-ended */
extern const char *const schema_reserved_sources[];     /* NULL-ended */

/* ---- the table in words ---- */

/* A duration as it is written, in the largest unit that holds it: "90s", "1h". Appended to OUT. */
void schema_add_duration(int64_t ms, struct buf *out);
/* "a duration such as \"10m\" or a list of these: …": any of TYPES, appended to OUT. */
void schema_wants(const struct schema_type *types, struct buf *out);
/* What the words of `when` and `on` mean; NULL for one that nobody has explained, which a test refuses. */
enum schema_word_kind { SCHEMA_WORD_FIELD, SCHEMA_WORD_OPEN, SCHEMA_WORD_FACT, SCHEMA_WORD_COMBINATOR, SCHEMA_WORD_EVENT };
struct schema_word {
	enum schema_word_kind kind;
	const char *name, *doc;
	const char *example;            /* of `when`: a whole member; of `on`: a word */
};
const struct schema_word *schema_word_find(enum schema_word_kind kind, const char *name);

/* ASCII letters, digits, '.', '_' and '-', 1 to 64, no dot in front: names of secrets, sources, rules' files. */
int schema_name_is_valid(struct slice s);
