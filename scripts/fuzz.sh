#!/usr/bin/env bash
# Fuzzes the decoders and the code behind them: scripts/fuzz.sh [SECONDS [TARGET…]]
# Each target runs for SECONDS (default 60) on the committed corpus. New inputs go to target/fuzz-corpus, and inputs
# that break something to target/fuzz-artifacts. The full run is `scripts/fuzz.sh 600`.
set -u
cd "$(dirname "$0")" && . ./lib.sh
cd "$ROOT" || exit 1
need_toolchain
need cargo-fuzz "cargo install cargo-fuzz"
need c++ "libFuzzer is C++. On Debian: apt-get install build-essential"
cargo +nightly --version >/dev/null 2>&1 || die "the nightly toolchain is missing. rustup toolchain install nightly"

SECONDS_EACH=${1:-60}
[[ $SECONDS_EACH =~ ^[1-9][0-9]*$ ]] || die "usage: scripts/fuzz.sh [SECONDS [TARGET…]]"
shift $(($# > 0 ? 1 : 0))
ALL="sync policy moderation message ticket hello login link"
# shellcheck disable=SC2086
[ $# -gt 0 ] || set -- $ALL
FUZZ=$ROOT/node/protocol/fuzz
TARGET=${CARGO_TARGET_DIR:-$ROOT/target}

FAILED=()
for name in "$@"; do
    case " $ALL " in *" $name "*) ;; *) die "there is no target $name; there are: $ALL" ;; esac
    mkdir -p "$TARGET/fuzz-corpus/$name" "$TARGET/fuzz-artifacts/$name"
    log=$TARGET/fuzz-artifacts/$name.log
    say "== $name for $SECONDS_EACH s"
    if cargo +nightly fuzz run --fuzz-dir "$FUZZ" --target-dir "$TARGET/fuzz" "$name" \
        "$TARGET/fuzz-corpus/$name" "$FUZZ/corpus/$name" -- -max_total_time="$SECONDS_EACH" -max_len=8192 \
        -timeout=10 -rss_limit_mb=1024 -print_final_stats=1 -artifact_prefix="$TARGET/fuzz-artifacts/$name/" \
        >"$log" 2>&1; then
        say "-- $(grep -a number_of_executed_units "$log" | tr -dc 0-9) executions, no finding"
    else
        tail -n 30 "$log"
        FAILED+=("$name")
    fi
done
[ ${#FAILED[@]} -eq 0 ] || die "findings or failures in: ${FAILED[*]}; the inputs are in $TARGET/fuzz-artifacts"
