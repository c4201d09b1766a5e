/* rules/compiled.h - the inside of a rule set, for the files of rules/ that make, ask and explain it; no one else includes
 * it. Everything here is made by ruleset_compile and never changes after. */
#pragma once
#include "model/queue.h"
#include "rules/arena.h"
#include "rules/provider.h"
#include "rules/question.h"
#include "rules/ruleset.h"
#include "rules/usage.h"

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

/* ---- the set ---- */
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

const struct cell *cell_find(const struct rule *r, struct slice text);                  /* NULL where there is none */
const char *cell_value(const struct cell *cell, struct slice name);                     /* NULL where it has none; CELL may be NULL */
void rule_queue_json(const struct rule *r, struct buf *out);     /* {"name" or "key","limit","busy",…} */
