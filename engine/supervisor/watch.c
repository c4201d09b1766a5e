/* supervisor/watch.c - notice that a file of the site has changed. Editors write beside and rename, so names matter, not how. */
#include "supervisor/watch.h"

#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "base/file.h"
#include "base/slice.h"

#define EVENTS (IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_CREATE | IN_ONLYDIR)

static void add_folders(int fd, const char *site)
{
	static const char *const below[] = { "rules", "plugins", "plugins/providers" };

	for (size_t i = 0; i < COUNT(below); i++) {
		CLEANUP(freep) char *path = xprintf("%s/%s", site, below[i]);
		inotify_add_watch(fd, path, EVENTS);    /* not there, or watched already: both fine */
	}
}

int watch_open(const char *site, struct err *e)
{
	CLEANUP(fd_closep) int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);

	if (fd < 0 || inotify_add_watch(fd, site, EVENTS) < 0)
		return err_errno(e, "watch %s", site);
	add_folders(fd, site);
	return fd_take(&fd);
}

int watch_read(int fd, const char *site)
{
	char bytes[16384] __attribute__((aligned(8)));
	ssize_t n;
	int told = 0;

	while ((n = read(fd, bytes, sizeof bytes)) > 0)
		for (char *at = bytes; at < bytes + n;) {
			struct inotify_event ev;
			memcpy(&ev, at, sizeof ev);
			struct slice name = slice_of(ev.len ? at + sizeof ev : "");
			told |= (ev.mask & IN_ISDIR) != 0 || (slice_ends(name, SLICE(".lua")) && name.ptr[0] != '.');
			at += sizeof ev + ev.len;
		}
	add_folders(fd, site);
	return told;
}
