/* tests/fuzz/replay.c - run every file of the folders named on the command line through a fuzz target: the corpus as an
 * ordinary test, under any compiler. */
#include <dirent.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static int replay_one(int dir, const char *folder, const char *name)
{
	CLEANUP(buf_fini) struct buf text = BUF(64 << 20);
	struct err e;

	if (file_read(dir, name, &text, &e) < 0) {
		fprintf(stderr, "%s/%s: %s\n", folder, name, e.msg);
		return -1;
	}
	/* A copy of just the size, so that a read past the end is found. */
	CLEANUP(freep) uint8_t *bytes = xmalloc(text.len);
	if (text.len)
		memcpy(bytes, text.ptr, text.len);
	fprintf(stderr, "%s/%s\n", folder, name);
	return LLVMFuzzerTestOneInput(bytes, text.len);
}

static int replay(const char *folder)
{
	struct dirent *entry;
	int n = 0, bad = 0;
	DIR *dir = opendir(folder);

	if (!dir) {
		perror(folder);
		return -1;
	}
	while (!bad && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		bad = replay_one(dirfd(dir), folder, entry->d_name) != 0;
		n++;
	}
	closedir(dir);
	if (n == 0)
		fprintf(stderr, "%s is empty: nothing was tested\n", folder);
	return bad || n == 0 ? -1 : 0;
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (replay(argv[i]) < 0)
			return 1;
	return argc < 2;
}
