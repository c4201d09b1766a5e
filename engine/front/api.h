/* front/api.h - /api/v1 and the two health checks, as docs/api.md has them: what may be asked, checked, and handed to the
 * store's reading thread, to the journals, or to the streams. */
#pragma once

struct http_request;
struct loop;

/* Answers R, now or later; 404 for what is none of ours. On L's thread. */
void api_on_request(struct http_request *r, struct loop *l);
void api_on_health(struct http_request *r, struct loop *l);     /* /livez, /readyz: open to all */
