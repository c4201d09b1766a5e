/* ui/asset.h - the page's files, in the binary: made at build time by embed.py from the bundled page. Any thread. */
#pragma once
#include "base/slice.h"

struct asset {
	const char *path;               /* "/index.html", "/app-1f3a….js" */
	const char *content_type;
	const char *etag;               /* with its quotes: of the plain bytes */
	int is_immutable;               /* its name holds its hash */
	struct slice plain, gzip, brotli;       /* the last two are empty where they would save nothing */
};

const struct asset *asset_find(struct slice path);      /* NULL where there is none */
