/* wire/children.c - the kernel keeps the tree: /proc/<pid>/task/<tid>/children. A round first stops everything below the
 * unwanted children until a look finds nobody new (what is stopped forks no more), then kills it all. What was born
 * between a look and a stop is re-parented to us when its parent dies, and meets the next round. Without that file in
 * /proc (CONFIG_PROC_CHILDREN) the parents in /proc/<pid>/stat say the same, more slowly. */
#include "wire/children.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/file.h"

#define LOOKS_MAX 16                    /* at the tree before the killing begins, however it grows */

struct member {
	pid_t pid, parent;
};
struct tree {
	struct member *list;
	int n, n_top;                   /* the first n_top are our direct children */
	pid_t *scratch;
};

static int read_proc(const char *path, struct buf *out)
{
	buf_clear(out);
	CLEANUP(fd_closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -1 : fd_read_all(fd, out, NULL);
}

/* Field 4 of stat, behind the name, which may hold anything. -1: no such process. */
static pid_t parent_of(pid_t pid)
{
	CLEANUP(buf_fini) struct buf text = BUF(4096);
	char path[64];
	int ppid;

	snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
	if (read_proc(path, &text) < 0)
		return -1;
	const char *paren = strrchr(buf_cstr(&text), ')');
	return paren && sscanf(paren, ") %*c %d", &ppid) == 1 ? (pid_t)ppid : -1;
}

static int scan_all(pid_t parent, pid_t *pids, int max)
{
	DIR *proc = opendir("/proc");
	struct dirent *entry;
	int n = 0;

	while (proc && n < max && (entry = readdir(proc)) != NULL)
		if (isdigit((unsigned char)entry->d_name[0]) && parent_of((pid_t)strtol(entry->d_name, NULL, 10)) == parent)
			pids[n++] = (pid_t)strtol(entry->d_name, NULL, 10);
	if (proc)
		closedir(proc);
	return n;
}

static int read_children_file(const char *path, pid_t *pids, int max)
{
	CLEANUP(buf_fini) struct buf text = BUF(1 << 20);
	int n = 0;

	if (read_proc(path, &text) < 0)
		return -1;
	const char *at = buf_cstr(&text);
	for (char *end; n < max; at = end) {
		long pid = strtol(at, &end, 10);
		if (end == at)
			break;
		pids[n++] = (pid_t)pid;
	}
	return n;
}

static int children_of(pid_t pid, pid_t *pids, int max)
{
	char path[96];
	struct dirent *entry;
	int n = 0;

	snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
	DIR *tasks = opendir(path);
	while (tasks && (entry = readdir(tasks)) != NULL) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof path, "/proc/%d/task/%.20s/children", (int)pid, entry->d_name);
		int got = read_children_file(path, pids + n, max - n);
		if (got < 0 && access("/proc/thread-self/children", F_OK) < 0) {
			n = scan_all(pid, pids, max);
			break;
		}
		n += got > 0 ? got : 0;
	}
	if (tasks)
		closedir(tasks);
	return n;
}

int children_list(pid_t *pids, int max)
{
	return children_of(getpid(), pids, max);
}

int children_count(int max)
{
	int most = max < CHILDREN_MAX ? max : CHILDREN_MAX;
	CLEANUP(freep) pid_t *pids = xcalloc((size_t)most + 1, sizeof *pids);
	int n = children_list(pids, most);

	for (int i = 0; i < n && n < most; i++)
		n += children_of(pids[i], pids + n, most - n);
	return n;
}

/* A pid may have been taken by a stranger since it was read: a pidfd holds the process still while its parent is asked. */
static void signal_member(const struct member *m, int signal)
{
	CLEANUP(fd_closep) int fd = pidfd_open(m->pid, 0);
	pid_t parent = fd < 0 ? -1 : parent_of(m->pid);

	if (parent > 0 && (parent == m->parent || parent == getpid()))
		pidfd_send_signal(fd, signal, NULL, 0);
}

static int holds(const pid_t *pids, int n, pid_t pid)
{
	for (int i = 0; i < n; i++)
		if (pids[i] == pid)
			return 1;
	return 0;
}

static int is_known(const struct tree *t, pid_t pid)
{
	for (int i = 0; i < t->n; i++)
		if (t->list[i].pid == pid)
			return 1;
	return 0;
}

/* Add the children of member AT that are new, stopped. Returns how many. */
static int look_below(struct tree *t, int at)
{
	int n = children_of(t->list[at].pid, t->scratch, CHILDREN_MAX), added = 0;

	for (int i = 0; i < n && t->n < CHILDREN_MAX; i++) {
		if (is_known(t, t->scratch[i]))
			continue;
		t->list[t->n] = (struct member){ t->scratch[i], t->list[at].pid };
		signal_member(&t->list[t->n++], SIGSTOP);
		added++;
	}
	return added;
}

static int reap(struct tree *t)
{
	int left = 0;

	for (int i = 0; i < t->n_top; i++)
		left += waitpid(t->list[i].pid, NULL, WNOHANG) == 0;
	return left;
}

int children_kill_round(const pid_t *keep, int n_keep)
{
	CLEANUP(freep) pid_t *scratch = xcalloc(CHILDREN_MAX, sizeof *scratch);
	CLEANUP(freep) struct member *list = xcalloc(CHILDREN_MAX, sizeof *list);
	struct tree t = { .list = list, .scratch = scratch };
	int n = children_list(scratch, CHILDREN_MAX);

	for (int i = 0; i < n; i++)
		if (!holds(keep, n_keep, scratch[i]))
			t.list[t.n++] = (struct member){ scratch[i], getpid() };
	t.n_top = t.n;
	if (!t.n_top)
		return 0;
	for (int i = 0; i < t.n_top; i++)
		signal_member(&t.list[i], SIGSTOP);
	for (int look = 0, found = 1; found && look < LOOKS_MAX; look++) {
		found = 0;
		for (int i = 0; i < t.n; i++)
			found += look_below(&t, i);
	}
	for (int i = t.n - 1; i >= 0; i--)
		signal_member(&t.list[i], SIGKILL);
	reap(&t);
	n = children_list(scratch, CHILDREN_MAX);
	int left = 0;
	for (int i = 0; i < n; i++)
		left += !holds(keep, n_keep, scratch[i]);
	return left;
}

static void pause_ms(int ms)
{
	nanosleep(&(struct timespec){ .tv_nsec = ms * 1000000L }, NULL);
}

int children_kill(const pid_t *keep, int n_keep, int timeout_ms)
{
	int64_t until = mono_ms() + timeout_ms;
	int left, ms = 1;

	while ((left = children_kill_round(keep, n_keep)) > 0 && mono_ms() < until) {
		pause_ms(ms);
		ms = ms < 20 ? ms * 2 : ms;
	}
	return left;
}

/* ---- leftovers of an earlier life ---- */

static int is_ours(pid_t pid)
{
	CLEANUP(buf_fini) struct buf text = BUF(16384);
	char path[64];
	unsigned uid;

	snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
	if (read_proc(path, &text) < 0)
		return 0;
	const char *line = strstr(buf_cstr(&text), "\nUid:");
	return line && sscanf(line, "\nUid: %u", &uid) == 1 && uid == getuid();
}

static int is_ancestor(pid_t pid)
{
	for (pid_t at = getpid(); at > 0; at = parent_of(at))
		if (at == pid)
			return 1;
	return 0;
}

/* The word behind *AT of NUL-ended words, as environ and cmdline hold them; NULL at the end. */
static const char *next_word(const struct buf *words, size_t *at)
{
	if (*at >= words->len)
		return NULL;
	const char *word = words->ptr + *at;
	*at += strnlen(word, words->len - *at) + 1;
	return word;
}

static int is_marked(pid_t pid, const char *mark)
{
	CLEANUP(buf_fini) struct buf env = BUF(8 << 20);
	char path[64];
	const char *word;
	size_t at = 0;

	snprintf(path, sizeof path, "/proc/%d/environ", (int)pid);
	read_proc(path, &env);
	buf_cstr(&env);
	while ((word = next_word(&env, &at)) != NULL)
		if (strncmp(word, "PUSHROD_MARK=", 13) == 0 && strcmp(word + 13, mark) == 0)
			return 1;
	return 0;
}

/* Roles and jobs are not dumpable, so their environment is not to be read; their command line is. */
static int is_role_of(pid_t pid, const char *state)
{
	CLEANUP(buf_fini) struct buf line = BUF(1 << 16);
	char path[64];
	const char *word, *last = "";
	size_t at = 0;

	snprintf(path, sizeof path, "/proc/%d/cmdline", (int)pid);
	read_proc(path, &line);
	buf_cstr(&line);
	next_word(&line, &at);
	const char *role = next_word(&line, &at);
	if (!role || (strcmp(role, "@front") != 0 && strcmp(role, "@runner") != 0))
		return 0;
	while ((word = next_word(&line, &at)) != NULL)
		last = word;
	return strcmp(last, state) == 0;
}

static int sweep_round(const char *mark, const char *state)
{
	DIR *proc = opendir("/proc");
	struct dirent *entry;
	int n = 0;

	while (proc && (entry = readdir(proc)) != NULL) {
		pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);
		if (pid <= 0 || !is_ours(pid) || is_ancestor(pid))
			continue;
		CLEANUP(fd_closep) int fd = pidfd_open(pid, 0);
		if (fd < 0 || !(is_marked(pid, mark) || is_role_of(pid, state)))
			continue;
		pidfd_send_signal(fd, SIGKILL, NULL, 0);
		n++;
	}
	if (proc)
		closedir(proc);
	return n;
}

int children_sweep(const char *mark, const char *state, int timeout_ms)
{
	int64_t until = mono_ms() + timeout_ms;
	int most = 0, n;

	while ((n = sweep_round(mark, state)) > 0) {
		most = n > most ? n : most;
		if (mono_ms() > until)
			return -1;
		pause_ms(5);
	}
	return most;
}
