#!/bin/sh
# Bundle the page of SOURCE into OUT: sh bundle.sh SOURCE OUT STAMP DEPFILE. Installs what the lock file names, once.
set -eu
source=$1 out=$2 stamp=$3 depfile=$4
# One installation at a time: several build folders share the source's node_modules.
exec 9<"$source/package-lock.json"
flock 9
installed=$source/node_modules/.package-lock.json
if [ ! -f "$installed" ] || [ "$source/package-lock.json" -nt "$installed" ]; then
	(cd "$source" && npm ci --no-audit --no-fund --loglevel=error)
	touch "$installed"
fi
flock -u 9
node "$source/build.mjs" "$out"
{ printf '%s:' "$stamp"; find "$source/src" -type f ! -path '* *' -printf ' %p'; echo; } >"$depfile"
: >"$stamp"
