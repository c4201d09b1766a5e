/* runner/sandbox.h - what a step may reach: Landlock for files, signals and abstract sockets, seccomp for system calls. Both by raw
 * system calls, each as far as this kernel has it. Used between fork and exec of a step. One thread. */
#pragma once
#include "base/err.h"

struct step_options;

int sandbox_landlock_abi(void);                 /* 0: not here. Probed once */
int sandbox_has_seccomp(void);
/* The rule set of O, an owned descriptor; -2 where the kernel has no Landlock. -1: *e. Missing folders are left out. */
int sandbox_ruleset(const struct step_options *o, struct err *e) MUST_USE;
/* One that grants nothing, owned; -2 where the kernel has no Landlock, -1 with errno. */
int sandbox_ruleset_of_nothing(void);
/* Confine the calling process for good: no_new_privs, RULESET_FD (-2: none), the system call filter. Async-signal-safe.
 * 0, or -1 with errno. */
int sandbox_enter(int ruleset_fd);
