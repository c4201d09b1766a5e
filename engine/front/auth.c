/* front/auth.c - the checks before a read or a write. */
#include "front/auth.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <openssl/crypto.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/hex.h"
#include "front/edition.h"
#include "wire/frame.h"

static void forget(struct buf *secret)
{
	if (secret->ptr)
		explicit_bzero(secret->ptr, secret->cap);
	buf_fini(secret);
}

static int is_ours_alone(int dirfd)
{
	struct stat st;
	return fstatat(dirfd, CONTROL_KEY_FILE, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) &&
	       (st.st_mode & 077) == 0 && st.st_uid == geteuid();
}

/* The key of an earlier start, where it is whole and was never open to others: a full disk must not keep the front from
 * starting. */
static int read_key(int state_dirfd, char key[65])
{
	CLEANUP(forget) struct buf text = BUF(80), bytes = BUF(80);
	int found = is_ours_alone(state_dirfd) && file_read(state_dirfd, CONTROL_KEY_FILE, &text, NULL) == 0 &&
		    text.len == 64 && hex_parse(buf_slice(&text), &bytes) == 0;

	if (found)
		memcpy(key, buf_cstr(&text), 65);
	return found;
}

int auth_make_key(int state_dirfd, char key[65], struct err *e)
{
	CLEANUP(forget) struct buf text = BUF(80);
	char random[32];

	if (read_key(state_dirfd, key))
		return 0;
	if (getrandom(random, sizeof random, 0) != sizeof random)
		return err_errno(e, "getrandom");
	hex_add(&text, (struct slice){ random, sizeof random });
	explicit_bzero(random, sizeof random);
	memcpy(key, buf_cstr(&text), 65);
	return file_write_durable(state_dirfd, CONTROL_KEY_FILE, buf_slice(&text), 0600, e);
}

static int has_key(const struct http_request *r, const char *key)
{
	int count;
	struct slice scheme, token, value = http_header(r, "authorization", &count);

	if (count != 1 || !slice_cut(value, ' ', &scheme, &token) || !slice_ieq(scheme, SLICE("Bearer")))
		return 0;
	token = slice_trim(token);
	return token.len == strlen(key) && CRYPTO_memcmp(token.ptr, key, token.len) == 0;
}

static int refuse_key(struct http_request *r)
{
	static const char *const headers[] = { "www-authenticate", "Bearer realm=\"pushrod control\"", NULL };
	http_reply(r, &(struct http_reply){ .status = 401, .content_type = "application/problem+json", .headers = headers,
		.body = SLICE("{\"type\":\"about:blank\",\"title\":\"Unauthorized\",\"status\":401,\"detail\":\"the control "
			      "socket wants the key of state/" CONTROL_KEY_FILE " as a bearer token\"}") });
	return 0;
}

static int refuse_host(struct http_request *r)
{
	CLEANUP(buf_fini) struct buf detail = BUF(1024);
	buf_addf(&detail, "this server does not answer to '" SLICE_FMT "': use localhost, or name it in config's url",
		 SLICE_ARG(slice_upto(http_host(r), 200)));
	http_problem(r, 421, "Misdirected Request", buf_cstr(&detail));
	return 0;
}

int auth_allows(struct http_request *r, const struct edition *ed, const char *key, enum need need)
{
	if (http_classes(r) & LISTEN_CONTROL)
		return has_key(r, key) ? 1 : refuse_key(r);
	if (!edition_answers_to(ed, http_host(r)))
		return refuse_host(r);
	if (need == NEED_READ)
		return 1;
	http_problem(r, 403, "Forbidden", "writes need the control socket: use the pushrod command on this host");
	return 0;
}

int auth_is_loopback(int fd)
{
	struct sockaddr_storage at;
	socklen_t len = sizeof at;

	if (getsockname(fd, (struct sockaddr *)&at, &len) < 0)
		return 0;
	if (at.ss_family == AF_INET)
		return ntohl(((struct sockaddr_in *)&at)->sin_addr.s_addr) >> 24 == 127;
	if (at.ss_family == AF_INET6)
		return IN6_IS_ADDR_LOOPBACK(&((struct sockaddr_in6 *)&at)->sin6_addr);
	return at.ss_family == AF_UNIX;
}
