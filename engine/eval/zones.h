/* eval/zones.h - the time zones that rules name, taken from this host into the bundle: whoever compiles it reads no file. */
#pragma once
#include "base/buf.h"
#include "rules/diag.h"

/* VALUE is a declaration of FILE, as data.h writes it. The zone of its `cron`, where it names one that is not in OUT yet,
 * becomes `"Europe/Berlin":"base64"`; one that this host does not have is said in DIAGS. */
void zones_add(struct slice value, const char *file, struct buf *out, struct diags *diags);
