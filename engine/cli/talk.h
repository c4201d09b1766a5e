/* cli/talk.h - what the commands that ask a running server share: the question, the answer as JSON, and colours. One thread. */
#pragma once
#include <jansson.h>

#include "cli/client.h"
#include "cli/command.h"

/* Colour on stdout: a terminal, NO_COLOR empty, or FORCE_COLOR/CLICOLOR_FORCE. */
int talk_has_colour(void);
/* Ask PATH of the server whose state folder is NAMED (NULL: found). EXIT_OK and *out owned (json_decref), or said on
 * stderr and an exit code. METHOD NULL: GET. */
int talk_json(const struct command *c, const char *named, const char *method, const char *path, json_t **out);
int talk_json_body(const struct command *c, const char *named, const char *method, const char *path, struct slice body, json_t **out);
/* An answer that is not a 2xx, said on stderr: the problem's detail. Returns the exit code that fits. */
int talk_refused(const struct command *c, const struct client_response *r);
int talk_refused_about(const struct command *c, const char *what, const struct client_response *r);    /* "delivery 7: …" */
int talk_unreachable(const struct command *c, const struct err *e);
/* The exit code that a job's result stands for; JOB_RUNNING and other open states: EXIT_FAILED. */
/* What a hook answers, as lines: the jobs with their cells, the rules that did not match, notes. Of a tamed answer. */
void talk_verdict(const json_t *answer);
int talk_exit_of_state(const char *state);
const char *talk_string(const json_t *object, const char *key);          /* "" where absent */
/* The event of a delivery or job as rules write it: "push", "pull_request.opened", "rule:failed", "job:built". Owned. */
char *talk_event(const json_t *object);
/* What caused it, to follow a line: "  by docs, job 40", "  cron 03:00" of this machine's zone; "" for a sender's. Owned. */
char *talk_cause(const json_t *object);
int64_t talk_integer(const json_t *object, const char *key);             /* 0 where absent */
/* For a terminal: control bytes in the strings of V, which senders and events wrote, become '?'. What talk_string gave of V before is gone. */
void talk_tame(json_t *v);
void talk_age(int64_t ms, char out[16]);                                 /* "412ms", "3.1s", "4m10s", "2h05m", "3d" */
const char *talk_state_colour(const char *state);                        /* an SGR sequence; "" without colours */
const char *talk_plain(void);                                            /* ends it */
/* A job number given as a word: 0 and *id, or EXIT_USAGE having said so. */
int talk_job_id(const struct command *c, const char *word, int64_t *id);
