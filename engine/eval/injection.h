/* eval/injection.h - a lint: text of an event that becomes part of a shell's script, in the functions of rule files. Made
 * from tokens; it knows what people write, and is silent where it is not sure. Pure; any thread. */
#pragma once
struct diags;
struct places;

/* A warning at each place, under the name FILE. */
void injection_find(const struct places *p, const char *file, struct diags *out);
