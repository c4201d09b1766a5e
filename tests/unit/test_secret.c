/* A secret's value by its name: the places, their order, and what is refused. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "no_leaks.h"
#include "secret/secret.h"

static char site[64];

static void put(const char *name, const char *text, mode_t mode)
{
	CLEANUP(freep) char *path = xprintf("%s/secrets/%s", site, name);
	CLEANUP(fd_closep) int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	cr_assert(fd >= 0);
	cr_assert(fd_write_all(fd, slice_of(text)) == 0);
	cr_assert(fchmod(fd, mode) == 0);
}

static void set_up(void)
{
	struct err e;
	snprintf(site, sizeof site, "/tmp/test-secret-XXXXXX");
	cr_assert(mkdtemp(site));
	CLEANUP(freep) char *dir = xprintf("%s/secrets", site);
	cr_assert(dir_make(dir, 0700, &e) == 0);
	unsetenv("CREDENTIALS_DIRECTORY");
}

static void tear_down(void)
{
	CLEANUP(freep) char *dir = xprintf("%s/secrets", site);
	static const char *const names[] = { "gh", "empty", "open" };
	for (size_t i = 0; i < COUNT(names); i++) {
		CLEANUP(freep) char *path = xprintf("%s/%s", dir, names[i]);
		unlink(path);
	}
	rmdir(dir);
	rmdir(site);
}

TestSuite(secret, .init = set_up, .fini = tear_down);

static void expect(const char *name, const char *want)
{
	CLEANUP(secret_wipe) struct buf out = BUF(1 << 20);
	struct err e = { 0 };
	cr_assert_eq(secret_lookup(site, name, &out, &e), 0, "%s", e.msg);
	cr_expect_str_eq(buf_cstr(&out), want);
}

static void expect_refused(const char *name, enum err_kind kind, const char *says)
{
	CLEANUP(secret_wipe) struct buf out = BUF(1 << 20);
	struct err e = { 0 };
	cr_assert_eq(secret_lookup(site, name, &out, &e), -1);
	cr_expect_eq(e.kind, kind);
	cr_expect(strstr(e.msg, says), "%s", e.msg);
	cr_expect_eq(out.len, 0);
}

Test(secret, one_newline_at_the_end_of_a_file_is_cut)
{
	put("gh", "s3cret\n\n", 0600);
	expect("gh", "s3cret\n");
	put("gh", "s3cret\r\n", 0600);
	expect("gh", "s3cret");
	no_leaks();
}

Test(secret, a_file_that_others_may_read_is_refused_and_nothing_else_is_tried)
{
	put("open", "x", 0640);
	setenv("PUSHROD_SECRET_OPEN", "older", 1);
	expect_refused("open", ERR_INPUT, "chmod 600");
	no_leaks();
}

Test(secret, systemd_credentials_come_second_and_the_environment_last)
{
	setenv("PUSHROD_SECRET_GH_2026_X", "from-env", 1);
	expect("gh-2026.x", "from-env");
	CLEANUP(freep) char *credentials = xprintf("%s/secrets", site);
	setenv("CREDENTIALS_DIRECTORY", credentials, 1);
	char *empty_site = xstrdup(site);
	put("gh", "from-systemd", 0440);
	snprintf(site, sizeof site, "/tmp/no-such-site");
	expect("gh", "from-systemd");
	snprintf(site, sizeof site, "%s", empty_site);
	free(empty_site);
	no_leaks();
}

Test(secret, an_empty_one_is_an_error_of_configuration)
{
	put("empty", "\n", 0600);
	expect_refused("empty", ERR_INPUT, "empty");
	no_leaks();
}

Test(secret, one_that_nobody_has_says_where_to_put_it)
{
	expect_refused("nobody", ERR_UNAVAIL, "/secrets/nobody");
	no_leaks();
}

Test(secret, a_folder_is_no_secret)
{
	CLEANUP(freep) char *path = xprintf("%s/secrets/gh", site);
	struct err e;
	cr_assert(dir_make(path, 0700, &e) == 0);
	expect_refused("gh", ERR_INPUT, "regular file");
	rmdir(path);
	no_leaks();
}

Test(secret, names_cannot_leave_the_folder)
{
	static const char *const bad[] = { "", ".hidden", "../passwd", "a/b", "a b", "a\nb",
		"0123456789012345678901234567890123456789012345678901234567890123x" };
	for (size_t i = 0; i < COUNT(bad); i++)
		expect_refused(bad[i], ERR_INPUT, "no name of a secret");
}
