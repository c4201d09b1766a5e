/* supervisor/watch.h - notice that a file of the site has changed (inotify). One thread. */
#pragma once
#include "base/err.h"

/* A descriptor that is readable when something happened below SITE: itself, rules, plugins, plugins/providers. Owned. */
int watch_open(const char *site, struct err *e) MUST_USE;
/* Read what happened; 1 where a Lua file, or one of the folders, was among it. New folders are watched from then on. */
int watch_read(int fd, const char *site);
