/* Any bytes as a Lua text: tokens follow one another and cover the text forwards, and the pass over them ends, finds nothing
 * outside of it and agrees with itself. */
#include <stdint.h>
#include <stdlib.h>

#include "eval/injection.h"
#include "eval/places.h"
#include "eval/salvage.h"

static void check_tokens(struct slice text)
{
	struct lexer l;
	struct token t;
	size_t before = 0;
	int line = 1;
	CLEANUP(buf_fini) struct buf value = BUF(1 << 20);

	lexer_init(&l, text);
	for (lexer_next(&l, &t); t.kind != TOKEN_END; lexer_next(&l, &t)) {
		if (l.at < before || l.at > text.len || t.line < line || t.end_line < t.line || t.col < 1)
			abort();
		if (l.at == before && t.kind != TOKEN_WRONG)
			abort();
		if (t.kind == TOKEN_STRING && token_string(&t, &value) == 0 && value.len > text.len * 6)
			abort();
		buf_clear(&value);
		before = l.at;
		line = t.line;
	}
}

/* What is left out of a text leaves its lines, and what stood on them but that, in their places. */
static void check_salvage(struct slice text)
{
	CLEANUP(buf_fini) struct buf kept = BUF(BUF_UNLIMITED);
	CLEANUP(salvage_lost_fini) struct salvage_lost lost = { 0 };
	struct diags unheard = { 0 };

	buf_add(&kept, text);
	struct places *p = places_new(buf_slice(&kept), "f", &unheard);
	salvage(p, 2, &kept, &lost);
	places_free(p);
	diags_fini(&unheard);
	for (size_t i = 0; i < text.len; i++)
		if (kept.ptr[i] != text.ptr[i] && (kept.ptr[i] != ' ' || text.ptr[i] == '\n'))
			abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	struct slice text = { (const char *)bytes, n };
	struct diags diags = { 0 };
	const struct place_table *table;

	check_tokens(text);
	check_salvage(text);
	struct places *p = places_new(text, "f", &diags);
	for (int line = 1; line <= 3; line++)
		if (places_declaration(p, "rule", SLICE("x"), line, &table) && table)
			for (size_t i = 0; i < table->n; i++)
				if (table->fields[i].key.ptr && !place_key(table, table->fields[i].key))
					abort();
	injection_find(p, "f", &diags);
	diags_show(&diags, "f", text);
	places_free(p);
	diags_fini(&diags);
	return 0;
}
