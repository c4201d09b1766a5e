/* tests/unit/counted.h - how much memory the program has taken at most since counted_begin, in the bytes that malloc sets aside.
 * What the test executable and our libraries allocate passes here, by the linker's --wrap (meson.build); what other libraries
 * allocate for themselves does not. One thread. */
#pragma once
#include <malloc.h>
#include <stddef.h>
#include <stdint.h>

static int64_t counted_now, counted_most;

static inline void counted_begin(void)
{
	counted_now = counted_most = 0;
}

static inline size_t counted_peak(void)
{
	return (size_t)counted_most;
}

static inline void *counted(void *p)
{
	counted_now += (int64_t)malloc_usable_size(p);
	counted_most = counted_now > counted_most ? counted_now : counted_most;
	return p;
}

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void __real_free(void *p);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);
void __wrap_free(void *p);

void *__wrap_malloc(size_t n)
{
	return counted(__real_malloc(n));
}

void *__wrap_calloc(size_t n, size_t size)
{
	return counted(__real_calloc(n, size));
}

/* While it copies, both are there. */
void *__wrap_realloc(void *p, size_t n)
{
	int64_t had = (int64_t)malloc_usable_size(p);
	void *out = counted(__real_realloc(p, n));

	counted_now -= had;
	return out;
}

void __wrap_free(void *p)
{
	counted_now -= (int64_t)malloc_usable_size(p);
	__real_free(p);
}
