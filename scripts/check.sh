#!/usr/bin/env bash
# Everything that CI runs, with the time of each part. One dev profile, no release build.
set -u
cd "$(dirname "$0")" && . ./lib.sh
cd "$ROOT" || exit 1
need_toolchain

FAILED=()
# part NAME COMMAND…: runs the command, prints its time, and remembers a failure.
part() {
    local name=$1 started=$SECONDS; shift
    printf '\n== %s: %s\n' "$name" "$*"
    if "$@"; then
        printf -- '-- %s took %s s\n' "$name" $((SECONDS - started))
    else
        printf -- '-- %s FAILED after %s s\n' "$name" $((SECONDS - started))
        FAILED+=("$name")
    fi
}

part format cargo fmt --all --check
part tests cargo test --workspace
part lints cargo clippy --workspace --all-targets --quiet -- -D warnings
part documents env RUSTDOCFLAGS=-Dwarnings cargo doc --workspace --no-deps --document-private-items --quiet
part layers scripts/layers.sh
part cycles scripts/cycles.sh
if command -v cargo-deny >/dev/null 2>&1; then
    part dependencies cargo deny --offline check bans licenses sources
else
    say "== dependencies: skipped, cargo-deny is not installed"
fi
part demo env -u DISPLAY -u WAYLAND_DISPLAY scripts/demo.sh --check
if command -v Xvfb >/dev/null 2>&1 && command -v import >/dev/null 2>&1; then
    PICTURES=$(mktemp -d)
    part pictures scripts/pictures.sh "$PICTURES"
    rm -rf "$PICTURES"
else
    say "== pictures: skipped, Xvfb or ImageMagick is not installed"
fi
part mesh scripts/mesh.sh 20 --check

say ""
if [ ${#FAILED[@]} -gt 0 ]; then
    die "failed: ${FAILED[*]}"
fi
say "All parts passed in $SECONDS s"
