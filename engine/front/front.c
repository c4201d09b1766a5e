/* front/front.c - the front's beginning and end. In order:
 *
 *     greet, take_over       the supervisor hands over rules, listening sockets, the runner's socket, then says go
 *     open_store             what the last front left running is adopted, tried again or settled (front/desk.c)
 *     open_loops             from here on requests come in: on_request says who answers which
 *     desk_run               the desk's loop, until there is a reason to end
 *     close_all              no new requests, streams end with `retry:`, what waits is stored, threads are joined
 *
 * A front that fails says so in the log and exits 1; the supervisor starts another, and nothing is lost by it. */
#include "front/front.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mailbox.h"
#include "front/addresses.h"
#include "front/answer.h"
#include "front/api.h"
#include "front/auth.h"
#include "front/bodies.h"
#include "front/desk.h"
#include "front/edition.h"
#include "front/explain.h"
#include "front/http.h"
#include "front/ingest.h"
#include "front/log_text.h"
#include "front/loops.h"
#include "front/shelf.h"
#include "front/ui.h"
#include "rules/ruleset.h"
#include "store/store.h"
#include "wire/frame.h"
#include "wire/role.h"

#define HANDOVER_MS 60000
#define TELL_MS 5000
#define CONNECTIONS_MAX 20000
#define RESERVED_FDS 512                /* journals, logs written out, the store's files, threads */
#define LISTENERS_MAX 16
#define ORPHAN_GRACE_MS 500

struct start {                          /* what belongs to the role as a whole */
	struct front front;
	const char *site_dir;
	char *state_dir;                /* absolute */
	int state_dirfd, rulesets_dirfd, signal_fd, runner_fd;
	struct buf scratch;
	struct { int fd, classes; } listeners[LISTENERS_MAX];   /* owned until http_listen takes them */
	int n_listeners;
	struct addresses addresses;
	struct ruleset *rules;
	struct shelf *shelf;
	struct mailbox *claims, *effects;
};

/* ---- places and signals ---- */

static int open_places(struct start *s, const char *site, const char *state, struct err *e)
{
	s->site_dir = site;
	s->state_dirfd = dir_open_make(AT_FDCWD, state, e);
	if (s->state_dirfd < 0)
		return -1;
	s->state_dir = realpath(state, NULL);
	if (!s->state_dir)
		return err_errno(e, "%s", state);
	s->rulesets_dirfd = dir_open_make(s->state_dirfd, "rulesets", e);
	s->front.journals_dirfd = dir_open_make(s->state_dirfd, "journals", e);
	if (s->rulesets_dirfd < 0 || s->front.journals_dirfd < 0)
		return -1;
	s->shelf = shelf_new(s->rulesets_dirfd);
	return auth_make_key(s->state_dirfd, s->front.control_key, e);
}

/* SIGTERM comes to the desk as a readable descriptor; the terminal's signals are the supervisor's business. */
static int take_signals(struct start *s, struct err *e)
{
	sigset_t taken, blocked;

	sigemptyset(&taken);
	sigaddset(&taken, SIGTERM);
	blocked = taken;
	sigaddset(&blocked, SIGINT);
	sigaddset(&blocked, SIGHUP);
	sigaddset(&blocked, SIGPIPE);
	sigprocmask(SIG_BLOCK, &blocked, NULL);
	s->signal_fd = signalfd(-1, &taken, SFD_CLOEXEC | SFD_NONBLOCK);
	return s->signal_fd < 0 ? err_errno(e, "signalfd") : 0;
}

/* ---- the handover ---- */

static int tell(enum frame_type type, int64_t n0, const char *text, struct err *e)
{
	struct frame f = FRAME(type, n0);

	f.text = slice_of(text);
	if (frame_send_wait(ROLE_FD, &f, TELL_MS) != FRAME_OK)
		return err_set(e, ERR_UNAVAIL, "the supervisor does not listen");
	return 0;
}

static int hear(struct start *s, struct frame *f, struct err *e)
{
	struct pollfd p = { .fd = ROLE_FD, .events = POLLIN };
	enum frame_outcome out;

	while ((out = frame_recv(ROLE_FD, PEER_SUPERVISOR_OF_FRONT, &s->scratch, f)) == FRAME_AGAIN) {
		int n = poll(&p, 1, HANDOVER_MS);
		if (n == 0 || (n < 0 && errno != EINTR))
			return err_set(e, ERR_UNAVAIL, "the supervisor said nothing for %d s", HANDOVER_MS / 1000);
	}
	return out == FRAME_OK ? 0 : err_set(e, ERR_UNAVAIL, "the supervisor is gone");
}

static int greet(struct start *s, struct err *e)
{
	struct frame f;

	if (tell(FRAME_HELLO, FRAME_VERSION, PUSHROD_VERSION, e) < 0 || hear(s, &f, e) < 0)
		return -1;
	int is_hello = f.type == FRAME_HELLO && f.n[0] == FRAME_VERSION;
	frame_close_fds(&f);
	return is_hello ? 0 : err_set(e, ERR_BUG, "the supervisor did not greet in version %d", FRAME_VERSION);
}

/* At the start there is no older set to stay in force: a refusal is the end of this front. */
static int take_rules(struct start *s, const struct frame *f, struct err *e)
{
	if (s->rules)
		return err_set(e, ERR_BUG, "the supervisor sent rules twice");
	if (shelf_take(s->shelf, f->fds[0], &s->rules, NULL, e) < 0) {
		struct err unheard;
		tell(FRAME_RULES_DONE, 0, e->msg, &unheard);
		return err_wrap(e, "the rules are refused");
	}
	log_info("rules in force", "ruleset=%.12s rules=%zu", ruleset_sha256(s->rules), ruleset_rule_count(s->rules));
	return tell(FRAME_RULES_DONE, 1, "in force", e);
}

static int take_listener(struct start *s, struct frame *f, struct err *e)
{
	int classes = (int)f->n[0];

	if (s->n_listeners == LISTENERS_MAX)
		return err_set(e, ERR_LIMIT, "more than %d listeners", LISTENERS_MAX);
	if ((classes & (LISTEN_PAGES | LISTEN_TOPICS)) && !auth_is_loopback(f->fds[0]))
		return err_set(e, ERR_INPUT, "listen '" SLICE_FMT "': pages leave this host only with users, which are not "
			       "built yet: serve = { 'hooks' } there, and pages on 127.0.0.1", SLICE_ARG(f->text));
	if (!(classes & LISTEN_CONTROL))
		addresses_add(&s->addresses, f->fds[0], classes, f->text);
	s->listeners[s->n_listeners].fd = fd_take(&f->fds[0]);
	s->listeners[s->n_listeners++].classes = classes;
	return 0;
}

/* 1 go, 0 go on listening, -1. */
static int take_frame(struct start *s, struct frame *f, struct err *e)
{
	switch (f->type) {
	case FRAME_RULES:
		return take_rules(s, f, e);
	case FRAME_LISTEN:
		return take_listener(s, f, e);
	case FRAME_PEER:
		fd_closep(&s->runner_fd);
		s->runner_fd = fd_take(&f->fds[0]);
		return 0;
	case FRAME_GO:
		return 1;
	case FRAME_DRAIN:
		return err_set(e, ERR_UNAVAIL, "told to end before it had begun");
	default:
		return err_set(e, ERR_BUG, "the supervisor sent frame %d during the handover", (int)f->type);
	}
}

static int take_over(struct start *s, struct err *e)
{
	for (;;) {
		struct frame f;
		if (hear(s, &f, e) < 0)
			return -1;
		int r = take_frame(s, &f, e);
		frame_close_fds(&f);
		if (r < 0)
			return -1;
		if (r > 0)
			break;
	}
	if (!s->rules || s->runner_fd < 0 || s->n_listeners == 0)
		return err_set(e, ERR_BUG, "the supervisor said go without rules, a runner or a listener");
	return 0;
}

/* ---- store and recovery ---- */

static int recover(struct start *s, struct err *e)
{
	struct running *running = NULL;
	size_t n = 0;

	if (store_recover(s->front.store, &running, &n, e) < 0)
		return -1;
	desk_put_runner(s->front.desk, fd_take(&s->runner_fd));
	int r = desk_recover(s->front.desk, running, n, e);
	for (size_t i = 0; i < n; i++) {
		free(running[i].rule);
		free(running[i].wish);
	}
	free(running);
	if (r == 0)
		store_recover_done(s->front.store);
	return r;
}

static int open_store(struct start *s, struct err *e)
{
	struct front *f = &s->front;
	const struct store_options store = { .state_dirfd = s->state_dirfd, .claims = s->claims, .effects = s->effects,
					     .jobs_max = ruleset_config(s->rules)->jobs_max };
	const struct desk_options desk = { .front = f, .shelf = s->shelf, .addresses = &s->addresses,
		.site_dir = s->site_dir, .state_dir = s->state_dir, .journals_dirfd = f->journals_dirfd,
		.supervisor_fd = ROLE_FD, .signal_fd = s->signal_fd, .claims = s->claims,
		.effects = s->effects };

	if (store_open(&store, &f->store, e) < 0)
		return -1;
	f->desk = desk_new(&desk);
	desk_put_store(f->desk, f->store);
	f->first_edition = edition_new(s->rules, &s->addresses, s->site_dir, NULL);
	s->rules = NULL;                /* the edition's now */
	desk_put_edition(f->desk, edition_ref(f->first_edition));
	return recover(s, e);
}

/* ---- requests ---- */

/* Hooks are told from the rest by their path alone: a source may have a path of its own. */
static int is_hook(struct loop *l, struct slice path)
{
	return slice_starts(path, SLICE("/hooks/")) || edition_hook(l->edition, path);
}

/* While we drain a stream still gets its 200 (sse.h): at an error a browser would give up for good. */
static void on_request(struct http_request *r, void *front)
{
	struct loop *l = http_loop_data(http_request_loop(r));
	struct slice path = http_path(r);
	int classes = http_classes(r);

	if (slice_eq(path, SLICE("/livez")) || slice_eq(path, SLICE("/readyz"))) {
		api_on_health(r, l);
	} else if (atomic_load(&l->front->is_draining) && !slice_ends(path, SLICE("/events"))) {
		static const char *const headers[] = { "retry-after", "2", NULL };
		answer_problem(r, 503, "Service Unavailable", "the engine is being restarted", headers);
	} else if ((classes & (LISTEN_HOOKS | LISTEN_CONTROL)) && is_hook(l, path)) {
		ingest_on_hook(r, l);
	} else if ((classes & (LISTEN_PAGES | LISTEN_CONTROL)) && slice_starts(path, SLICE("/api/"))) {
		api_on_request(r, l);
	} else if (classes & LISTEN_PAGES) {
		if (classes & LISTEN_HOOKS)
			ingest_on_stray(r, l);
		if (auth_allows(r, l->edition, l->front->control_key, NEED_READ))
			ui_on_request(r);
	} else {
		ingest_on_stray(r, l);
		answer_not_found(r, "nothing is here");
	}
}

static int count_loops(void)
{
	cpu_set_t set;
	int n = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
	return n < 1 ? 1 : n > LOOPS_MAX ? LOOPS_MAX : n;
}

static int count_connections(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return 256;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	if (limit.rlim_cur <= 2 * RESERVED_FDS)
		return (int)limit.rlim_cur / 2;
	rlim_t n = limit.rlim_cur - RESERVED_FDS;
	return n > CONNECTIONS_MAX ? CONNECTIONS_MAX : (int)n;
}

static int open_loops(struct start *s, struct err *e)
{
	struct front *f = &s->front;
	const struct http_options o = { .loops = count_loops(), .max_connections = count_connections(),
					.on_request = on_request, .arg = f, .on_loop_start = loops_on_start };

	f->ingest = ingest_new(f->store);
	f->bodies = bodies_new();
	f->log_text = log_text_new(f->journals_dirfd);
	f->explain = explain_new(s->rulesets_dirfd);
	if (http_new(&o, &f->http, e) < 0)
		return -1;
	for (int i = 0; i < s->n_listeners; i++) {
		int fd = fd_take(&s->listeners[i].fd);
		if (http_listen(f->http, fd, s->listeners[i].classes, e) < 0)
			return -1;
	}
	loops_watch_store(f);
	if (http_start(f->http, e) < 0)
		return -1;
	log_info("serving", "url=%s loops=%d connections=%d", f->first_edition->url, o.loops, o.max_connections);
	edition_unref(TAKE(&f->first_edition));         /* each loop and the desk hold it now */
	return tell(FRAME_READY, 0, "", e);
}

/* ---- the end ---- */

static int grace_of(enum desk_end end, const struct desk *d)
{
	return end == DESK_DRAIN ? desk_grace_ms(d) : ORPHAN_GRACE_MS;
}

/* Each step ends what the one behind it is still needed by: requests, threads beside the loops, the store's threads, the
 * loops, and last what they all pointed at. */
static void close_all(struct start *s, int grace_ms)
{
	struct front *f = &s->front;

	atomic_store(&f->is_draining, 1);
	if (f->http)
		http_drain(f->http, grace_ms, loops_on_drain, f);
	bodies_stop(f->bodies);
	log_text_stop(f->log_text);
	explain_stop(f->explain);
	desk_stop(f->desk);
	if (f->store)
		store_close(f->store);
	http_free(f->http, loops_on_end);
	desk_free(f->desk);
	ingest_free(f->ingest);
	bodies_free(f->bodies);
	log_text_free(f->log_text);
	explain_free(f->explain);
	edition_unref(f->first_edition);
	shelf_free(s->shelf);
	mailbox_free(s->claims);
	mailbox_free(s->effects);
	if (s->rules)
		ruleset_unref(s->rules);
	for (int i = 0; i < s->n_listeners; i++)
		fd_closep(&s->listeners[i].fd);
	fd_closep(&s->runner_fd);
	fd_closep(&s->signal_fd);
	fd_closep(&f->journals_dirfd);
	fd_closep(&s->rulesets_dirfd);
	fd_closep(&s->state_dirfd);
	addresses_fini(&s->addresses);
	buf_fini(&s->scratch);
	free(s->state_dir);
	explicit_bzero(f->control_key, sizeof f->control_key);
}

static int serve(struct start *s)
{
	static const char *const why[] = { [DESK_DRAIN] = "drained", [DESK_BROKEN] = "the store broke: starting anew",
					   [DESK_ORPHANED] = "the supervisor is gone" };
	enum desk_end end = desk_run(s->front.desk);

	log_info("ending", "reason=\"%s\"", why[end]);
	close_all(s, grace_of(end, s->front.desk));
	return end == DESK_DRAIN ? 0 : 1;
}

int front_main(int argc, char **argv)
{
	struct start s = { .state_dirfd = -1, .rulesets_dirfd = -1, .signal_fd = -1, .runner_fd = -1,
			   .scratch = BUF(FRAME_MAX_TEXT + 128), .front.journals_dirfd = -1 };
	struct err e = { 0 };

	if (argc != 4)
		return 2;
	role_harden(getppid(), ROLE_NO_NEW_PRIVS);
	role_log("front");
	s.front.started_ms = wall_ms();
	s.claims = mailbox_new();
	s.effects = mailbox_new();
	if (take_signals(&s, &e) == 0 && open_places(&s, argv[2], argv[3], &e) == 0 && greet(&s, &e) == 0 &&
	    take_over(&s, &e) == 0 && open_store(&s, &e) == 0 && open_loops(&s, &e) == 0)
		return serve(&s);
	log_error("the front cannot serve", "reason=\"%s\"", e.msg);
	close_all(&s, 0);
	return 1;
}
