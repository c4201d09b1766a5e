/* lua/remove.h - delete a folder with all that is in it, however deep, following no link. Best effort: what cannot go stays
 * for the sweep. Nothing may write there meanwhile. */
#pragma once

void remove_folder(const char *path);
void remove_below(int dirfd, const char *name);
