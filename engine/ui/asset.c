/* ui/asset.c - look a file of the page up: there are a handful. */
#include "ui/asset.h"

#include "ui/assets.h"

const struct asset *asset_find(struct slice path)
{
	for (size_t i = 0; i < n_assets; i++)
		if (slice_eq(path, slice_of(assets[i].path)))
			return &assets[i];
	return NULL;
}
