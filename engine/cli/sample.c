/* cli/sample.c - the table of what is shipped is made at build time by embed_samples.py. */
#include "cli/sample.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "samples.inc"

#define OWN_MAX 200
#define OWN_MAX_BYTES (1 << 20)

static struct sample *add(struct samples *s, struct slice name)
{
	s->list = xrealloc(s->list, (s->n + 1) * sizeof *s->list);
	s->list[s->n] = (struct sample){ slice_dup(name), BUF(OWN_MAX_BYTES) };
	return &s->list[s->n++];
}

static int is_sample(const struct dirent *d)
{
	struct slice name = slice_of(d->d_name);
	return name.ptr[0] != '.' && name.len > 5 && slice_ends(name, SLICE(".http"));
}

static int read_own(struct samples *s, const char *folder, const char *file, struct err *e)
{
	CLEANUP(freep) char *path = xprintf("%s/%s", folder, file);
	struct slice name = slice_of(file);

	if (s->n == OWN_MAX)
		return err_set(e, ERR_LIMIT, "%s: more than %d samples", folder, OWN_MAX);
	struct sample *one = add(s, slice_upto(name, name.len - 5));
	return file_read(AT_FDCWD, path, &one->text, e) < 0 ? err_wrap(e, "%s", path) : 0;
}

static int read_site(struct samples *s, const char *site, const char *provider, struct err *e)
{
	CLEANUP(freep) char *folder = xprintf("%s/plugins/providers/samples/%s", site, provider);
	struct dirent **names = NULL;
	int n = scandir(folder, &names, is_sample, alphasort), bad = 0;

	if (n < 0)
		return errno == ENOENT || errno == ENOTDIR ? 0 : err_errno(e, "%s", folder);
	for (int i = 0; i < n; i++) {
		if (!bad)
			bad = read_own(s, folder, names[i]->d_name, e);
		free(names[i]);
	}
	free(names);
	return bad;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct sample *)a)->name, ((const struct sample *)b)->name);
}

int samples_read(const char *provider, const char *site, struct samples *out, struct err *e)
{
	*out = (struct samples){ 0 };
	if (read_site(out, site, provider, e) < 0) {
		samples_fini(out);
		return -1;
	}
	for (size_t i = 0; i < COUNT(samples); i++) {
		if (strcmp(samples[i].provider, provider) || samples_find(out, samples[i].event))
			continue;
		struct sample *one = add(out, slice_of(samples[i].event));
		buf_add(&one->text, (struct slice){ (const char *)samples[i].bytes, samples[i].len });
	}
	if (out->n)
		qsort(out->list, out->n, sizeof *out->list, by_name);
	return 0;
}

void samples_fini(struct samples *s)
{
	for (size_t i = 0; i < s->n; i++) {
		free(s->list[i].name);
		buf_fini(&s->list[i].text);
	}
	free(s->list);
	*s = (struct samples){ 0 };
}

const struct sample *samples_find(const struct samples *s, const char *name)
{
	for (size_t i = 0; i < s->n; i++)
		if (!strcmp(s->list[i].name, name))
			return &s->list[i];
	return NULL;
}

void samples_names(const struct samples *s, struct buf *out)
{
	for (size_t i = 0; i < s->n; i++)
		buf_addf(out, "%s%s", i ? ", " : "", s->list[i].name);
}

const char *sample_provider(size_t i)
{
	for (size_t k = 0, n = 0; k < COUNT(samples); k++)
		if ((k == 0 || strcmp(samples[k].provider, samples[k - 1].provider)) && n++ == i)
			return samples[k].provider;
	return NULL;
}
