/* tests/unit/no_leaks.h - a leak fails the test it is in: Criterion's child would pass otherwise. */
#pragma once
#include <criterion/criterion.h>

#if defined(__SANITIZE_ADDRESS__)
#define HAVE_LSAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HAVE_LSAN 1
#endif
#endif

#ifdef HAVE_LSAN
#include <sanitizer/lsan_interface.h>
#define no_leaks() cr_assert_eq(__lsan_do_recoverable_leak_check(), 0, "memory leaked")
#else
#define no_leaks() ((void)0)
#endif
