/* publish: whole releases behind a link that is switched at once, and no way out of what was declared. */
#include "trial.h"

#include <sys/file.h>

#define SITE(text) "job:sh('mkdir -p site/in && echo " text " >site/f && echo x >site/in/g && chmod +x site/in/g')\n"
#define DEST "local dest = job.workspace:match('^(.*)/state/') .. '/www/site'\n"

static void assert_page(const struct trial *t, const char *path, const char *want)
{
	CLEANUP(freep) char *whole = xprintf("%s/%s", t->folder, path);
	CLEANUP(buf_fini) struct buf text = BUF(4096);
	CLEANUP(fd_closep) int fd = open(whole, O_RDONLY | O_CLOEXEC);
	struct err e;

	cr_assert(fd >= 0, "%s", whole);
	cr_assert_eq(fd_read_all(fd, &text, &e), 0);
	cr_assert_str_eq(buf_cstr(&text), want);
}

Test(publish, switches_keeps_the_last_releases_and_rolls_back)
{
	struct trial t;
	trial_begin(&t);
	for (t.job = 1; t.job <= 4; t.job++) {
		CLEANUP(freep) char *lua = xprintf(RULE(SITE("release %d") DEST "job:publish('site', 'www/site', { keep = 2 })"), t.job);
		trial_run(&t, lua);
		assert_state(&t, JOB_SUCCEEDED);
		cr_assert(has(&t, "published 2 files, ") && has(&t, "\"level\":\"notice\""), "%s", buf_cstr(&t.journal));
	}
	assert_page(&t, "www/site/f", "release 4\n");
	cr_assert(is_there(&t, "www/site.releases/3.1") && is_there(&t, "www/site.releases/4.1"));
	cr_assert_not(is_there(&t, "www/site.releases/2.1") || is_there(&t, "www/site.releases/1.1"));
	trial_run(&t, RULE(SITE("release 5") DEST "local p = job:publish(job.workspace .. '/site', dest) p:rollback()"));
	assert_state(&t, JOB_SUCCEEDED);
	assert_page(&t, "www/site/f", "release 4\n");
	CLEANUP(freep) char *page = xprintf("%s/www/site/in/g", t.folder);
	cr_assert_eq(access(page, X_OK), 0);
	trial_end(&t);
	no_leaks();
}

Test(publish, two_of_one_job_are_two_releases_and_a_rollback_leaves_later_ones_alone)
{
	struct trial t;
	attempt(&t, RULE(SITE("one") DEST "local one = job:publish('site', dest)\n"
			 "assert(not pcall(function() one:rollback() end))\n" SITE("two") "local two = job:publish('site', dest)\n"
			 "local ok, why = pcall(function() one:rollback() end) assert(not ok and why:find('no release before'), why)\n"
			 "two:rollback()\nok, why = pcall(function() two:rollback() end) assert(not ok and why:find('by now'), why)"));
	assert_state(&t, JOB_SUCCEEDED);
	cr_assert(is_there(&t, "www/site.releases/7.1") && is_there(&t, "www/site.releases/7.1-2"));
	assert_page(&t, "www/site/f", "one\n");
	trial_end(&t);
}

Test(publish, refuses_what_lies_outside_and_says_which_setting_would_allow_it)
{
	static const char *const cases[][2] = {
		{ RULE(SITE("x") "job:publish('site', '/tmp/elsewhere/site')"), "is below none of the roots in config" },
		{ RULE(SITE("x") DEST "job:publish('site', dest .. '/../../outside')"), "names no folder below the root" },
		{ RULE(SITE("x") DEST "job:publish('site', dest:match('(.*)/site'))"), "names no folder below the root" },
		{ RULE(SITE("x") DEST "job:publish('site', dest .. 'x/./y')"), "names no folder below the root" },
		{ RULE(SITE("x") DEST "job:publish('/etc', dest)"), "neither in the workspace nor below one of the roots" },
		{ RULE(DEST "job:publish('none', dest)"), "No such file" },
		{ RULE("job:sh('ln -s /etc away')\n" DEST "job:publish('away', dest)"), "leads out of" },
		{ RULE("job:sh('mkdir a; ln -s ../.. a/up')\n" DEST "job:publish('a/up/up', dest)"), "leads out of" },
		{ RULE(SITE("x") "job:sh('ln -s /etc/passwd site/p')\n" DEST "job:publish('site', dest)"), "only links within" },
		{ RULE(SITE("x") "job:sh('ln -s ../../../../../../etc/passwd site/in/p')\n" DEST "job:publish('site', dest)"), "only links within" },
		{ RULE(SITE("x") "job:sh('ln -s in site/d; ln -s d/../../home site/p')\n" DEST "job:publish('site', dest)"), "only links within" },
		{ RULE(SITE("x") "job:sh('mkfifo site/in/pipe')\n" DEST "job:publish('site', dest)"), "in/: pipe is neither" },
		{ RULE(SITE("x") "job:publish('site', 'www/site', { keep = 0 })"), "keep wants a whole number" },
		{ RULE(SITE("x") "job:publish('site', 'www/site', { kep = 2 })"), "did you mean 'keep'?" },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct trial t;
		attempt(&t, cases[i][0]);
		assert_state(&t, JOB_FAILED);
		cr_assert_not_null(strstr(t.reason, cases[i][1]), "%zu: %s", i, t.reason);
		cr_assert_not(is_there(&t, "www/site"), "%zu", i);
		cr_assert_not(is_there(&t, "www/site.releases/.7.1.part"), "%zu", i);
		trial_end(&t);
	}
}

Test(publish, follows_no_link_out_of_a_root_and_replaces_no_folder)
{
	struct trial t;
	trial_begin(&t);
	trial_sh(t.folder, "mkdir -p www/site outside; echo mine >www/site/f; ln -s ../outside www/away; : >www/file");
	trial_run(&t, RULE(SITE("x") DEST "job:publish('site', dest)"));
	assert_state(&t, JOB_FAILED);
	assert_reason(&t, "is no link made by publish");
	assert_page(&t, "www/site/f", "mine\n");
	cr_assert_not(is_there(&t, "www/site.releases/7.1"));
	trial_run(&t, RULE(SITE("x") "job:publish('site', 'www/away/site')"));
	assert_state(&t, JOB_FAILED);
	assert_reason(&t, "leads out of its root");
	trial_run(&t, RULE(SITE("x") "job:publish('site', 'www/file/site')"));
	assert_state(&t, JOB_FAILED);
	assert_reason(&t, "is no folder");
	trial_run(&t, RULE(SITE("x") "job:publish('site', 'www/new/deep/site')"));
	assert_state(&t, JOB_SUCCEEDED);
	assert_page(&t, "www/new/deep/site/f", "x\n");
	trial_end(&t);
}

Test(publish, takes_links_within_along_and_leaves_the_repository_behind)
{
	struct trial t;
	attempt(&t, RULE(SITE("x") "job:sh('mkdir site/.git; ln -s in/g site/a; ln -s ../f site/in/b; ln -s gone site/dangling')\n" DEST
			 "job:publish('site', dest)"));
	assert_state(&t, JOB_SUCCEEDED);
	assert_page(&t, "www/site/a", "x\n");
	assert_page(&t, "www/site/in/b", "x\n");
	cr_assert(is_there(&t, "www/site/dangling"));
	cr_assert_not(is_there(&t, "www/site/.git"));
	trial_end(&t);
}

Test(publish, sweeps_copies_that_nobody_works_on_and_leaves_those_of_others)
{
	struct trial t;
	trial_begin(&t);
	trial_sh(t.folder, "mkdir -p www/site.releases/.3.1.part/in www/site.releases/.4.1.part www/site.releases/not-ours");
	CLEANUP(freep) char *busy = xprintf("%s/www/site.releases/.4.1.part", t.folder);
	CLEANUP(fd_closep) int fd = open(busy, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cr_assert(fd >= 0 && flock(fd, LOCK_EX) == 0);
	trial_run(&t, RULE(SITE("x") "job:publish('site', 'www/site', { keep = 1 })"));
	assert_state(&t, JOB_SUCCEEDED);
	cr_assert_not(is_there(&t, "www/site.releases/.3.1.part"));
	cr_assert(is_there(&t, "www/site.releases/.4.1.part") && is_there(&t, "www/site.releases/not-ours"));
	trial_end(&t);
}

Test(publish, a_cancel_ends_it_with_nothing_changed)
{
	struct trial t;
	attempt(&t, RULE(SITE("old") "job:publish('site', 'www/site')"));
	t.job = 8;
	t.cancel_after_ms = 300;
	trial_run(&t, RULE("job:sh('mkdir site; cd site; seq 1 100 | xargs touch; for i in 1 2 3 4; do mkdir $i; seq 1 4000 | (cd $i; xargs touch); done', { allow_failure = true })\n"
			   "while true do job:publish('site', 'www/site') end"));
	assert_state(&t, JOB_CANCELLED);
	cr_assert_not(is_there(&t, "www/site.releases/.8.1.part"));
	trial_end(&t);
}

Test(publish, those_who_publish_to_one_place_at_once_take_turns)
{
	struct trial t[3];
	pid_t pids[COUNT(t)];
	int status;
	trial_begin(&t[0]);
	for (size_t i = 0; i < COUNT(t); i++) {
		pids[i] = fork();
		if (pids[i] == 0) {
			t[0].job = 10 + (int)i;
			trial_run(&t[0], RULE(SITE("x") "for i = 1, 20 do job:publish('site', 'www/site', { keep = 1 }) end"));
			_exit(t[0].state != JOB_SUCCEEDED);
		}
	}
	for (size_t i = 0; i < COUNT(t); i++) {
		cr_assert_eq(waitpid(pids[i], &status, 0), pids[i]);
		cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	}
	assert_page(&t[0], "www/site/f", "x\n");
	trial_end(&t[0]);
}
