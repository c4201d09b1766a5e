/* front/ui.h - the page, from the binary: compressed at build time, with an entity tag, under a policy that lets it run
 * nothing but itself. */
#pragma once

struct http_request;

void ui_on_request(struct http_request *r);     /* GET and HEAD; answers R */
