/* base/hex.c - bytes as text. */
#include "base/hex.h"

#include <openssl/sha.h>
#include <string.h>

void hex_add(struct buf *out, struct slice bytes)
{
	static const char digits[] = "0123456789abcdef";
	for (size_t i = 0; i < bytes.len; i++) {
		unsigned char c = (unsigned char)bytes.ptr[i];
		buf_add(out, (struct slice){ (char[]){ digits[c >> 4], digits[c & 15] }, 2 });
	}
}

static int nibble(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int hex_parse(struct slice text, struct buf *out)
{
	if (text.len % 2)
		return -1;
	for (size_t i = 0; i < text.len; i += 2) {
		int hi = nibble(text.ptr[i]), lo = nibble(text.ptr[i + 1]);
		if (hi < 0 || lo < 0)
			return -1;
		buf_addc(out, (char)(hi << 4 | lo));
	}
	return 0;
}

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void base64_add(struct buf *out, struct slice bytes)
{
	for (size_t i = 0; i < bytes.len; i += 3) {
		size_t n = bytes.len - i < 3 ? bytes.len - i : 3;
		uint32_t v = 0;
		for (size_t k = 0; k < 3; k++)
			v = v << 8 | (k < n ? (unsigned char)bytes.ptr[i + k] : 0);
		for (size_t k = 0; k < 4; k++)
			buf_addc(out, k <= n ? alphabet[v >> (18 - 6 * k) & 63] : '=');
	}
}

int base64_parse(struct slice text, struct buf *out)
{
	uint32_t v = 0;
	int bits = 0;

	while (text.len && text.ptr[text.len - 1] == '=')
		text.len--;
	if (text.len % 4 == 1)
		return -1;
	for (size_t i = 0; i < text.len; i++) {
		const char *at = memchr(alphabet, text.ptr[i], 64);
		if (!at)
			return -1;
		v = v << 6 | (uint32_t)(at - alphabet);
		bits += 6;
		if (bits >= 8) {
			bits -= 8;
			buf_addc(out, (char)(v >> bits & 255));
		}
	}
	return (v & ((1u << bits) - 1)) ? -1 : 0;
}

void sha256_hex(struct slice bytes, char out[65])
{
	unsigned char digest[SHA256_DIGEST_LENGTH];
	struct buf b = BUF(64);

	SHA256((const unsigned char *)bytes.ptr, bytes.len, digest);
	hex_add(&b, (struct slice){ (const char *)digest, sizeof digest });
	memcpy(out, b.ptr, 64);
	out[64] = '\0';
	buf_fini(&b);
}
