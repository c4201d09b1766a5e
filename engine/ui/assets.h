/* ui/assets.h - the table that embed.py writes, sorted by path. For asset.c alone. */
#pragma once
#include "ui/asset.h"

extern const struct asset assets[];
extern const size_t n_assets;
