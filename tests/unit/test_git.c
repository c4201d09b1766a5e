/* git: mirrors and checkouts, from repositories that the git command made. */
#include "trial.h"

#include <sys/file.h>

#include "base/hex.h"
#include "lua/git.h"

#define GIT "export GIT_CONFIG_GLOBAL=/dev/null GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b\n"
#define REPO "mkdir repo && cd repo && git init -qb main . && echo one >f && git add . && git commit -qm one" \
	     " && echo two >f && git commit -qam two && git tag v1 && echo three >f && git commit -qam three\n"
#define URL "local url = 'file://' .. job.workspace:match('^(.*)/state/') .. '/repo'\n"

static void begin(struct trial *t, const char *more)
{
	CLEANUP(freep) char *script = xprintf("%s%s%s", GIT, REPO, more);
	trial_begin(t);
	trial_sh(t->folder, script);
}

static char *commit_of(const struct trial *t, const char *ref)
{
	CLEANUP(freep) char *script = xprintf("cd repo && git rev-parse %s >../sha", ref), *path = xprintf("%s/sha", t->folder);
	CLEANUP(buf_fini) struct buf text = BUF(128);
	struct err e;
	trial_sh(t->folder, script);
	cr_assert_eq(file_read(AT_FDCWD, path, &text, &e), 0);
	return slice_dup(slice_trim(buf_slice(&text)));
}

Test(git, checkout_takes_exactly_the_commit_and_git_works_in_it)
{
	struct trial t;
	begin(&t, "");
	trial_run(&t, RULE(URL "local tree = job:checkout { url = url, ref = 'v1' }\nassert(tree == job.tree and tree == job.workspace .. '/tree')\n"
			   "local r = job:sh('cat f; git log --oneline | wc -l; git status --porcelain | wc -l; git describe --tags --always >/dev/null', { capture = true })\n"
			   "assert(r.out == 'two\\n2\\n0\\n', r.out)\n"
			   "job:checkout { url = url, ref = 'main', into = 'other' }\n"
			   "assert(job.tree == tree and job:sh('cat ../other/f', { capture = true }).out == 'three\\n')\n"
			   "job:checkout { url = url, ref = 'refs/heads/main' }\nassert(job:sh('cat f', { capture = true }).out == 'three\\n')"));
	assert_state(&t, JOB_SUCCEEDED);
	cr_assert(has(&t, "\"name\":\"checkout\",\"state\":\"running\"") && t.n_progress > 0);
	trial_end(&t);
	no_leaks();
}

Test(git, a_checkout_leaves_no_memory_behind)
{
	struct trial t;
	begin(&t, "");
	trial_run_here(&t, RULE(URL "job:checkout { url = url, ref = 'main' } job:checkout { url = url, ref = 'main', into = 'other' }\n"
				"pcall(function() job:checkout { url = url, ref = 'nobody' } end)"));
	assert_state(&t, JOB_SUCCEEDED);
	trial_end(&t);
	no_leaks();
}

Test(git, the_event_says_what_to_check_out)
{
	struct trial t;
	begin(&t, "");
	CLEANUP(freep) char *sha = commit_of(&t, "v1");
	CLEANUP(freep) char *more = xprintf("\"plan\":{\"checkout\":true,\"steps\":[{\"name\":\"look\",\"sh\":\"cat f; git rev-parse HEAD\"}]},"
		"\"event\":{\"sha\":\"%s\",\"ref\":\"refs/heads/main\"},", sha);
	CLEANUP(freep) char *payload = xprintf("{\"repository\":{\"clone_url\":\"%s/repo\"}}", t.folder);
	t.more = more;
	t.payload = payload;
	trial_run(&t, "rule \"r\" { checkout = true, steps = { } }");
	assert_state(&t, JOB_SUCCEEDED);
	CLEANUP(freep) char *lines = xprintf("[\"two\",\"%s\"]", sha);
	cr_assert(has(&t, lines), "%s", buf_cstr(&t.journal));
	trial_end(&t);
}

Test(git, a_commit_that_is_on_a_pull_request_alone_is_found_by_the_ref_of_the_event)
{
	struct trial t;
	begin(&t, "git checkout -q --detach && echo pr >f && git commit -qam pr && git update-ref refs/pull/5/head HEAD && git checkout -q main");
	CLEANUP(freep) char *sha = commit_of(&t, "refs/pull/5/head");
	CLEANUP(freep) char *more = xprintf("\"plan\":{},\"event\":{\"sha\":\"%s\",\"ref\":\"refs/pull/5/head\"},", sha);
	CLEANUP(freep) char *payload = xprintf("{\"repository\":{\"clone_url\":\"%s/repo\"}}", t.folder);
	t.more = more;
	t.payload = payload;
	trial_run(&t, RULE("job:checkout() assert(job:sh('cat f', { capture = true }).out == 'pr\\n')"));
	assert_state(&t, JOB_SUCCEEDED);
	trial_end(&t);
}

Test(git, what_is_in_the_mirror_is_not_fetched_again_and_what_is_new_is)
{
	struct trial t;
	begin(&t, "");
	CLEANUP(freep) char *sha = commit_of(&t, "v1");
	CLEANUP(freep) char *by_id = xprintf(RULE(URL "job:checkout { url = url, ref = '%s' }"), sha);
	trial_run(&t, by_id);
	assert_state(&t, JOB_SUCCEEDED);
	trial_sh(t.folder, GIT "cd repo && echo four >f && git commit -qam four");
	t.job = 8;
	trial_run(&t, RULE(URL "job:checkout { url = url, ref = 'main' } assert(job:sh('cat f', { capture = true }).out == 'four\\n')"));
	assert_state(&t, JOB_SUCCEEDED);
	trial_sh(t.folder, "mv repo gone");
	t.job = 9;
	trial_run(&t, by_id);
	assert_state(&t, JOB_SUCCEEDED);
	t.job = 10;
	trial_run(&t, RULE(URL "job:checkout { url = url, ref = 'main' }"));
	assert_state(&t, JOB_FAILED);
	cr_assert_eq(t.exit_code, 1);
	assert_reason(&t, "fetch from file://");
	trial_end(&t);
}

Test(git, a_force_push_is_followed)
{
	struct trial t;
	begin(&t, "");
	trial_run(&t, RULE(URL "job:checkout { url = url, ref = 'main' }"));
	assert_state(&t, JOB_SUCCEEDED);
	trial_sh(t.folder, GIT "cd repo && git reset -q --hard v1 && echo other >f && git commit -qam other && git tag -f v1 >/dev/null");
	t.job = 8;
	trial_run(&t, RULE(URL "job:checkout { url = url, ref = 'v1' } assert(job:sh('cat f', { capture = true }).out == 'other\\n')"));
	assert_state(&t, JOB_SUCCEEDED);
	trial_end(&t);
}

Test(git, what_cannot_be_checked_out_says_why)
{
	static const char *const cases[][2] = {
		{ RULE(URL "job:checkout { url = url, ref = 'nobody' }"), "has no commit 'nobody' on any branch or tag" },
		{ RULE(URL "job:checkout { url = url, ref = '0123456789012345678901234567890123456789' }"), "a later push may have replaced it" },
		{ RULE(URL "job:checkout { url = url }"), "the event deleted its branch or tag" },
		{ RULE(URL "job:checkout { url = url, ref = 'a..b' }"), "is not the name of a commit" },
		{ RULE(URL "job:checkout { url = url, ref = 'main~1' }"), "is not the name of a commit" },
		{ RULE(URL "job:checkout { url = url, ref = 'main:f' }"), "is not the name of a commit" },
		{ RULE(URL "job:checkout { url = url, ref = 'a\\nb' }"), "is not the name of a commit" },
		{ RULE(URL "job:checkout { url = url, ref = '' }"), "is not the name of a commit" },
		{ RULE("job:checkout { url = 'http://h/x', ref = 'main' }"), "only https, ssh" },
		{ RULE("job:checkout { url = 'ext::sh -c id', ref = 'main' }"), "only https, ssh" },
		{ RULE("job:checkout { url = '--upload-pack=id', ref = 'main' }"), "only https, ssh" },
		{ RULE("job:checkout { ref = 'main' }"), "the event names no repository" },
		{ RULE(URL "job:checkout { url = url, ref = 'main', into = '../x' }"), "into is the name of a folder" },
		{ RULE(URL "job:checkout { url = url, ref = 'main', into = 'home' }"), "into is the name of a folder" },
		{ RULE(URL "job:checkout { url = url, ref = 'main', timeout = '1ms' }"), "took longer than 0.0 s" },
		{ RULE("job:checkout { url = 'https://127.0.0.1:1/x', ref = 'main' }"), "fetch from https://127.0.0.1:1/x" },
		{ RULE("job:checkout { url = 'https://me:s3cr3t-token@127.0.0.1:1/x', ref = 'main' }"), "fetch from https://127.0.0.1:1/x" },
	};
	struct trial t;
	begin(&t, "");
	for (size_t i = 0; i < COUNT(cases); i++) {
		trial_run(&t, cases[i][0]);
		assert_state(&t, JOB_FAILED);
		cr_assert_not_null(strstr(t.reason, cases[i][1]), "%zu: %s", i, t.reason);
		cr_assert_null(strstr(t.reason, "s3cr3t"), "%s", t.reason);
	}
	t.more = "\"plan\":{},\"file_urls\":false,";
	trial_run(&t, RULE(URL "job:checkout { url = url, ref = 'main' }"));
	assert_state(&t, JOB_FAILED);
	assert_reason(&t, "jobs = { file_urls = true }");
	trial_end(&t);
}

Test(git, an_address_is_shown_without_its_password)
{
	static const char *const cases[][2] = {
		{ "https://u:p@h/r", "https://h/r" }, { "https://h/r@2", "https://h/r@2" }, { "git@h:r", "git@h:r" }, { "/a@b", "/a@b" },
		{ "ssh://git@h/r", "ssh://h/r" }, { "", "" },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		CLEANUP(freep) char *shown = git_public_url(cases[i][0]);
		cr_assert_str_eq(shown, cases[i][1]);
	}
	no_leaks();
}

Test(git, a_link_that_a_step_put_in_the_way_is_not_followed)
{
	struct trial t;
	begin(&t, "mkdir ../precious && echo mine >../precious/f");
	trial_run(&t, RULE(URL "job:checkout { url = url, ref = 'main' }\n"
			   "local precious = job.workspace:match('^(.*)/state/') .. '/precious'\n"
			   "job:sh('rm -rf \"$W/tree\" && ln -s \"$P\" \"$W/tree\" && ln -s \"$P\" \"$W/other\"', { cwd = job.workspace, env = { W = job.workspace, P = precious } })\n"
			   "job:checkout { url = url, ref = 'main' }\n"
			   "job:checkout { url = url, ref = 'main', into = 'other' }\n"
			   "assert(job:sh('cat f; test ! -L . ; test ! -L ../other', { capture = true }).out == 'three\\n')"));
	assert_state(&t, JOB_SUCCEEDED);
	trial_sh(t.folder, "test \"$(cat precious/f)\" = mine && test \"$(ls -A precious)\" = f");
	trial_end(&t);
}

Test(git, a_hostile_repository_writes_nothing_outside_of_its_folder)
{
	static const char *const trees[] = {
		"printf '100644 blob %s\\t.git\\n' $b",
		"printf '040000 tree %s\\t.git\\n' $d",
		"printf '040000 tree %s\\t..\\n' $d",
		"printf '040000 tree %s\\t.GIT\\n' $d",
		"printf '120000 blob %s\\ta\\n040000 tree %s\\ta\\n' $l $d",
	};
	for (size_t i = 0; i < COUNT(trees); i++) {
		struct trial t;
		CLEANUP(freep) char *script = xprintf("b=$(echo '[core] fsmonitor = touch /tmp/pushrod-owned' | git hash-object -w --stdin)\n"
			"l=$(printf ../../../../evil | git hash-object -w --stdin)\nd=$(printf '100644 blob %%s\\tconfig\\n' $b | git mktree)\n"
			"raw=$(%s | git mktree --missing)\nc=$(git commit-tree -m evil $raw) && git update-ref refs/heads/evil $c", trees[i]);
		begin(&t, script);
		trial_run(&t, RULE(URL "job:checkout { url = url, ref = 'evil' }\njob:sh('git status >/dev/null')"));
		assert_state(&t, JOB_FAILED);
		cr_assert_not(is_there(&t, "evil") || access("/tmp/pushrod-owned", F_OK) == 0, "%zu", i);
		trial_end(&t);
	}
}

Test(git, nothing_of_the_hosts_configuration_is_read)
{
	struct trial t;
	begin(&t, "mkdir -p ../home ../decoy && printf '[url \"/nowhere/\"]\\n\\tinsteadOf = file://\\n[core]\\n\\tautocrlf = true\\n[broken' >../home/.gitconfig");
	CLEANUP(freep) char *home = xprintf("%s/home", t.folder);
	setenv("HOME", home, 1);
	setenv("XDG_CONFIG_HOME", home, 1);
	trial_run(&t, RULE(URL "job:checkout { url = url, ref = 'main' }"));
	assert_state(&t, JOB_SUCCEEDED);
	trial_end(&t);
}

Test(git, submodules_are_left_out_and_the_log_says_so)
{
	struct trial t;
	begin(&t, "printf '[submodule \"x\"]\\n\\tpath = x\\n\\turl = ../../../../etc\\n' >.gitmodules && git add . && git commit -qm sub");
	trial_run(&t, RULE(URL "job:checkout { url = url, ref = 'main' }"));
	assert_state(&t, JOB_SUCCEEDED);
	cr_assert(has(&t, "submodules: they are not fetched"));
	trial_end(&t);
}

static int hold_lock(const struct trial *t)
{
	CLEANUP(freep) char *url = xprintf("file://%s/repo", t->folder), *folder = xprintf("%s/state/mirrors", t->folder);
	char hash[65];
	struct err e;

	sha256_hex(slice_of(url), hash);
	CLEANUP(freep) char *path = xprintf("%s/%s.git.lock", folder, hash);
	cr_assert_eq(dir_make(folder, 0700, &e), 0);
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	cr_assert(fd >= 0 && flock(fd, LOCK_EX) == 0);
	return fd;
}

Test(git, the_wait_for_a_mirror_ends_with_the_time_given_and_with_a_cancel)
{
	struct trial t;
	begin(&t, "");
	int lock = hold_lock(&t);
	trial_run(&t, RULE(URL "job:checkout { url = url, ref = 'main', timeout = '300ms' }"));
	assert_state(&t, JOB_FAILED);
	assert_reason(&t, "kept this repository's mirror busy");
	t.cancel_after_ms = 200;
	trial_run(&t, RULE(URL "job:checkout { url = url, ref = 'main' }"));
	assert_state(&t, JOB_CANCELLED);
	close(lock);
	trial_end(&t);
}

Test(git, jobs_that_want_one_mirror_at_once_all_get_their_commit)
{
	struct trial t;
	pid_t pids[4];
	int status;
	begin(&t, "");
	for (size_t i = 0; i < COUNT(pids); i++) {
		pids[i] = fork();
		if (pids[i] == 0) {
			t.job = 10 + (int)i;
			trial_run(&t, RULE(URL "job:checkout { url = url, ref = 'main' } assert(job:sh('cat f', { capture = true }).out == 'three\\n')"));
			_exit(t.state != JOB_SUCCEEDED);
		}
	}
	for (size_t i = 0; i < COUNT(pids); i++) {
		cr_assert_eq(waitpid(pids[i], &status, 0), pids[i]);
		cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	}
	trial_end(&t);
}
