/* rules/node.h - the plain data that eval makes of Lua tables, with the place of every key and item. This is what
 * crosses from the eval process to everyone else, as JSON. Pure; immutable once parsed; any thread.
 *
 * JSON form. A scalar: a string, number, true, false. `null` the Lua constant: {"null":1}. A secret: {"secret":"name"}.
 * A function: {"fn":1}. A table: {"l":[items], "m":{"key":value}}, either left out when empty. Any object may carry
 * "at":[line,col] of its beginning; a table also "mat":{"key":[line,col]} or {"key":[line,col,line,col]}, of the key and of its
 * value, and "lat":[[line,col]…] of its items (scalars have no object of their own, so their places stand there). What eval has
 * reported as an error already is {"null":1,"bad":1}. */
#pragma once
#include "base/buf.h"
#include "base/err.h"

enum node_kind { NODE_STRING = 1, NODE_INTEGER, NODE_NUMBER, NODE_BOOL, NODE_NULL, NODE_SECRET, NODE_FUNCTION, NODE_TABLE };

struct node_member;
struct node {
	enum node_kind kind;
	int line, col;                  /* of the value, or of the nearest thing around it whose place is known; 0: unknown */
	int is_bad;                     /* NODE_NULL in the place of what has been reported: say no more about it */
	struct slice text;              /* NODE_STRING, NODE_SECRET (its name) */
	int64_t integer;                /* NODE_INTEGER, NODE_BOOL */
	double number;                  /* NODE_NUMBER */
	struct node **items;            /* NODE_TABLE: the list part */
	size_t n_items;
	struct node_member *members;    /* NODE_TABLE: the keyed part, sorted by key */
	size_t n_members;
};
struct node_member {
	struct slice key;
	struct node *value;
	int line, col;                  /* of the key */
};

/* All nodes and texts live in one arena owned by the document. */
struct node_doc;
int node_doc_parse(struct slice json, struct node_doc **out, struct err *e) MUST_USE;    /* one VALUE */
const struct node *node_doc_root(const struct node_doc *d);
void node_doc_free(struct node_doc *d);
const struct node *node_get(const struct node *table, const char *key);                 /* NULL where absent */
/* The JSON form of N, without places. */
void node_encode(const struct node *n, struct buf *out);
const char *node_kind_name(enum node_kind k);                                            /* "a string", "a table" */
