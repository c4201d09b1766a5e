/* journal/mask.c - registered secrets never reach a log.
 *
 * All forms of all secrets are words of one Aho-Corasick automaton (Aho and Corasick, 1975). A stream walks it byte by
 * byte. The depth of its node is how many of the last bytes could still become a secret: those are held back, marked
 * where a word ended on them, and given out once the depth shrinks; a run of marked bytes comes out as one "***".
 * SGR sequences (ESC [ … m) do not move the automaton; they are held along with what surrounds them. But a secret's own letters
 * may end a sequence ("ESC[31" before "mysecret"), so all bytes walk it as well, in a place of their own.
 * Edges live in one hash table keyed by (node, byte), as a dense table would take 1 KiB a node. */
#include "journal/mask.h"

#include <assert.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/hex.h"
#include "base/utf8.h"

enum mark { MARK_OPEN, MARK_SECRET, MARK_SEQUENCE, MARK_SECRET_SEQUENCE };

#define LINE_MIN_BYTES 6        /* a shorter line of a secret would mask ordinary text */
#define FORM_MIN_BYTES 6        /* likewise a shorter piece of base64 */
#define SECRET_MAX_BYTES (64 << 10)
#define BASE64_LINE 76          /* where base64(1) wraps (RFC 2045) */

struct node {
	uint32_t depth;
	uint32_t fail;
	uint32_t word;          /* length of the longest word that ends here, by itself or as a suffix */
};

struct edge {
	uint32_t from, to;      /* to 0: a free place; nothing leads back to the root by an edge */
	unsigned char byte;
};

struct mask {
	struct node *nodes;
	uint32_t n_nodes, cap_nodes;
	struct edge *edges;     /* open addressing, at most half full */
	uint32_t n_edges, cap_edges;
	uint32_t first[256];    /* the root's edges, dense: most bytes of a log stop here */
	int is_linked;
};

static uint32_t place_of(const struct mask *m, uint32_t from, unsigned char byte)
{
	uint32_t h = (from * 0x9e3779b1u) ^ (byte * 0x85ebca6bu);
	uint32_t at = (h ^ h >> 15) & (m->cap_edges - 1);
	while (m->edges[at].to && (m->edges[at].from != from || m->edges[at].byte != byte))
		at = (at + 1) & (m->cap_edges - 1);
	return at;
}

static uint32_t edge_to(const struct mask *m, uint32_t from, unsigned char byte)
{
	return from ? m->edges[place_of(m, from, byte)].to : m->first[byte];
}

struct mask *mask_new(void)
{
	struct mask *m = xcalloc(1, sizeof *m);
	m->cap_nodes = 64;
	m->nodes = xcalloc(m->cap_nodes, sizeof *m->nodes);
	m->n_nodes = 1;
	m->cap_edges = 256;
	m->edges = xcalloc(m->cap_edges, sizeof *m->edges);
	m->is_linked = 1;
	return m;
}

void mask_free(struct mask *m)
{
	if (!m)
		return;
	free(m->nodes);
	free(m->edges);
	free(m);
}

static void grow_edges(struct mask *m)
{
	struct edge *old = m->edges;
	uint32_t n = m->cap_edges;

	m->cap_edges = n * 2;
	m->edges = xcalloc(m->cap_edges, sizeof *m->edges);
	for (uint32_t i = 0; i < n; i++)
		if (old[i].to)
			m->edges[place_of(m, old[i].from, old[i].byte)] = old[i];
	free(old);
}

static uint32_t edge_make(struct mask *m, uint32_t from, unsigned char byte)
{
	uint32_t to = edge_to(m, from, byte);
	if (to)
		return to;
	if (m->n_nodes == m->cap_nodes)
		m->nodes = xrealloc(m->nodes, (m->cap_nodes *= 2) * sizeof *m->nodes);
	to = m->n_nodes++;
	m->nodes[to] = (struct node){ .depth = m->nodes[from].depth + 1 };
	if (2 * ++m->n_edges > m->cap_edges)
		grow_edges(m);
	m->edges[place_of(m, from, byte)] = (struct edge){ from, to, byte };
	if (!from)
		m->first[byte] = to;
	return to;
}

static void add_word(struct mask *m, struct slice word)
{
	uint32_t at = 0;

	for (size_t i = 0; i < word.len; i++)
		at = edge_make(m, at, (unsigned char)word.ptr[i]);
	m->nodes[at].word = (uint32_t)word.len;
	m->is_linked = 0;
}

static uint32_t step(const struct mask *m, uint32_t at, unsigned char byte)
{
	uint32_t to;
	while (!(to = edge_to(m, at, byte)) && at)
		at = m->nodes[at].fail;
	return to;
}

static int by_depth(const void *a, const void *b, void *arg)
{
	const struct mask *m = arg;
	uint32_t x = m->nodes[m->edges[*(const uint32_t *)a].to].depth;
	uint32_t y = m->nodes[m->edges[*(const uint32_t *)b].to].depth;
	return (x > y) - (x < y);
}

/* Failure links, in order of depth: a node's link is where its parent's link goes by the same byte. */
static void link_nodes(struct mask *m)
{
	uint32_t *order = xcalloc(m->n_edges, sizeof *order), n = 0;

	for (uint32_t i = 0; i < m->cap_edges; i++)
		if (m->edges[i].to)
			order[n++] = i;
	qsort_r(order, n, sizeof *order, by_depth, m);
	for (uint32_t i = 0; i < n; i++) {
		const struct edge *e = &m->edges[order[i]];
		struct node *node = &m->nodes[e->to];
		node->fail = e->from ? step(m, m->nodes[e->from].fail, e->byte) : 0;
		if (!node->word)
			node->word = m->nodes[node->fail].word;
	}
	free(order);
	m->is_linked = 1;
}

/* What of SECRET's base64 does not depend on its neighbours, when it begins ALIGN bytes into a group of three. */
static void add_base64(struct mask *m, struct slice secret, size_t align)
{
	static const size_t affected[] = { 0, 2, 3 };
	CLEANUP(buf_fini) struct buf bytes = BUF(SECRET_MAX_BYTES + 3), text = BUF(2 * SECRET_MAX_BYTES);

	buf_add(&bytes, (struct slice){ "\0\0", align });
	buf_add(&bytes, secret);
	base64_add(&text, buf_slice(&bytes));
	size_t whole = 8 * bytes.len / 6;
	for (int url = 0; url < 2; url++) {
		struct slice form = slice_from(slice_upto(buf_slice(&text), whole), affected[align]);
		if (form.len >= FORM_MIN_BYTES)
			add_word(m, form);
		for (size_t at = 0; align == 0 && form.len > BASE64_LINE && at < form.len; at += BASE64_LINE) {
			struct slice line = slice_upto(slice_from(form, at), BASE64_LINE);
			if (line.len >= FORM_MIN_BYTES)
				add_word(m, line);
		}
		for (size_t i = 0; i < text.len; i++)
			text.ptr[i] = text.ptr[i] == '+' ? '-' : text.ptr[i] == '/' ? '_' : text.ptr[i];
	}
}

static void add_hex(struct mask *m, struct slice secret)
{
	CLEANUP(buf_fini) struct buf text = BUF(2 * SECRET_MAX_BYTES);

	hex_add(&text, secret);
	add_word(m, buf_slice(&text));
	for (size_t i = 0; i < text.len; i++)
		text.ptr[i] = (char)toupper((unsigned char)text.ptr[i]);
	add_word(m, buf_slice(&text));
}

static void add_url(struct mask *m, struct slice secret, const char *digits, int plus)
{
	CLEANUP(buf_fini) struct buf text = BUF(3 * SECRET_MAX_BYTES);

	for (size_t i = 0; i < secret.len; i++) {
		unsigned char c = (unsigned char)secret.ptr[i];
		if (isalnum(c) || strchr("-_.~", c))
			buf_addc(&text, (char)c);
		else if (plus && c == ' ')
			buf_addc(&text, '+');
		else
			buf_add(&text, (struct slice){ (char[]){ '%', digits[c >> 4], digits[c & 15] }, 3 });
	}
	add_word(m, buf_slice(&text));
}

static void add_json(struct mask *m, struct slice secret)
{
	CLEANUP(buf_fini) struct buf text = BUF(7 * SECRET_MAX_BYTES);

	buf_add_json(&text, secret);
	add_word(m, (struct slice){ text.ptr + 1, text.len - 2 });
}

/* Output is repaired to UTF-8 before it gets here, so a secret that is not UTF-8 is looked for as repaired, too. */
static void add_repaired(struct mask *m, struct slice secret)
{
	CLEANUP(buf_fini) struct buf text = BUF(3 * SECRET_MAX_BYTES);
	uint32_t c;

	while (secret.len) {
		size_t n = utf8_next(secret, &c);
		buf_add(&text, n ? slice_upto(secret, n) : SLICE("\xef\xbf\xbd"));
		secret = slice_from(secret, n ? n : 1);
	}
	add_word(m, buf_slice(&text));
}

static void add_lines(struct mask *m, struct slice secret)
{
	struct slice line, rest = secret;

	while (rest.len) {
		slice_cut(rest, '\n', &line, &rest);
		line = slice_trim(line);
		if (line.len >= LINE_MIN_BYTES)
			add_word(m, line);
	}
}

/* Behind an escape sequence that nobody ended, its beginning is taken for the rest of that and does not get here: one byte, or
 * all up to the byte that ends a sequence (ECMA-48, 5.4). What is left of it is no less of a secret. */
static void add_swallowed(struct mask *m, struct slice secret)
{
	size_t end = secret.ptr[0] == '[';      /* it may itself open the sequence */

	while (end < secret.len && secret.ptr[end] >= 0x20 && secret.ptr[end] < 0x40)
		end++;
	for (int i = 0; i < 2; i++) {
		struct slice left = slice_from(secret, i ? end + 1 : 1);
		if (left.len >= LINE_MIN_BYTES)
			add_word(m, left);
	}
}

int mask_add(struct mask *m, struct slice secret)
{
	if (secret.len < MASK_MIN_BYTES || secret.len > SECRET_MAX_BYTES)
		return -1;
	add_word(m, secret);
	if (slice_trim(secret).len >= MASK_MIN_BYTES)
		add_word(m, slice_trim(secret));
	if (!utf8_is_valid(secret))
		add_repaired(m, secret);
	if (slice_chr(secret, '\n') >= 0)
		add_lines(m, secret);
	add_swallowed(m, secret);
	for (size_t align = 0; align < 3; align++)
		add_base64(m, secret, align);
	add_hex(m, secret);
	add_url(m, secret, "0123456789ABCDEF", 0);
	add_url(m, secret, "0123456789abcdef", 0);
	add_url(m, secret, "0123456789ABCDEF", 1);
	add_json(m, secret);
	link_nodes(m);
	return 0;
}

void mask_state_fini(struct mask_state *s)
{
	buf_fini(&s->held);
	buf_fini(&s->marks);
}

int mask_is_holding(const struct mask_state *s)
{
	return s->held.len > 0;
}

static int is_sequence(const struct mask_state *s, size_t i)
{
	return s->marks.ptr[i] == MARK_SEQUENCE || s->marks.ptr[i] == MARK_SECRET_SEQUENCE;
}

/* I, or where the sequence begins that it is inside of. */
static size_t whole_sequence(const struct mask_state *s, size_t i)
{
	while (i && i < s->held.len && is_sequence(s, i) && s->held.ptr[i] != '\x1b')
		i--;
	return i;
}

static void give_byte(struct mask_state *s, size_t i, struct buf *out)
{
	enum mark mark = (enum mark)s->marks.ptr[i];
	int is_secret = mark == MARK_SECRET || mark == MARK_SECRET_SEQUENCE;

	if (is_secret && !s->was_masked)
		buf_adds(out, "***");
	if (!is_secret)
		buf_addc(out, s->held.ptr[i]);
	if (mark != MARK_SEQUENCE)
		s->was_masked = is_secret;
	s->depth -= !is_sequence(s, i);
}

/* Give out the oldest held bytes until only KEEP that count are left, or KEEP_RAW in all; with KEEP 0 also the sequences behind. */
static void give_out(struct mask_state *s, uint32_t keep, uint32_t keep_raw, struct buf *out)
{
	size_t i = 0, end = s->held.len > keep_raw ? whole_sequence(s, s->held.len - keep_raw) : 0;

	while (i < end && (s->depth > keep || keep == 0))
		give_byte(s, i++, out);
	if (i) {
		buf_drop_front(&s->held, i);
		buf_drop_front(&s->marks, i);
	}
}

static void hold(struct mask_state *s, char byte, enum mark mark)
{
	buf_addc(&s->held, byte);
	buf_addc(&s->marks, (char)mark);
	assert(!buf_is_over(&s->held));
}

static void mark_word(struct mask_state *s, uint32_t length)
{
	for (size_t i = s->marks.len; length && i-- > 0;)
		if (!is_sequence(s, i)) {
			s->marks.ptr[i] = MARK_SECRET;
			length--;
		}
}

/* The last LENGTH bytes, whatever they are; a sequence that they reach into goes whole. */
static void mark_raw_word(struct mask_state *s, uint32_t length)
{
	for (size_t i = whole_sequence(s, s->held.len - length); i < s->held.len; i++)
		s->marks.ptr[i] = is_sequence(s, i) ? MARK_SECRET_SEQUENCE : MARK_SECRET;
}

static void feed_byte(const struct mask *m, struct mask_state *s, char byte, struct buf *out)
{
	uint32_t before = s->node;
	int counts = 0;

	if (s->escape) {
		hold(s, byte, MARK_SEQUENCE);
		if (!(s->escape == 1 && byte == '[') && !isdigit((unsigned char)byte) && byte != ';' && byte != ':')
			s->escape = 0;
		else
			s->escape = 2;
	} else if (byte == '\x1b') {
		hold(s, byte, MARK_SEQUENCE);
		s->escape = 1;
	} else {
		hold(s, byte, MARK_OPEN);
		counts = 1;
		s->depth++;
		s->node = step(m, s->node, (unsigned char)byte);
		if (m->nodes[s->node].word)
			mark_word(s, m->nodes[s->node].word);
	}
	s->raw = counts && s->raw == before ? s->node : step(m, s->raw, (unsigned char)byte);
	if (m->nodes[s->raw].word && (!counts || s->raw != s->node))
		mark_raw_word(s, m->nodes[s->raw].word);
	if (!s->escape)
		give_out(s, m->nodes[s->node].depth, m->nodes[s->raw].depth, out);
}

/* Nothing is held: how many bytes can go out as they are, as neither a word, nor its beginning, nor a sequence is
 * in them. */
static size_t harmless(const struct mask *m, struct slice bytes)
{
	uint32_t at = 0;
	size_t n = 0;

	for (; n < bytes.len && bytes.ptr[n] != '\x1b'; n++) {
		uint32_t to = at ? step(m, at, (unsigned char)bytes.ptr[n]) : m->first[(unsigned char)bytes.ptr[n]];
		if (m->nodes[to].word)
			break;
		at = to;
	}
	return n - m->nodes[at].depth;
}

void mask_feed(const struct mask *m, struct mask_state *s, struct slice bytes, struct buf *out)
{
	assert(m->is_linked);
	s->held.max = s->marks.max = BUF_UNLIMITED;     /* bounded by the longest word and the sequences within */
	while (bytes.len) {
		size_t run = s->held.len ? 0 : m->n_nodes == 1 ? bytes.len : harmless(m, bytes);
		if (run) {
			buf_add(out, slice_upto(bytes, run));
			s->was_masked = 0;
		} else {
			run = 1;
			feed_byte(m, s, bytes.ptr[0], out);
		}
		bytes = slice_from(bytes, run);
	}
}

void mask_flush(struct mask_state *s, struct buf *out)
{
	give_out(s, 0, 0, out);
	s->node = s->raw = 0;
	s->escape = 0;
	s->was_masked = 0;
}

void mask_text(const struct mask *m, struct slice text, struct buf *out)
{
	struct mask_state s = { 0 };

	mask_feed(m, &s, text, out);
	mask_flush(&s, out);
	mask_state_fini(&s);
}
