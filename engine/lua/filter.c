/* lua/filter.c - a filter is asked in a child of the job. It has the rule's Lua and the event, and nothing else: no journal, no
 * socket, no workspace. A hook counts what it executes and tells where it was; what a hook cannot stop, as a pattern that
 * backtracks for an hour within one instruction, ends with the child. Its answer is one line on a pipe.
 *
 * In a rehearsal, which is such a child itself, it is asked at once. */
#include "lua/filter.h"

#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <lua.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "lua/effect.h"
#include "lua/event.h"
#include "lua/state.h"
#include "lua/values.h"
#include "wire/role.h"

#define ANSWER_MAX 1024
#define LOOK_MS 500

/* ---- asking it ---- */

/* Protected. Takes the rule's table: what its filter says, and why. */
static int ask(lua_State *lua)
{
	lua_Debug ar;

	lua_getfield(lua, 1, "filter");
	lua_pushvalue(lua, -1);
	lua_getinfo(lua, ">S", &ar);
	values_push(lua, json_object_get(attempt_of(lua)->spec, "event"));
	event_guard(lua);
	lua_call(lua, 1, 2);
	if (!lua_isboolean(lua, -2))
		return luaL_error(lua, "%s:%d: a filter returns true or false, not %s", ar.short_src, ar.linedefined, luaL_typename(lua, -2));
	if (!lua_isnil(lua, -1))
		luaL_tolstring(lua, -1, NULL);
	else
		lua_pushliteral(lua, "the rule's filter said no");
	lua_remove(lua, -2);
	return 2;
}

static void add_line(struct buf *out, char kind, const char *text)
{
	buf_addc(out, kind);
	for (; *text && out->len + 1 < out->max; text++)
		buf_addc(out, (unsigned char)*text < 0x20 ? ' ' : *text);
}

/* "T", "F why" without a space between, "E message". */
static void answer(lua_State *lua, struct buf *out)
{
	struct attempt *a = attempt_of(lua);
	struct err e;

	a->instructions_left = FILTER_INSTRUCTIONS;
	lua_pushcfunction(lua, ask);
	lua_pushvalue(lua, -2);
	int r = state_call(lua, 1, 2, &e);
	a->instructions_left = 0;
	if (r < 0) {
		add_line(out, 'E', e.msg);
		return;
	}
	add_line(out, lua_toboolean(lua, -2) ? 'T' : 'F', lua_tostring(lua, -1));
	lua_pop(lua, 2);
}

/* ---- the child ---- */

static _Noreturn void run_child(lua_State *lua, int fd, pid_t parent)
{
	struct attempt *a = attempt_of(lua);
	CLEANUP(buf_fini) struct buf out = BUF(ANSWER_MAX);

	role_reset_signals();
	signal(SIGPIPE, SIG_IGN);
	role_harden(parent, ROLE_NO_NEW_PRIVS);
	close(a->in.journal_fd);
	close(a->in.control_fd);
	a->in.journal_fd = a->in.control_fd = -1;
	answer(lua, &out);
	_exit(fd_write_all(fd, buf_slice(&out)) < 0);
}

/* Until the child has closed its pipe. */
static int hear(struct attempt *a, int fd, struct buf *out, struct err *e)
{
	int64_t until = mono_ms() + FILTER_MS;

	for (;;) {
		struct pollfd p[] = { { fd, POLLIN, 0 }, { a->in.control_fd, POLLIN, 0 } };
		int64_t left = until - mono_ms();
		if (left <= 0)
			return err_set(e, ERR_LIMIT, "the filter took longer than %d s and was ended", FILTER_MS / 1000);
		if (poll(p, COUNT(p), left < LOOK_MS ? (int)left : LOOK_MS) < 0 && errno != EINTR)
			return err_errno(e, "poll");
		if (attempt_is_stopped(a))
			return err_set(e, ERR_UNAVAIL, "the filter was stopped");
		if (!p[0].revents)
			continue;
		char *to = buf_room(out, 512);
		ssize_t n = to ? read(fd, to, 512) : 0;
		if (n <= 0)
			return 0;
		buf_grew(out, (size_t)n);
	}
}

static int ask_child(lua_State *lua, struct buf *out, struct err *e)
{
	struct attempt *a = attempt_of(lua);
	pid_t parent = getpid(), pid;
	int fds[2], status;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return err_errno(e, "pipe");
	pid = fork();
	if (pid == 0) {
		close(fds[0]);
		run_child(lua, fds[1], parent);
	}
	close(fds[1]);
	int r = pid < 0 ? err_errno(e, "the filter cannot be asked") : hear(a, fds[0], out, e);
	close(fds[0]);
	if (pid < 0)
		return r;
	kill(pid, SIGKILL);                             /* done already, or to be ended */
	waitpid(pid, &status, 0);
	if (r == 0 && !out->len) {
		char how[64];
		role_status_text(status, how);
		return err_set(e, ERR_INPUT, "the filter ended by %s", how);
	}
	return r;
}

/* ---- what it says ---- */

static int take(struct attempt *a, struct buf *out, struct err *e)
{
	struct slice all = buf_slice(out);
	CLEANUP(freep) char *text = slice_dup(slice_from(all, 1));

	if (all.len && all.ptr[0] == 'T')
		return 0;
	if (all.len && all.ptr[0] == 'F')
		attempt_end(a, ENDING_SKIP, text);
	return err_set(e, ERR_INPUT, "%s", text);
}

int filter_ask(lua_State *lua, struct err *e)
{
	struct attempt *a = attempt_of(lua);
	CLEANUP(buf_fini) struct buf out = BUF(ANSWER_MAX * 2);

	if (!json_is_true(json_object_get(json_object_get(a->spec, "plan"), "has_filter")))
		return 0;
	if (effect_is_on(a))
		answer(lua, &out);
	else if (ask_child(lua, &out, e) < 0)
		return -1;
	return take(a, &out, e);
}
