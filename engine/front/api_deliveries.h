/* front/api_deliveries.h - the API's requests about deliveries, for the table in api.c. On the loop's thread. */
#pragma once
#include "front/ask.h"

void api_list_deliveries(const struct call *c);
void api_show_delivery(const struct call *c);
void api_show_body(const struct call *c);
