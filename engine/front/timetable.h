/* front/timetable.h - the schedules of the rules in force: at their moments they become deliveries of the source `cron`. One
 * timer, for the next of them; at rest there is none. The desk's thread. */
#pragma once

struct edition;
struct mailbox;
struct store;
struct timetable;

/* All borrowed. Answers of the store come through MAIL. */
struct timetable *timetable_new(struct store *store, struct mailbox *mail);
void timetable_stop(struct timetable *t);               /* fires nothing more, asks the store nothing more */
void timetable_free(struct timetable *t);               /* the store must be closed; NULL is fine */
/* These rules are in force from here on. One reference is kept. */
void timetable_put(struct timetable *t, struct edition *ed);
int timetable_fd(const struct timetable *t);            /* poll for reading, then timetable_turn */
void timetable_turn(struct timetable *t);
