/* base/hex.h - bytes as text: hex and base64 (RFC 4648), and SHA-256 in hex. Pure. */
#pragma once
#include "base/buf.h"

void hex_add(struct buf *out, struct slice bytes);                       /* lower case */
int hex_parse(struct slice text, struct buf *out) MUST_USE;              /* either case; odd length or other: -1 */
void base64_add(struct buf *out, struct slice bytes);                    /* padded */
int base64_parse(struct slice text, struct buf *out) MUST_USE;           /* standard alphabet, padding optional; else -1 */
void sha256_hex(struct slice bytes, char out[65]);
