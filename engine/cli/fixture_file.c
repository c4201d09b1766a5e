/* cli/fixture_file.c - read it whole, and take it for what it says it is. */
#include "cli/fixture_file.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"

int fixture_read(const char *path, struct fixture *out, struct err *e)
{
	CLEANUP(buf_fini) struct buf text = BUF(FIXTURE_MAX_BYTES);
	CLEANUP(fd_closep) int fd = strcmp(path, "-") ? open(path, O_RDONLY | O_CLOEXEC) : dup(STDIN_FILENO);

	if (fd < 0)
		return err_errno(e, "%s", path);
	if (fd_read_all(fd, &text, e) < 0 || fixture_parse(buf_slice(&text), out, e) < 0)
		return err_wrap(e, "%s", path);
	return 0;
}
