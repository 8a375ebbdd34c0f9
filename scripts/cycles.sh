#!/usr/bin/env bash
# Checks that no import cycle crosses a folder, and that none has more than three files.
#
# Only product code counts: not tests.rs, tests/, inline test modules, or modules behind `cfg(test)`.
# An import is a `use` path, or a path in the code, that leads to another file of the same crate.
# It points at the file that defines the name: where engine.rs says `pub use io::Topic`, `crate::engine::Topic` is an
# import of engine/io.rs. A `pub use` of a name that the file does not need itself is only a signpost, like `mod`. It
# does not count as an import; nor does the `use` of a module until something is named through it.
# A file belongs to the folder it lies in, but `a.rs` to the folder `a` if that has files.
#
# Usage: scripts/cycles.sh [CRATE…]   (default: all crates)
set -u
cd "$(dirname "$0")" && . ./lib.sh
cd "$ROOT" || exit 1

if [ $# -eq 0 ]; then set -- node/protocol node node/cli node/program rendezvous gui; fi

checked=0 failed=0
for crate in "$@"; do
    [ -d "$crate/src" ] || continue
    checked=$((checked + 1))
    library=$(sed -n 's/^name = "\(.*\)"/\1/p' "$crate/Cargo.toml" | head -n 1)
    mapfile -t files < <(find "$crate/src" -name '*.rs' ! -name tests.rs ! -path '*/tests/*' | LC_ALL=C sort)
    LC_ALL=C awk -v src="$crate/src/" -v library="${library//-/_}" -f scripts/cycles.awk "${files[@]}" </dev/null ||
        failed=1
done
[ "$checked" -gt 0 ] || die "no crate at $*"
[ "$failed" -eq 0 ] || die "these files can only be understood, tested and moved together"
say "No import cycle crosses a folder"
