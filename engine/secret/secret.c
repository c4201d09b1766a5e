/* secret/secret.c - where secrets come from, in a fixed order. The first place that has the name decides: a file that
 * is there but open to others is an error and not a reason to look further, or a mistake in a mode would silently
 * bring an older value back into force. */
#include "secret/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

enum found { FOUND, ABSENT, BROKEN };

int secret_name_is_valid(struct slice name)
{
	static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";

	if (name.len < 1 || name.len > 64 || name.ptr[0] == '.')
		return 0;
	for (size_t i = 0; i < name.len; i++)
		if (!memchr(allowed, name.ptr[i], sizeof allowed - 1))
			return 0;
	return 1;
}

void secret_wipe(struct buf *b)
{
	if (b->ptr)
		explicit_bzero(b->ptr, b->cap);
	buf_fini(b);
}

static int take_value(const char *name, const char *place, struct slice value, struct buf *out, struct err *e)
{
	if (value.len == 0)
		return err_set(e, ERR_INPUT, "secret '%s': %s is empty", name, place);
	if (value.len > SECRET_MAX_BYTES)
		return err_set(e, ERR_LIMIT, "secret '%s': %s is longer than %d bytes", name, place, SECRET_MAX_BYTES);
	buf_add(out, value);
	return 0;
}

/* Systemd's credentials are read-only for their user and may be readable by its group: SYSTEMD says it made them. */
enum owner { OWNER_SITE, OWNER_SYSTEMD };

static enum found read_file(const char *path, const char *name, enum owner owner, struct buf *out, struct err *e)
{
	CLEANUP(secret_wipe) struct buf value = BUF(SECRET_MAX_BYTES + 1);
	struct stat st;

	CLEANUP(fd_closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
		return ABSENT;
	if (fd < 0 || fstat(fd, &st) < 0) {
		err_errno(e, "secret '%s': %s", name, path);
		return BROKEN;
	}
	if (!S_ISREG(st.st_mode)) {
		err_set(e, ERR_INPUT, "secret '%s': %s is not a regular file", name, path);
		return BROKEN;
	}
	if (owner == OWNER_SITE && (st.st_mode & 077)) {
		err_set(e, ERR_INPUT, "secret '%s': others may read %s (mode %04o): chmod 600 it", name, path,
			st.st_mode & 07777);
		return BROKEN;
	}
	if (fd_read_all(fd, &value, e) < 0) {
		err_wrap(e, "secret '%s': %s", name, path);
		return BROKEN;
	}
	struct slice text = buf_slice(&value);
	if (slice_ends(text, SLICE("\n")))
		text.len--;
	if (slice_ends(text, SLICE("\r")))
		text.len--;
	return take_value(name, path, text, out, e) < 0 ? BROKEN : FOUND;
}

static enum found read_environment(const char *name, struct buf *out, struct err *e)
{
	CLEANUP(freep) char *key = xprintf("PUSHROD_SECRET_%s", name);
	for (char *c = key; *c; c++) {
		if (*c >= 'a' && *c <= 'z')
			*c = (char)(*c - 'a' + 'A');
		else if (*c == '-' || *c == '.')
			*c = '_';
	}
	const char *value = getenv(key);
	if (!value)
		return ABSENT;
	return take_value(name, key, slice_of(value), out, e) < 0 ? BROKEN : FOUND;
}

int secret_lookup(const char *site_dir, const char *name, struct buf *out, struct err *e)
{
	const char *credentials = getenv("CREDENTIALS_DIRECTORY");
	enum found found;

	if (!secret_name_is_valid(slice_of(name)))
		return err_set(e, ERR_INPUT, "'%s' is no name of a secret: 1 to 64 of A-Z a-z 0-9 . _ -", name);
	CLEANUP(freep) char *own = xprintf("%s/secrets/%s", site_dir, name);
	found = read_file(own, name, OWNER_SITE, out, e);
	if (found == ABSENT && credentials) {
		CLEANUP(freep) char *given = xprintf("%s/%s", credentials, name);
		found = read_file(given, name, OWNER_SYSTEMD, out, e);
	}
	if (found == ABSENT)
		found = read_environment(name, out, e);
	if (found == ABSENT)
		return err_set(e, ERR_UNAVAIL, "secret '%s' is nowhere: put it into %s (mode 0600)", name, own);
	return found == FOUND ? 0 : -1;
}
