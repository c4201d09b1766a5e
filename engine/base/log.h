/* base/log.h - one event, one line on stderr: `ts=… level=… role=… msg="…" key=value …` (logfmt). Only process
 * roles log; libraries return errors. Never a secret, a body or a full header. Any thread. */
#pragma once
#include "base/mem.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

void log_init(const char *role, enum log_level least);   /* ROLE is borrowed for good */
/* error: someone must act. warn: we coped, say how. info: life cycle. debug: free.
 * KV_FMT prints `key=value` pairs, "" for none; control bytes in the result are escaped. */
void log_line(enum log_level level, const char *msg, const char *kv_fmt, ...) PRINTF(3, 4);

#define log_debug(msg, ...) log_line(LOG_DEBUG, msg, __VA_ARGS__)
#define log_info(msg, ...) log_line(LOG_INFO, msg, __VA_ARGS__)
#define log_warn(msg, ...) log_line(LOG_WARN, msg, __VA_ARGS__)
#define log_error(msg, ...) log_line(LOG_ERROR, msg, __VA_ARGS__)
