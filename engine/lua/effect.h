/* lua/effect.h - a rehearsal of a job: what it would do is written down, and not done. `pushrod test` compares the list.
 *
 * Methods that know of rehearsals (effect.c lists them) check their arguments as ever and stop before the deed; every other
 * one, so also one that is added later, is written down by its name and arguments. What a rule wants to know of the world
 * (a command's exit code and output, the answer to a request) comes from "answers" of the specification, by method, in order;
 * else all goes well and nothing is printed. One thread. */
#pragma once
#include <jansson.h>

#include "lua/attempt.h"

struct lua_State;
struct shell_options;
struct shell_result;

#define EFFECTS_MAX 10000

int effect_is_on(const struct attempt *a);
/* Write WHAT down (an object; taken), with the step that is open. More than EFFECTS_MAX end the job as failed. */
void effect_add(struct attempt *a, json_t *what);
/* The same as one member of text. */
void effect_note(struct attempt *a, const char *what, struct slice text);
void effect_command(struct attempt *a, const struct shell_options *o, struct shell_result *out);
/* The table of methods is on top: those that do not know of rehearsals are replaced. [-0, +0, m] */
void effect_wrap(struct lua_State *lua);

/* The role: `pushrod @dry`, descriptor 3 the writing end of a pipe, 4 the specification (runner/spec.h, and "answers":{…}).
 * Exit 0: {"effects":[…],"end":"succeeded","reason":""} was written to it; 1: one line that says why not. It can reach no file
 * and start no program where the kernel has Landlock. */
int effect_main(int argc, char **argv);
