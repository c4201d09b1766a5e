/* front/intake.h - what a sender sent, made fit to keep and to show. Pure, save for intake_make_key; any thread. */
#pragma once
#include "base/buf.h"
#include "rules/provider.h"

/* 1 for application/json, application/…+json and application/x-www-form-urlencoded, whatever parameters follow. */
int intake_takes_type(struct slice content_type);
/* [{"rule":…,"job":7}] with the "url" of each job added; [] where JSON is nothing of the kind. */
void intake_add_urls(struct slice json, const char *base_url, struct buf *out);
/* The delivery key of a source without a provider: the sender's idempotency-key or webhook-id, else a random one: then
 * nothing is a duplicate. Owned. */
char *intake_make_key(const struct header *headers, size_t n);
