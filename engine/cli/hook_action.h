/* cli/hook_action.h - the command of a hook of adnanh/webhook as the body of a rule's function. Pure. */
#pragma once
#include "cli/hook_rule.h"

struct hook_action {
	json_t *hook;
	struct arena *arena;
	const struct hook_rule *rule;
	struct hook_notes *notes;
	struct buf *out;                /* Lua, indented by four */
	int uses_module;                /* out: it calls plugins/hook.lua */
	int n_files;
};
void hook_action_write(struct hook_action *a);
extern const char hook_module[];        /* the text of plugins/hook.lua */
