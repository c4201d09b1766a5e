/* tests/fuzz/replay.c - runs a fuzz target over a corpus: each file of the folders (and files) named, and the empty input.
 * So the corpus is part of the ordinary suite under any compiler. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static int replay_file(int dirfd, const char *name)
{
	CLEANUP(buf_fini) struct buf b = BUF(64 << 20);
	struct err e;

	if (file_read(dirfd, name, &b, &e) < 0) {
		fprintf(stderr, "%s\n", e.msg);
		return 0;
	}
	printf("%s: %zu bytes\n", name, b.len);
	fflush(stdout);                                 /* the last line names what broke it */
	/* A copy of just the size, so that a read past the end is found. */
	CLEANUP(freep) uint8_t *bytes = xmalloc(b.len);
	if (b.len)
		memcpy(bytes, b.ptr, b.len);
	LLVMFuzzerTestOneInput(bytes, b.len);
	return 1;
}

static int replay_folder(const char *path)
{
	DIR *d = opendir(path);
	int n = 0;

	if (!d)
		return replay_file(AT_FDCWD, path);
	for (const struct dirent *e; (e = readdir(d));)
		if (e->d_name[0] != '.')
			n += replay_file(dirfd(d), e->d_name);
	closedir(d);
	return n;
}

int main(int argc, char **argv)
{
	int n = 0;

	LLVMFuzzerTestOneInput((const uint8_t *)"", 0);
	for (int i = 1; i < argc; i++)
		n += replay_folder(argv[i]);
	printf("%d inputs\n", n);
	return argc > 1 && n == 0;
}
