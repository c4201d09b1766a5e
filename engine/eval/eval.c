/* eval/eval.c - all files of a directory, one after the other, and the bundle that is written of them. The role around it
 * bounds its memory and its time: what a file's own bounds do not stop ends the process, which can still say which file it
 * was. */
#include "eval/eval.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "eval/injection.h"
#include "eval/places.h"
#include "eval/world.h"
#include "eval/zones.h"
#include "wire/role.h"

#define ADDRESS_SPACE_BYTES ((rlim_t)1 << 30)

struct bundle {
	struct eval_files files;
	struct diags diags;
	struct buf decls, modules, providers, zones;    /* the parts, as they grow */
};

/* What the alarm says, a bundle of that one mistake: made before each file is run, as a handler may make nothing. */
static char late_bundle[8192];
static size_t late_len;

static void note_current(const char *path)
{
	CLEANUP(buf_fini) struct buf out = BUF(sizeof late_bundle);

	buf_adds(&out, "{\"version\":1,\"files\":[],\"modules\":{},\"providers\":[],\"diags\":[{\"severity\":\"error\",\"file\":");
	buf_add_json(&out, slice_of(path));
	buf_addf(&out, ",\"line\":0,\"col\":0,\"end_col\":0,\"code\":\"E015\",\"text\":\"still running after %d seconds: a function of Lua's "
		 "libraries does not come back, or there is too much to read\"}]}\n", EVAL_DEADLINE_S);
	if (buf_is_over(&out))
		return;                                 /* the one before stands */
	memcpy(late_bundle, out.ptr, out.len);
	late_len = out.len;
}

/* ---- the parts of a bundle ---- */

static void add_decl(const struct world_decl *d, struct buf *out)
{
	buf_adds(out, "{\"kind\":");
	buf_add_json(out, slice_of(d->kind));
	if (d->name) {
		buf_adds(out, ",\"name\":");
		buf_add_json(out, slice_of(d->name));
	}
	buf_addf(out, ",\"at\":[%d,%d]", d->line, d->col);
	if (d->value.len) {
		buf_adds(out, ",\"value\":");
		buf_add(out, buf_slice(&d->value));
	}
	buf_addc(out, '}');
}

/* What Lua cannot read of F is left out as of LINE, and the places are made anew. -1: F is as it was. */
static int leave_out(struct eval_file *f, int line, struct diags *diags)
{
	struct diags said = { 0 };
	int is_first = f->readable.len == 0, bad;

	if (is_first) {
		f->readable = BUF(EVAL_MAX_FILE_BYTES + 1);
		buf_add(&f->readable, buf_slice(&f->text));
		places_free(f->places);
		f->places = places_new(buf_slice(&f->readable), f->path, &said);
	}
	bad = salvage(f->places, line, &f->readable, &f->lost);
	places_free(f->places);
	f->places = places_new(buf_slice(&f->readable), f->path, bad ? &said : diags);
	diags_fini(&said);
	return bad;
}

/* Where Lua cannot read F, the declarations to blame are left out, and what is wrong with the others is said beside it: if what is
 * left can be read. Else the first error stands alone, as what follows may be no more than its consequence. */
static void run_file(struct bundle *b, struct eval_file *f, struct world_result *r)
{
	struct diags more = { 0 };

	world_run(&b->files, f, r, &b->diags);
	for (int i = 0; i < SALVAGE_MAX && r->unread_line && leave_out(f, r->unread_line, &more) == 0; i++) {
		world_result_fini(r);
		world_run(&b->files, f, r, &more);
	}
	for (size_t i = 0; i < more.n && !r->unread_line; i++) {
		const struct diag *d = &more.list[i];
		diags_add(&b->diags, d->severity, d->file, d->line, d->col, d->end_col, d->code, "%s", d->text);
	}
	diags_fini(&more);
}

static void add_file(struct bundle *b, struct eval_file *f)
{
	CLEANUP(world_result_fini) struct world_result r = { 0 };
	struct buf *out = &b->decls;

	run_file(b, f, &r);
	buf_adds(out, out->len ? ",\n{\"path\":" : "{\"path\":");
	buf_add_json(out, slice_of(f->path));
	buf_adds(out, ",\"source\":");
	buf_add_json(out, buf_slice(&f->text));
	buf_adds(out, ",\"decls\":[");
	for (size_t i = 0; i < r.n; i++) {
		buf_adds(out, i ? "," : "");
		add_decl(&r.list[i], out);
		zones_add(buf_slice(&r.list[i].value), f->path, &b->zones, &b->diags);
	}
	buf_adds(out, "]}");
}

static void add_module(struct bundle *b, const struct eval_file *f)
{
	struct buf *out = &b->modules;

	world_compile(&b->files, f, &b->diags);
	buf_adds(out, out->len ? ",\n" : "");
	buf_add_json(out, slice_of(f->name));
	buf_addc(out, ':');
	buf_add_json(out, buf_slice(&f->text));
}

static void add_provider_decl(struct bundle *b, const struct eval_file *f, const struct world_decl *d)
{
	struct buf *out = &b->providers;

	if (strcmp(d->kind, "provider") != 0) {
		diags_add(&b->diags, DIAG_ERROR, f->path, d->line, d->col, 0, "E111", "a %s has no place in a provider's file", d->kind);
		return;
	}
	if (!d->value.len)
		return;
	buf_adds(out, out->len ? ",\n{\"name\":" : "{\"name\":");
	buf_add_json(out, slice_of(d->name));
	buf_adds(out, ",\"path\":");
	buf_add_json(out, slice_of(f->path));
	buf_addf(out, ",\"at\":[%d,%d],\"value\":", d->line, d->col);
	buf_add(out, buf_slice(&d->value));
	if (!f->is_builtin) {
		buf_adds(out, ",\"source\":");
		buf_add_json(out, buf_slice(&f->text));
	}
	buf_addc(out, '}');
}

/* plugins/providers/x.lua is provider "x", and nothing else: so no two files fight for a name. */
static void add_provider(struct bundle *b, const struct eval_file *f)
{
	CLEANUP(world_result_fini) struct world_result r = { 0 };
	int errors = b->diags.errors;

	world_run(&b->files, f, &r, &b->diags);
	for (size_t i = 0; i < r.n; i++) {
		const struct world_decl *d = &r.list[i];
		if (strcmp(d->kind, "provider") == 0 && strcmp(d->name, f->name) != 0)
			diags_add(&b->diags, DIAG_ERROR, f->path, d->line, d->col, 0, "E014",
				  "this file is that of provider \"%s\", not \"%s\"", f->name, d->name);
		else if (i && strcmp(d->kind, "provider") == 0)
			diags_add(&b->diags, DIAG_ERROR, f->path, d->line, d->col, 0, "E014", "one provider in a file");
		else
			add_provider_decl(b, f, d);
	}
	if (r.n == 0 && b->diags.errors == errors)
		diags_add(&b->diags, DIAG_ERROR, f->path, 0, 0, 0, "E014", "this file declares no provider \"%s\"", f->name);
}

static void evaluate(struct bundle *b)
{
	for (size_t i = 0; i < b->files.n; i++) {
		struct eval_file *f = &b->files.list[i];
		f->places = places_new(buf_slice(&f->text), f->path, &b->diags);
		if (f->role == EVAL_RULES || f->role == EVAL_MODULE)
			injection_find(f->places, f->path, &b->diags);
	}
	for (size_t i = 0; i < b->files.n; i++) {
		struct eval_file *f = &b->files.list[i];
		note_current(f->path);
		switch (f->role) {
		case EVAL_SETTINGS:
		case EVAL_RULES:
			add_file(b, f);
			break;
		case EVAL_MODULE:
			add_module(b, f);
			break;
		case EVAL_PROVIDER:
			add_provider(b, f);
			break;
		}
	}
	for (size_t i = 0; i < b->files.n; i++)
		diags_show(&b->diags, b->files.list[i].path, buf_slice(&b->files.list[i].text));
	diags_sort(&b->diags);
}

static int write_bundle(const struct bundle *b, struct buf *out, struct err *e)
{
	size_t begin = out->len;

	buf_adds(out, "{\"version\":1,\n\"files\":[");
	buf_add(out, buf_slice(&b->decls));
	buf_adds(out, "],\n\"modules\":{");
	buf_add(out, buf_slice(&b->modules));
	buf_adds(out, "},\n\"zones\":{");
	buf_add(out, buf_slice(&b->zones));
	buf_adds(out, "},\n\"providers\":[");
	buf_add(out, buf_slice(&b->providers));
	buf_adds(out, "],\n\"diags\":");
	diags_json(&b->diags, out);
	buf_adds(out, "}\n");
	if (buf_is_over(out) || buf_is_over(&b->decls) || buf_is_over(&b->modules) || buf_is_over(&b->providers) ||
	    buf_is_over(&b->zones) ||
	    out->len - begin > EVAL_MAX_BUNDLE_BYTES)
		return err_set(e, ERR_LIMIT, "the files and what they declare come to more than %d MiB", EVAL_MAX_BUNDLE_BYTES >> 20);
	return 0;
}

int eval_directory(const char *dir, struct buf *bundle, struct err *e)
{
	struct bundle b = {
		.zones = BUF(EVAL_MAX_BUNDLE_BYTES),
		.decls = BUF(EVAL_MAX_BUNDLE_BYTES), .modules = BUF(EVAL_MAX_BUNDLE_BYTES),
		.providers = BUF(EVAL_MAX_BUNDLE_BYTES) };
	int status = eval_files_read(dir, &b.files, &b.diags, e);

	if (status == 0) {
		evaluate(&b);
		status = write_bundle(&b, bundle, e);
	}
	eval_files_fini(&b.files);
	diags_fini(&b.diags);
	buf_fini(&b.decls);
	buf_fini(&b.modules);
	buf_fini(&b.providers);
	buf_fini(&b.zones);
	return status;
}

/* ---- the role ---- */

static void on_alarm(int signal_number)
{
	/* whether it arrives or not, this process ends here */
	_exit(write(ROLE_FD, late_bundle, late_len) == (ssize_t)late_len ? 0 : 2);
}

static void confine(void)
{
	static const struct { __rlimit_resource_t what; rlim_t most; } limits[] = {
		{ RLIMIT_AS, MEM_HAS_SHADOW ? RLIM_INFINITY : ADDRESS_SPACE_BYTES },
		{ RLIMIT_CPU, EVAL_DEADLINE_S + 1 }, { RLIMIT_FSIZE, 0 }, { RLIMIT_NOFILE, 64 },
	};
	for (size_t i = 0; i < COUNT(limits); i++)
		setrlimit(limits[i].what, &(struct rlimit){ limits[i].most, limits[i].most });
	role_harden(0, ROLE_NO_NEW_PRIVS);
	signal(SIGPIPE, SIG_DFL);
	signal(SIGALRM, on_alarm);
	signal(SIGXCPU, on_alarm);
	alarm(EVAL_DEADLINE_S);
}

int eval_main(int argc, char **argv)
{
	CLEANUP(buf_fini) struct buf bundle = BUF(EVAL_MAX_BUNDLE_BYTES);
	struct err e;

	if (argc != 3)
		return 2;
	confine();
	note_current(argv[2]);
	int status = eval_directory(argv[2], &bundle, &e);
	alarm(0);
	struct slice out = status == 0 ? buf_slice(&bundle) : slice_of(e.msg);
	if (fd_write_all(ROLE_FD, out) < 0)
		_exit(2);
	_exit(status == 0 ? 0 : 1);
}
