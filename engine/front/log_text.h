/* front/log_text.h - an attempt's journal as a text file, made on a thread of its own since a long log takes longer than a
 * loop may. */
#pragma once
#include <stdint.h>

#include "front/text.h"

#define LOG_TEXT_MAX 64                 /* logs that wait to be written out; past it 503 */

struct http_request;
struct log_text;
struct loop;

struct log_text *log_text_new(int folder_dirfd);        /* FOLDER (borrowed) holds the unnamed files while they are served */
void log_text_stop(struct log_text *t);                 /* what is being written goes back to its loop; nothing may come after */
void log_text_free(struct log_text *t);                 /* after the loops have ended; NULL is fine for both */

struct log_wanted {
	int64_t job;
	int attempt;
	int journal_fd;                 /* taken */
	int64_t length;                 /* of the journal that may be shown */
	int is_final;                   /* it will not grow */
	enum text_form form;
	int64_t tail;                   /* lines; -1 for all */
};
/* Answers R later, with Range and the rest of answer_file. On L's thread. */
void log_text_answer(struct http_request *r, struct loop *l, const struct log_wanted *w);
