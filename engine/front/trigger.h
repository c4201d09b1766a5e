/* front/trigger.h - events that a person makes: a rule is run by its name, whatever its `on` and `when` say; or a local event
 * is sent, for whichever rules listen to it. The request's body, JSON, is the payload. On the loop's thread; both answer R, at
 * once or when the event is stored: as a hook does, 202. */
#pragma once
#include "base/slice.h"

struct http_request;
struct loop;

void trigger_rule(struct http_request *r, struct loop *l, struct slice name);
void trigger_local(struct http_request *r, struct loop *l, struct slice name);
