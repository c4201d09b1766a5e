/* secret/secret.h - a secret's value by its name: the first of site/secrets/NAME, $CREDENTIALS_DIRECTORY/NAME and the
 * environment's PUSHROD_SECRET_<NAME> that has it. Names are [A-Za-z0-9._-]{1,64}, not beginning with a dot.
 * Any thread, as long as nobody changes the environment. */
#pragma once
#include "base/buf.h"
#include "base/err.h"

#define SECRET_MAX_BYTES (64 << 10)

/* Append the value of NAME to OUT (whose memory the caller wipes with secret_wipe). A file must be a regular one that
 * group and others cannot read; one newline at its end is cut. 0, or -1 with OUT as it was: ERR_INPUT where the name,
 * the file or its mode is wrong or the value is empty, ERR_UNAVAIL where nobody has it, ERR_LIMIT past
 * SECRET_MAX_BYTES, ERR_IO. The message names places, never the value. */
int secret_lookup(const char *site_dir, const char *name, struct buf *out, struct err *e) MUST_USE;
int secret_name_is_valid(struct slice name);
/* Overwrite the memory, then buf_fini. For CLEANUP(secret_wipe) too. */
void secret_wipe(struct buf *b);
