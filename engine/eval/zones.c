/* eval/zones.c - files of the package tzdata, by their names, which are the user's: nothing above their folder is opened. */
#include "eval/zones.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/hex.h"
#include "rules/node.h"
#include "rules/zone.h"

#define FOLDER "/usr/share/zoneinfo"
#define NAME_MAX_BYTES 64
#define NAMES_MAX_BYTES (64 << 10)
#define NAMES_MAX 1000

static int is_name(struct slice s)
{
	if (s.len < 1 || s.len > NAME_MAX_BYTES || s.ptr[0] == '/' || slice_find(s, SLICE("..")) >= 0)
		return 0;
	for (size_t i = 0; i < s.len; i++) {
		char c = s.ptr[i], lower = (char)(c | 0x20);
		if (!(lower >= 'a' && lower <= 'z') && !(c >= '0' && c <= '9') && (c == '\0' || !strchr("/_+-", c)))
			return 0;
	}
	return 1;
}

static int read_zone(struct slice name, struct buf *bytes)
{
	CLEANUP(freep) char *path = xprintf(FOLDER "/" SLICE_FMT, SLICE_ARG(name));
	CLEANUP(fd_closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct zone *z;
	struct stat st;
	struct err e;

	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size > ZONE_MAX_BYTES || fd_read_all(fd, bytes, &e) < 0 ||
	    zone_parse(buf_slice(bytes), &z, &e) < 0)
		return -1;
	zone_free(z);
	return 0;
}

/* The names of zone1970.tab: its third column. LIST borrows from TEXT, which is cut up. */
static void list_names(struct buf *text, const char **list, size_t max)
{
	size_t n = 0;
	char *line, *rest = text->ptr, *column;

	while (rest && (line = strsep(&rest, "\n"))) {
		if (*line == '#')
			continue;
		for (int i = 0; i < 2 && line; i++)
			strsep(&line, "\t");
		column = strsep(&line, "\t");
		if (column && *column && n + 1 < max)
			list[n++] = column;
	}
	list[n] = NULL;
}

static void say_no_zone(const struct node *at, const char *file, struct diags *diags)
{
	CLEANUP(buf_fini) struct buf text = BUF(NAMES_MAX_BYTES);
	CLEANUP(freep) const char **names = xcalloc(NAMES_MAX, sizeof *names);
	CLEANUP(fd_closep) int fd = open(FOLDER "/zone1970.tab", O_RDONLY | O_CLOEXEC);
	struct slice name = slice_upto(at->text, 80);
	struct err e;

	if (fd < 0) {
		diags_add(diags, DIAG_ERROR, file, at->line, at->col, 0, "E015", "there is no time zone '" SLICE_FMT "' on this host, which has none in "
			  FOLDER ": install tzdata; \"UTC\" always works", SLICE_ARG(name));
		return;
	}
	if (fd_read_all(fd, &text, &e) == 0) {
		buf_cstr(&text);
		list_names(&text, names, NAMES_MAX);
	}
	const char *near = did_you_mean(name, names);
	diags_add(diags, DIAG_ERROR, file, at->line, at->col, 0, "E015", "there is no time zone '" SLICE_FMT "'%s%s%s: it is the name of a region "
		  "and a city, as \"Europe/Berlin\", or \"UTC\"", SLICE_ARG(name), near ? ", did you mean '" : "", near ? near : "", near ? "'" : "");
}

static int is_there(struct slice name, const struct buf *out)
{
	CLEANUP(freep) char *key = xprintf("\"" SLICE_FMT "\":", SLICE_ARG(name));
	return slice_find(buf_slice(out), slice_of(key)) >= 0;
}

void zones_add(struct slice value, const char *file, struct buf *out, struct diags *diags)
{
	CLEANUP(buf_fini) struct buf bytes = BUF(ZONE_MAX_BYTES);
	struct node_doc *doc;
	struct err e;

	if (slice_find(value, SLICE("\"zone\"")) < 0 || node_doc_parse(value, &doc, &e) < 0)
		return;
	const struct node *root = node_doc_root(doc), *cron = root->kind == NODE_TABLE ? node_get(root, "cron") : NULL;
	const struct node *zone = cron && cron->kind == NODE_TABLE ? node_get(cron, "zone") : NULL;
	if (zone && zone->kind == NODE_STRING && !slice_eq(zone->text, SLICE("UTC"))) {
		if (!is_name(zone->text) || read_zone(zone->text, &bytes) < 0) {
			say_no_zone(zone, file, diags);
		} else if (!is_there(zone->text, out)) {
			buf_addf(out, "%s\"" SLICE_FMT "\":\"", out->len ? ",\n" : "", SLICE_ARG(zone->text));
			base64_add(out, buf_slice(&bytes));
			buf_addc(out, '"');
		}
	}
	node_doc_free(doc);
}
