/* rules/compiler.h - the steps by which a rule set is made, each in a file of its own. -1: what is wrong stands in DIAGS. */
#pragma once
#include "rules/compiled.h"

struct compiler {
	struct ruleset *rs;
	struct diags *diags;
	const char *file;               /* being compiled */
	int paths_from_git;             /* of the rule being compiled */
	void *subjects, *questions;     /* tsearch trees of what is known by name */
	size_t subjects_cap, questions_cap;
};
struct node;
void config_default(struct config *c);
int config_compile(struct compiler *c, const struct node *value);
int source_compile(struct compiler *c, const struct node *value, struct source *out);
#define QUEUE_POLICY_PLAIN ((struct queue_policy){ .busy = QUEUE_WAIT, .limit = 1 })
int policy_compile(struct compiler *c, const struct node *queue, struct queue_policy *out);
int queue_compile(struct compiler *c, const struct node *queue, struct rule *r);        /* QUEUE may be NULL */
int condition_compile(struct compiler *c, const struct node *when, struct cond *out);
int schedule_compile(struct compiler *c, const struct node *cron, struct rule *r);
int steps_compile(struct compiler *c, const struct node *value, struct rule *r);         /* steps, env, secrets, run */
int matrix_compile(struct compiler *c, const struct node *matrix, struct rule *r);      /* MATRIX may be NULL */
uint32_t subject_intern(struct compiler *c, enum subject_kind kind, int number, struct slice name);
uint32_t question_intern(struct compiler *c, uint32_t subject, struct predicate *p);     /* P is taken */
void interned_free(struct compiler *c);
int usage_build(struct ruleset *rs, struct usage *u, struct err *e);
void askers_build(struct ruleset *rs);  /* of all that is asked; the usages are built */

/* An error at a node, for what the schema cannot say. Returns -1. */
int compile_error(struct compiler *c, const struct node *at, const char *fmt, ...) PRINTF(3, 4);
