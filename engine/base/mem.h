/* base/mem.h - allocation that cannot fail, scope clean-up, visible transfer of ownership. */
#pragma once
#include <stddef.h>

#define MUST_USE __attribute__((warn_unused_result))
#define PRINTF(f, a) __attribute__((format(printf, f, a)))
#define CLEANUP(fn) __attribute__((cleanup(fn))) /* fn takes T ** (or int * for a descriptor) */
#define TAKE(slot) ({ __auto_type s_ = (slot); __auto_type v_ = *s_; *s_ = NULL; v_; })
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* ASan maps terabytes of shadow memory: in a process built with it, a limit of address space or data forbids all of it. */
#if defined(__SANITIZE_ADDRESS__)
#define MEM_HAS_SHADOW 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define MEM_HAS_SHADOW 1
#endif
#endif
#ifndef MEM_HAS_SHADOW
#define MEM_HAS_SHADOW 0
#endif

/* Out of memory aborts: the supervisor starts the role anew. All results are owned, ended by free(). */
void *xmalloc(size_t n);
void *xcalloc(size_t n, size_t size);
void *xrealloc(void *p, size_t n);
char *xstrdup(const char *s);                   /* NULL stays NULL */
char *xprintf(const char *fmt, ...) PRINTF(1, 2);

void freep(void *p);                            /* for CLEANUP(freep) on any pointer from above */
