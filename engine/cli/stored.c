/* cli/stored.c - deliveries that a running server keeps. What it stored of a delivery is a fixture in all but form. Rule sets
 * are files of the state folder (front/shelf.c), whose owner we must be to hold the control key at all. */
#include "cli/stored.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "cli/client.h"
#include "cli/talk.h"

#define BUNDLE_MAX (64 << 20)

static int fetch_body(const struct command *c, const char *named, int64_t id, struct buf *out)
{
	CLEANUP(freep) char *path = xprintf("/api/v1/deliveries/%" PRId64 "/body", id);
	struct client_target t = { 0 };
	struct client_response r;
	struct err e;
	int code = EXIT_OK;

	if (client_target_state(&t, named, &e) < 0)
		return talk_unreachable(c, &e);
	int bad = client_do(&t, &(struct client_request){ .path = slice_of(path) }, &r, &e);
	client_target_fini(&t);
	if (bad)
		return talk_unreachable(c, &e);
	if (r.status == 404 || r.status == 410)
		code = STORED_GONE;
	else if (r.status != 200)
		code = talk_refused(c, &r);
	else
		buf_add(out, buf_slice(&r.body));
	client_response_fini(&r);
	return code;
}

int stored_fetch(const struct command *c, const char *named, int64_t id, struct fixture *out, json_t **delivery)
{
	CLEANUP(freep) char *path = xprintf("/api/v1/deliveries/%" PRId64, id);
	struct fixture f = FIXTURE_NONE;
	json_t *answer = NULL;
	struct err e;
	int code = talk_json(c, named, NULL, path, &answer);

	if (code == EXIT_OK && fixture_of_delivery(answer, &f, &e) < 0) {
		fprintf(stderr, "pushrod %s: delivery %" PRId64 ": %s\n", c->name, id, e.msg);
		code = EXIT_FAILED;
	}
	if (code == EXIT_OK)
		code = fetch_body(c, named, id, &f.body);
	if (code == EXIT_OK) {
		*out = f;
		if (delivery)
			*delivery = json_incref(answer);
	} else {
		fixture_fini(&f);
	}
	json_decref(answer);
	return code;
}

static int write_fixture(const char *path, const struct fixture *f, enum stored_over over, struct err *e)
{
	CLEANUP(buf_fini) struct buf text = BUF(BUF_UNLIMITED);
	CLEANUP(freep) char *folder = xstrdup(path);
	char *slash = strrchr(folder, '/');

	if (over == STORED_KEEP_OLD && access(path, F_OK) == 0)
		return err_set(e, ERR_INPUT, "%s is there already: --force writes over it", path);
	if (slash && slash > folder) {
		*slash = '\0';
		if (dir_make(folder, 0755, e) < 0)
			return -1;
	}
	fixture_write(f, &text);
	return file_write_durable(AT_FDCWD, path, buf_slice(&text), 0644, e);
}

int stored_save(const struct command *c, const char *named, int64_t id, const char *path, enum stored_over over)
{
	struct fixture f = FIXTURE_NONE;
	struct err e;
	int code = stored_fetch(c, named, id, &f, NULL);

	if (code == STORED_GONE) {
		fprintf(stderr, "pushrod %s: the body of delivery %" PRId64 " is no longer kept\n", c->name, id);
		code = EXIT_NOT_FOUND;
	}
	if (code == EXIT_OK && write_fixture(path, &f, over, &e) < 0) {
		fprintf(stderr, "pushrod %s: %s\n", c->name, e.msg);
		code = EXIT_FAILED;
	}
	fixture_fini(&f);
	return code;
}

int stored_ruleset(const struct command *c, const char *named, const char *sha256, struct ruleset **out)
{
	CLEANUP(buf_fini) struct buf text = BUF(BUNDLE_MAX);
	struct client_target t = { 0 };
	struct diags diags = { 0 };
	struct err e = { 0 };

	if (client_target_state(&t, named, &e) < 0)
		return talk_unreachable(c, &e);
	CLEANUP(freep) char *path = xprintf("%s/rulesets/%s", t.state, sha256);
	client_target_fini(&t);
	if (file_read(AT_FDCWD, path, &text, &e) < 0) {
		fprintf(stderr, "pushrod %s: the rules of then cannot be read: %s\nname a directory to judge by instead\n", c->name, e.msg);
		return EXIT_NOT_FOUND;
	}
	int bad = ruleset_compile(buf_slice(&text), out, &diags, &e);
	diags_fini(&diags);
	if (bad)
		fprintf(stderr, "pushrod %s: rule set %.12s does not compile with this version: %s\n", c->name, sha256,
			*e.msg ? e.msg : "pushrod check says more");
	return bad ? EXIT_FAILED : EXIT_OK;
}
