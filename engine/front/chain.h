/* front/chain.h - what the end of a job causes: the events `job:STATE`, `rule:finished` and `local:NAME`, asked of the rules in
 * force and stored as deliveries, each once (store.h, effects). The desk's thread. */
#pragma once

struct edition;
struct effect;
struct mailbox;
struct store;

#define CHAIN_DEPTH_MAX 16              /* events in a row, each caused by a job of the one before */
#define CHAIN_EVENTS_MAX 1000           /* that one delivery may cause, however they branch */

/* F is taken. Past a bound the event is stored with the reason in its `why`, and causes no job. MAIL hears of the store's
 * answer; whoever takes it needs to be told nothing. */
void chain_follow(struct store *store, struct mailbox *mail, struct edition *ed, struct effect *f);
