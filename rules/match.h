/* rules/match.h - one delivery against one rule set: which rules fire, for which cells, and why the others do not. Pure; one thread
 * at a time for each match. */
#pragma once
#include "rules/ruleset.h"

struct delivery_view {                          /* all borrowed */
	const struct source *source;
	struct slice event, action;             /* native, as the provider's descriptor identified them */
	struct slice json;                      /* the JSON document (the form's payload field where it is a form) */
	struct slice headers_json, query;       /* ptr NULL: not known, and so is what is asked of them */
	const char *delivery_key;
	int64_t received_ms;
	/* Of events that no sender brings; left out for all others. */
	const struct rule *only;        /* a schedule's, or the one a person runs: it fires, if it is enabled, whatever its `on` and `when` say */
	int64_t planned_ms;             /* cron: the moment that was meant */
	struct slice cause_json;        /* {"rule","event":{fields},…}: the job that caused it; its event's fields are this one's */
};
struct match;                                   /* one delivery against one rule set; one thread at a time */
/* Extract, normalise, evaluate. -1: the JSON is malformed or beyond a bound (ERR_INPUT, ERR_LIMIT): nothing matched.
 * *out is owned; what D borrows must outlive it, RS need not. */
int ruleset_match(const struct ruleset *rs, const struct delivery_view *d, struct match **out, struct err *e) MUST_USE;
void match_free(struct match *m);
size_t match_count(const struct match *m);
const struct rule *match_rule(const struct match *m, size_t i);         /* those that fire, in file order */
/* Of rule I: one for a rule without a matrix, whose text is "". */
size_t match_cell_count(const struct match *m, size_t i);
const char *match_cell(const struct match *m, size_t i, size_t cell);
/* What the job of rule I may do: TRUST_FULL unless the event comes from a fork, or may. */
enum job_trust match_trust(const struct match *m, size_t i);
/* 1 where `once` of rule I applies: its key is appended (a long one as its hash). 0 without one, or where the event lacks a
 * field of the key. */
int match_once_key(const struct match *m, size_t i, size_t cell, struct buf *key, int64_t *within_ms);
/* Which queue the job is in is appended: 1: OUT is the name of a shared one. 0: one of the rule alone, and OUT its key, filled from
 * the event (a long one as its hash; empty without a key). A slot is of a queue and a cell. */
int match_queue_key(const struct match *m, size_t i, size_t cell, struct buf *out);
/* 1: a push, which may merge with others of its repository and ref: "REPO\nREF" is appended. 0: any other event, one that a person
 * or a schedule made for a rule, or one that lacks either. */
int match_merge_key(const struct match *m, struct buf *out);
/* For a job of a rule with paths_from = "git": what is left to decide once its changed files are known (rules/residue.h). Nothing
 * is appended where it needs no deciding. */
void match_residue_json(const struct match *m, size_t i, size_t cell, struct buf *out);
const char *match_event(const struct match *m);                         /* common, else native; "" where none */
const char *match_action(const struct match *m);
/* The normalised event: source, provider, event (common, else native), action, native, delivery, received ("2026-12-01T06:00:00Z"), the fields
 * that it has, and "unknown":[names] of those that its payload cannot tell. */
void match_event_json(const struct match *m, struct buf *out);
void match_summary_json(const struct match *m, struct buf *out);        /* repo … sender, planned, caused_by: present ones */
/* [{"rule","because"}]: listen, did not fire; with "cell": the rule fired, and not for this cell of its matrix. The nearest misses
 * first, 50 at most, then {"rule":"","because":"and N more"}. */
void match_why_json(const struct match *m, struct buf *out);
void match_matched_notes_json(const struct match *m, struct buf *out);  /* [{"rule","note"}]: fired on an unknown, says so */
/* Every condition of every rule that listens (and the names of those that do not): wanted, got, place. Of more rules than
 * these, the first that fire before the others, and how many are left; of one that is left, match_explain_rule tells. */
#define EXPLAIN_RULES_MAX 200
void match_explain(const struct match *m, struct buf *out, int colour);
/* {"source","event","action","rules":N,"listen":N,"match":N,"explained":[{"rule","file","line","on":[…],"result":"yes|no|unknown",
 * "fires":bool,("enabled":false,)("only":true,)"verdict",
 * "conditions":[{"name","result","line","col","want","got","text"} | {"name":"any|all|none",…,"conditions":[…]}],
 * ("cells":[{"cell","result","runs","conditions"}],)("queue":as above,("queue_key":filled,))("filter":{"line","col",
 * "text"})}],("more":N)}
 * "only": it was meant for this rule, whose conditions were not asked. Whole at any maximum of OUT from 4 KiB on: rules that find
 * no room are among "more". */
void match_explain_json(const struct match *m, struct buf *out);
/* The same of one rule of M's set; in JSON it has "listens":false where it does not listen. OUT may be over. */
void match_explain_rule(const struct match *m, const struct rule *r, struct buf *out, int colour);
void match_explain_rule_json(const struct match *m, const struct rule *r, struct buf *out);
int match_fires_rule(const struct match *m, const struct rule *r);
