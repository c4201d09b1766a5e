/* cli/stored.h - deliveries that a running server keeps, to be judged here. One thread. */
#pragma once
#include <jansson.h>

#include "cli/command.h"
#include "rules/fixture.h"
#include "rules/ruleset.h"

/* Delivery ID of the server whose state folder is NAMED (NULL: found). EXIT_OK: *out (FIXTURE_NONE before) and, where DELIVERY
 * is not NULL, the API's own object are owned. STORED_GONE: its body is no longer kept, and nothing is said. Else said on
 * stderr; EXIT_NOT_FOUND: there is no such delivery. */
#define STORED_GONE (-1)
int stored_fetch(const struct command *c, const char *named, int64_t id, struct fixture *out, json_t **delivery);
/* The same, written to PATH as a fixture; its folder is made. One that is there is left alone unless OVER says otherwise.
 * EXIT_OK, or said on stderr. */
enum stored_over { STORED_KEEP_OLD, STORED_WRITE_OVER };
int stored_save(const struct command *c, const char *named, int64_t id, const char *path, enum stored_over over);
/* The rule set known by SHA256, out of the state folder. EXIT_OK and *out owned, or said on stderr. */
int stored_ruleset(const struct command *c, const char *named, const char *sha256, struct ruleset **out);
