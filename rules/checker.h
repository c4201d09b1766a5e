/* rules/checker.h - what the files of check share; no one else includes it. */
#pragma once
#include "rules/check.h"
#include "rules/schema.h"

struct checker {
	const struct check_file *file;
	const struct check_context *ctx;
	struct diags *out;
	const struct node *on, *cron;   /* of the rule being checked; NULL outside of rules */
	const struct node *matrix;      /* of that rule, NULL without */
	int paths_from_git;             /* of that rule */
	struct slice rule;              /* its name */
	int when_depth;                 /* of any, all and none about what is being checked */
};

/* An error (or a warning) at a node. */
void check_say(struct checker *c, const struct node *at, const char *code, const char *fmt, ...) PRINTF(4, 5);
void check_warn(struct checker *c, const struct node *at, const char *code, const char *fmt, ...) PRINTF(4, 5);
/* At a member's key. */
void check_say_key(struct checker *c, const struct node_member *m, const char *code, const char *fmt, ...) PRINTF(4, 5);
/* A network or an address; WHAT: in front of what is said of it. */
void check_network(struct checker *c, const char *what, const struct node *n);
/* ", did you mean 'x'?", or nothing, into HINT. */
#define HINT_BYTES 128
void check_hint(struct slice word, const char *const *words, char hint[HINT_BYTES]);
int check_is_word(struct slice s, const char *const *words);
/* `the string "x"`, `the number 10`, `a table`. */
#define GOT_BYTES 96
void check_got(const struct node *n, char got[GOT_BYTES]);
/* `{ "a", key = … }`, as far as it is short: what a table would be within one more pair of braces. */
void check_shape(const struct node *table, struct buf *out);

/* check_foreign.c: what a key of TABLE ("when"; "operator": of a test) that other systems have is written as here; NULL: it is
 * none of these. Then, as warnings: patterns that read like another language's and never match as these. */
const char *check_foreign(const char *table, struct slice word);
void check_foreign_pattern(struct checker *c, int field, const struct node *n);
/* check_when.c */
#define WHEN_MAX_DEPTH 16
void check_conditions(struct checker *c, const struct node *when);
/* check_event.c: a word of `on`; a template; which fields the events of `on` can have (all, where that is not known). */
void check_event(struct checker *c, const struct node *word);
void check_template(struct checker *c, const struct node *text);
/* Whether WORD of `on` brings events with the common name KIND; 0 where that is not known. */
int check_hears(const struct checker *c, struct slice word, const char *kind);
/* check_queue.c: the name of a shared queue; a queue's table; what a rule loses by its queue. */
void check_queue_name(struct checker *c, const struct node *name);
void check_queue(struct checker *c, const struct node *queue);
void check_queue_use(struct checker *c, const struct node *rule);
/* check_holes.c: of a step, what is no template and looks like one; of a template, {{ title }} and ${{ github.ref }}. */
void check_step_texts(struct checker *c, const struct node *step);
void check_braces(struct checker *c, const struct node *template);
/* check_matrix.c: the matrix itself; the name x of {matrix.x}. */
void check_matrix(struct checker *c, const struct node *matrix);
void check_matrix_name(struct checker *c, const struct node *text, struct slice name);
/* Warn where the rule hears of its own jobs, and so could go round for ever; where it waits for those of a rule that there is not. */
void check_loop(struct checker *c, const struct node *when);
uint64_t check_event_fields(const struct checker *c, struct slice word);
uint64_t check_fields_of_on(const struct checker *c);
/* Whether some event of `on` can have all these fields at once; 1 where that is not known. */
int check_events_have(const struct checker *c, uint64_t fields);
/* What to write where FIELD and OTHER (or -1) are never on one event of `on`: "; …", or "". */
const char *check_instead(const struct checker *c, int field, int other);
/* check_never.c: tests of a `when` without errors that cannot hold together. */
void check_never(struct checker *c, const struct node *when);
