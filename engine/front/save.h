/* front/save.h - a delivery as a fixture, the file that `pushrod test` and `pushrod explain` take (rules/fixture.h). */
#pragma once
#include "front/ask.h"

/* GET …/deliveries/{id}/fixture. On the loop's thread. */
void save_delivery(const struct call *c);
