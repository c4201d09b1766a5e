/* store/chain.c - what the end of a job causes: noted in the transaction that ends it, taken up after the commit. The
 * numbers of effects are those of changes, so that none is used twice and they come in the order of their causes. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "store/rows.h"
#include "store/submit.h"
#include "store/write.h"

#define JOBS_JSON_MAX (16u << 20)

static enum db_rc note(struct writer *w, enum effect_kind kind, int64_t job, int ordinal, const char *name, const char *data)
{
	w->may_have_effects = 1;
	return db_run(&w->db, SQL_OUTBOX_ADD, VALUES(INT(++w->now.change), INT(kind), INT(job), INT(ordinal), TEXT(name), TEXT(data)));
}

/* Where no job of JOB's delivery and rule is open any more. */
static enum db_rc note_rule(struct writer *w, int64_t job)
{
	int64_t n_open;
	enum db_rc rc = db_int(&w->db, SQL_OPEN_SIBLINGS, VALUES(INT(job)), &n_open);

	if (rc != DB_ROW)
		return rc == DB_OK ? DB_BROKEN : rc;
	return n_open ? DB_OK : note(w, EFFECT_RULE, job, 0, "", "");
}

/* A delivery that JOB took in may have another job of the rule, of another cell, which has ended before: its rule ends with JOB, and
 * that job speaks for it. One that went into JOB with all its cells is JOB's own delivery's from then on, and is not heard again. */
static enum db_rc note_rule_of_merged(struct writer *w, int64_t job)
{
	int64_t last = 0, speaker;
	enum db_rc rc;

	while ((rc = db_int(&w->db, SQL_SPEAKERS, VALUES(INT(job), INT(last)), &speaker)) == DB_ROW) {
		last = speaker;
		rc = note_rule(w, speaker);
		if (rc != DB_OK)
			return rc;
	}
	return rc;
}

enum db_rc chain_note_end(struct writer *w, int64_t job, const struct finish *r)
{
	enum db_rc rc = DB_OK;

	if (r && r->outputs_json)
		rc = db_run(&w->db, SQL_JOB_OUTPUTS, VALUES(INT(job), TEXT(r->outputs_json)));
	for (int i = 0; r && i < r->n_emits && rc == DB_OK; i++)
		rc = note(w, EFFECT_EMIT, job, i + 1, r->emits[i].name, r->emits[i].data_json);
	if (rc == DB_OK && w->hears_jobs)
		rc = note(w, EFFECT_JOB, job, 0, "", "");
	if (rc == DB_OK && w->hears_rules)
		rc = note_rule(w, job);
	return rc == DB_OK && w->hears_rules ? note_rule_of_merged(w, job) : rc;
}

/* The jobs of a rule stand together: the last of them speaks for all. */
enum db_rc chain_note_born(struct writer *w, const struct submit *r)
{
	enum db_rc rc = DB_OK;

	for (int i = 0; i < r->n_jobs && rc == DB_OK; i++) {
		const struct submit_job *j = &r->jobs[i], *next = i + 1 < r->n_jobs ? j + 1 : NULL;
		int is_last = !next || strcmp(next->rule, j->rule) != 0 || strcmp(next->file, j->file) != 0;
		if (!job_state_is_final(j->state))
			continue;
		if (w->hears_jobs)
			rc = note(w, EFFECT_JOB, j->job, 0, "", "");
		if (rc == DB_OK && is_last && w->hears_rules)
			rc = note_rule(w, j->job);
	}
	return rc;
}

enum db_rc write_effect_done(struct writer *w, int64_t effect)
{
	return db_run(&w->db, SQL_OUTBOX_DROP, VALUES(INT(effect)));
}

/* ---- taking up ---- */

static enum db_rc add_jobs(struct writer *w, struct effect *f)
{
	struct buf json = BUF(JOBS_JSON_MAX);
	sqlite3_stmt *row;
	enum db_rc rc = db_first(&w->db, SQL_SIBLINGS, VALUES(INT(f->delivery), TEXT(f->rule), TEXT(f->file)), &row);

	buf_addc(&json, '[');
	for (int n = 0; rc == DB_ROW; rc = db_step(&w->db, row), n++) {
		buf_addf(&json, "%s{\"id\":%lld", n ? "," : "", (long long)sqlite3_column_int64(row, 0));
		row_add_text(&json, "cell", row, 1);
		buf_addf(&json, ",\"state\":\"%s\",\"outputs\":", job_state_name((enum job_state)sqlite3_column_int(row, 2)));
		struct slice outputs = column_slice(row, 3);
		buf_add(&json, outputs.len ? outputs : SLICE("{}"));
		buf_addc(&json, '}');
	}
	buf_addc(&json, ']');
	f->jobs_json = buf_take(&json);
	return rc;
}

/* DB_OK: the job is gone, past its age. */
static enum db_rc fill(struct writer *w, struct effect *f)
{
	sqlite3_stmt *row;
	int64_t length = 0;
	enum db_rc rc = db_first(&w->db, SQL_EFFECT_ROW, VALUES(INT(f->job)), &row);

	if (rc != DB_ROW)
		return rc;
	f->rule = slice_dup(column_slice(row, 0));
	f->file = slice_dup(column_slice(row, 1));
	f->cell = slice_dup(column_slice(row, 2));
	f->state = (enum job_state)sqlite3_column_int(row, 3);
	f->attempt = sqlite3_column_int(row, 4);
	f->exit_code = sqlite3_column_int(row, 5);
	f->reason = slice_dup(column_slice(row, 6));
	f->outputs_json = column_text(row, 7);
	f->delivery = sqlite3_column_int64(row, 8);
	f->event_json = slice_dup(column_slice(row, 9));
	f->cause_json = column_text(row, 10);
	f->root = sqlite3_column_int64(row, 11);
	f->trust = (enum job_trust)sqlite3_column_int(row, 12);
	db_end(row);
	rc = db_int(&w->db, SQL_CHAIN_LENGTH, VALUES(INT(f->root), INT(CHAIN_COUNTED)), &length);
	f->chain_length = (int)length;
	if (rc != DB_ROW)
		return rc == DB_OK ? DB_BROKEN : rc;
	if (f->kind != EFFECT_RULE)
		return DB_ROW;
	rc = add_jobs(w, f);
	return rc == DB_OK ? DB_ROW : rc;
}

enum db_rc write_effect_take(struct writer *w, struct effect **out)
{
	sqlite3_stmt *row;
	enum db_rc rc;

	while ((rc = db_first(&w->db, SQL_OUTBOX_NEXT, VALUES(INT(w->effect_cursor)), &row)) == DB_ROW) {
		struct effect *f = xcalloc(1, sizeof *f);
		f->id = w->effect_cursor = sqlite3_column_int64(row, 0);
		f->kind = (enum effect_kind)sqlite3_column_int(row, 1);
		f->job = sqlite3_column_int64(row, 2);
		f->ordinal = sqlite3_column_int(row, 3);
		f->name = slice_dup(column_slice(row, 4));
		f->data_json = slice_dup(column_slice(row, 5));
		db_end(row);
		rc = fill(w, f);
		if (rc == DB_ROW) {
			*out = f;
			return DB_ROW;
		}
		effect_free(f);
		if (rc != DB_OK)
			return rc;
	}
	w->may_have_effects &= rc != DB_OK;
	return rc;
}

void effect_free(struct effect *f)
{
	if (!f)
		return;
	char *texts[] = { f->rule, f->file, f->cell, f->reason, f->event_json, f->outputs_json, f->cause_json, f->jobs_json, f->name,
			  f->data_json };
	for (size_t i = 0; i < COUNT(texts); i++)
		free(texts[i]);
	free(f);
}

void finish_fini(struct finish *r)
{
	free(TAKE(&r->outputs_json));
	for (int i = 0; i < r->n_emits; i++) {
		free(r->emits[i].name);
		free(r->emits[i].data_json);
	}
	free(TAKE(&r->emits));
	r->n_emits = 0;
}
