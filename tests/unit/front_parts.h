/* tests/unit/front_parts.h - the parts of a front that its tests share: a state folder that goes away, a rule set of a
 * hand-written bundle with the provider "github", and a store on the folder. */
#pragma once
#include <criterion/criterion.h>
#include <dirent.h>
#include <fcntl.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/hex.h"
#include "bundle.h"
#include "front/addresses.h"
#include "front/edition.h"
#include "front/shelf.h"
#include "store/store.h"

#define GITHUB "{'kind':'hmac','hash':'sha256','enc':'hex','sig':'header:X-Hub-Signature-256','pair':'=','take':'sha256'," \
	"'payload':'form:payload','signed':'{body}','event':'header:X-GitHub-Event','delivery':'header:X-GitHub-Delivery'," \
	"'deadline':'10s','retry':'none','fields':{'repo':'repository.full_name'}," \
	"'events':{'ping':'ping','push':{'#':['push'],'ref':'ref','branch':'branch_of:ref','sha':'after'}}}"
#define SECRET_TEXT "It's a Secret to Everybody"
#define BODY "{\"ref\":\"refs/heads/main\",\"after\":\"0123456789012345678901234567890123456789\"," \
	"\"repository\":{\"full_name\":\"acme/handbook\"},\"commits\":[]}"

struct place {
	char path[64];
	int state_dirfd, rulesets_dirfd, journals_dirfd;
	struct shelf *shelf;
	struct addresses addresses;
};

static inline void place_open(struct place *p)
{
	struct err e;

	*p = (struct place){ .path = "/tmp/test-front-XXXXXX" };
	cr_assert(mkdtemp(p->path));
	p->state_dirfd = open(p->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	p->rulesets_dirfd = dir_open_make(p->state_dirfd, "rulesets", &e);
	p->journals_dirfd = dir_open_make(p->state_dirfd, "journals", &e);
	cr_assert(p->rulesets_dirfd >= 0 && p->journals_dirfd >= 0);
	int secrets = dir_open_make(p->state_dirfd, "secrets", &e);
	cr_assert_eq(file_write_durable(secrets, "gh", SLICE(SECRET_TEXT), 0600, &e), 0);
	cr_assert_eq(file_write_durable(secrets, "other", SLICE("another secret"), 0600, &e), 0);
	close(secrets);
	p->shelf = shelf_new(p->rulesets_dirfd);
}

static inline void place_empty(int dirfd, const char *name)
{
	int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	for (struct dirent *entry; d && (entry = readdir(d));)
		if (entry->d_name[0] != '.' && unlinkat(fd, entry->d_name, 0) < 0) {
			place_empty(fd, entry->d_name);
			unlinkat(fd, entry->d_name, AT_REMOVEDIR);
		}
	if (d)
		closedir(d);
}

static inline void place_close(struct place *p)
{
	place_empty(p->state_dirfd, ".");
	rmdir(p->path);
	shelf_free(p->shelf);
	addresses_fini(&p->addresses);
	close(p->state_dirfd);
	close(p->rulesets_dirfd);
	close(p->journals_dirfd);
}

/* A bundle of the source "github" and RULES ({"name": plain JSON of a rule, …} as pairs, NULL-ended), as eval hands it over. */
static inline int place_bundle(const char *const *rules, const char *source)
{
	struct bundle_text b = BUNDLE_TEXT;
	struct buf text = BUF(BUF_UNLIMITED);
	struct err e;

	CLEANUP(freep) char *github = value_text(GITHUB);
	buf_addf(&b.providers, "{\"name\":\"github\",\"path\":\"plugins/providers/github.lua\",\"value\":%s}", github);
	bundle_decl(&b, "source", "github", 1, source ? source : "{'provider':'github','secret':{'$secret':'gh'}}");
	for (int i = 0; rules[i]; i += 2)
		bundle_decl(&b, "rule", rules[i], 1 + i, rules[i + 1]);
	int fd = memfd_sealed("bundle", bundle_end(&b, &text), &e);
	buf_fini(&text);
	cr_assert(fd >= 0, "%s", e.msg);
	return fd;
}

static inline struct edition *place_edition(struct place *p, const char *const *rules, const char *source)
{
	struct buf why = BUF(1 << 16);
	struct ruleset *rs;
	struct err e;

	CLEANUP(fd_closep) int fd = place_bundle(rules, source);
	cr_assert_eq(shelf_take(p->shelf, fd, &rs, &why, &e), 0, "%s\n%s", e.msg, buf_cstr(&why));
	buf_fini(&why);
	return edition_new(rs, &p->addresses, p->path, NULL);
}

static inline void sign_body(struct slice body, char out[80])
{
	unsigned char mac[32];
	unsigned len = sizeof mac;
	struct buf hex = BUF(80);

	HMAC(EVP_sha256(), SECRET_TEXT, sizeof SECRET_TEXT - 1, (const unsigned char *)body.ptr, body.len, mac, &len);
	hex_add(&hex, (struct slice){ (const char *)mac, sizeof mac });
	snprintf(out, 80, "sha256=%s", buf_cstr(&hex));
	buf_fini(&hex);
}
