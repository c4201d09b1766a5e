/* base/scan.h - how far a run of ordinary bytes goes, sixteen at a time. Pure. */
#pragma once
#include "base/slice.h"

size_t scan_printable(struct slice s);          /* ASCII 0x20..0x7e */
size_t scan_json_plain(struct slice s);         /* likewise, without '"' and '\': may stand in a JSON string as it is */
