/* lua/remove.h - delete a folder with all that is in it, following no link. Best effort: what cannot go stays for the sweep. */
#pragma once

void remove_folder(const char *path);
void remove_below(int dirfd, const char *name);
