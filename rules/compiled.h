/* rules/compiled.h - the inside of a rule set, for the files of rules/ that make, ask and explain it; no one else includes
 * it. Everything here is made by ruleset_compile and never changes after.
 *
 * A QUESTION is a predicate about a SUBJECT. Rules share questions: each is answered once per delivery, whoever asks. A
 * rule's `when` is a tree of conditions whose leaves are questions; the place of a leaf belongs to the rule. */
#pragma once
#include "model/queue.h"
#include "rules/arena.h"
#include "rules/normalise.h"
#include "rules/place.h"
#include "rules/predicate.h"
#include "rules/provider.h"
#include "rules/ruleset.h"

/* ---- subjects and questions ---- */
enum subject_kind {
	SUBJECT_FIELD,                  /* number: enum field_id */
	SUBJECT_EVENT,                  /* number: enum event_fact */
	SUBJECT_PAYLOAD,                /* by path */
	SUBJECT_HEADER,                 /* by name, in lower case */
	SUBJECT_QUERY,                  /* by name */
	SUBJECT_CHANGED,                /* the changed files of a rule with paths_from = "git": number FIELD_PATHS */
};
#define SUBJECT_KINDS 6
enum event_fact { FACT_SOURCE, FACT_PROVIDER, FACT_EVENT, FACT_ACTION, FACT_DELIVERY, FACT_RECEIVED, FACT_RULE, FACT_COUNT };
extern const char *const event_fact_names[FACT_COUNT];

struct subject {
	enum subject_kind kind;
	int number;
	const char *name;               /* "branch", the path, the header's name */
	const char *label;              /* for people: "branch", "a.b", "header x-a" */
	struct place place;             /* of a HEADER in the headers, of a QUERY in the query */
};
/* Under a name that the rules made up: there may be any number of such subjects, and a delivery has few. */
static inline int subject_is_open(const struct subject *s)
{
	return s->kind == SUBJECT_PAYLOAD || s->kind == SUBJECT_HEADER || s->kind == SUBJECT_QUERY;
}
struct question {
	uint32_t subject;
	struct predicate predicate;
};

/* ---- rules ---- */
enum cond_kind { COND_QUESTION, COND_ALL, COND_ANY, COND_NONE };
struct cond {
	enum cond_kind kind;
	int line, col;
	uint32_t question;              /* COND_QUESTION */
	const char *test;               /* of a SUBJECT_CHANGED: the table as written, in the form of rules/node.h; else NULL */
	struct cond *kids;              /* else; in the order of the file */
	size_t n;
};
struct pattern {                        /* one name of `on` */
	struct slice source;            /* len 0: any source, and common names only */
	struct slice event;             /* "push", "pull_request.opened"; "*" */
	const char *text;               /* as written */
};
struct env_var { const char *name, *value; };
struct step {
	const char *name, *sh, *cwd;    /* NULL where absent */
	const char **argv;              /* exec; NULL for sh */
	size_t n_argv, n_env;
	struct env_var *env;
	int64_t timeout_ms;             /* 0: the job's */
	int allow_failure;
};
struct cell_value { const char *name, *text; };
struct cell {                           /* of a matrix */
	const char *text;               /* `cc=gcc part=web`: known by it, unique within its rule */
	const char *json;               /* {"cc":"gcc","part":"web"} */
	struct cell_value *values;      /* by name */
	size_t n;
	int line, col;
	struct cond when;               /* COND_ALL; without kids it always holds */
};
struct queue {                          /* what pushrod.lua declares */
	const char *name;
	struct queue_policy policy;
};
struct rule {
	const char *name, *file;
	int line, col;
	struct pattern *on;
	size_t n_on, n_secrets, n_env, n_steps;
	struct cond when;               /* COND_ALL; without kids it always holds */
	int64_t timeout_ms;
	const char **secrets;
	struct env_var *env;
	struct step *steps;
	struct cell *cells;             /* none without a matrix */
	size_t n_cells;
	int checkout, has_run, has_filter, has_queue;
	int filter_line, filter_col;    /* 0 without a filter */
	int paths_from_git;
	struct { const char *key; int64_t within_ms; } once;   /* key NULL without */
	struct {                        /* POLICY holds in any case */
		struct queue_policy policy;
		const char *key;        /* of its own queue, a template; NULL: all its jobs are one */
		const char *shared;     /* the name of a declared one; NULL: its own */
	} queue;
	enum forks { FORKS_APPROVE, FORKS_LIMITED, FORKS_TRUST, FORKS_IGNORE } forks;
	struct schedule *schedule;      /* NULL: without cron */
	int is_disabled;                /* enabled = false */
	int skips_unknown;              /* unknown = "skip" */
};

/* ---- what is taken out of payloads ---- */
struct projection {                     /* what one pass takes out of a payload */
	struct paths *paths;
	struct mapping *mapping;        /* NULL without a provider */
};
struct askers {                         /* of each path: the subjects about which a question can hold once it was met */
	uint32_t *first;                /* by path, and one more: where they begin in `subjects` */
	uint32_t *subjects;
};
struct usage {                          /* of one provider by this set's sources; provider NULL for sources without */
	const char *name;
	struct provider *provider;      /* owned */
	struct projection fields;       /* the provider's own fields alone: nobody listens, the lists still show it */
	struct projection all;          /* and what the rules ask */
	struct place *places;           /* by subject; for others than payload paths, NO_PLACE */
	struct askers askers;           /* of all.paths */
};
struct source {
	const char *name, *path;
	struct usage *usage;
	struct source_secret *secrets;
	size_t n_secrets;
	struct networks allow;          /* none: anybody */
	int is_terse, is_open;          /* reply = "terse"; auth = "none" */
};

struct source_file { const char *path; struct slice text; };
struct module { const char *name; struct slice text; };
struct named_zone { const char *name; struct zone *zone; };     /* zone owned */

struct ruleset {
	int refs;                       /* atomic */
	char sha256[65];
	struct arena *arena;
	struct config config;
	struct source_file *files;
	struct module *modules;
	struct named_zone *zones;
	size_t n_files, n_modules, n_zones;
	struct usage *usages;
	struct source *sources;
	struct queue *queues;           /* what pushrod.lua declares, by name */
	size_t n_queues;
	struct source inner[INNER_COUNT];       /* what no sender brings: cron, job:, rule:, local: */
	size_t n_usages, n_sources;
	struct rule *rules;             /* in file order */
	struct paths *headers, *query;  /* what rules ask of them */
	struct askers of_headers, of_query;
	struct subject *subjects;
	struct question *questions;
	size_t n_rules, n_subjects, n_questions;
	struct index *index;
};

/* ---- the steps of compilation, each in its own file; -1: said in D ---- */
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
const struct cell *cell_find(const struct rule *r, struct slice text);                  /* NULL where there is none */
const char *cell_value(const struct cell *cell, struct slice name);                     /* NULL where it has none; CELL may be NULL */
uint32_t subject_intern(struct compiler *c, enum subject_kind kind, int number, struct slice name);
uint32_t question_intern(struct compiler *c, uint32_t subject, struct predicate *p);     /* P is taken */
void interned_free(struct compiler *c);
void rule_queue_json(const struct rule *r, struct buf *out);     /* {"name" or "key","limit","busy",…} */
int usage_build(struct ruleset *rs, struct usage *u, struct err *e);
void usage_fini(struct usage *u);
void askers_build(struct ruleset *rs);  /* of all that is asked; the usages are built */
void askers_fini(struct askers *a);

/* An error at a node, for what the schema cannot say. Returns -1. */
int compile_error(struct compiler *c, const struct node *at, const char *fmt, ...) PRINTF(3, 4);

/* ---- questions as a delivery answers them: match.c ---- */
struct match;
