/* cli/delivery.h - one delivery that a running server keeps, as people want to see it. Each asks the server whose state folder
 * is STATE (NULL: found), writes to stdout and returns an exit code, what went wrong said on stderr. One thread. */
#pragma once
#include <stdio.h>

#include "cli/stored.h"

/* D, of a list and tamed, as one line. */
void delivery_line(const json_t *d, FILE *to);
enum delivery_form { DELIVERY_TEXT, DELIVERY_JSON };
int delivery_show(const struct command *c, const char *state, int64_t id, enum delivery_form form);
int delivery_body(const struct command *c, const char *state, int64_t id);
/* The command that sends it again with curl, to URL (NULL: to this server). A sender's signature is not kept, and not in it. */
int delivery_curl(const struct command *c, const char *state, int64_t id, const char *url);
/* Written to WHERE as a fixture, whose path is told: a file, "-" for stdout, or a folder, in which it becomes delivery-N.json, in
 * tests/ where the folder is a site. NULL: the site's folder, or the current one. */
int delivery_save(const struct command *c, const char *state, int64_t id, const char *where, enum stored_over over);
