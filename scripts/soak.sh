#!/usr/bin/env bash
# The full figures: what CI tests in short form, here with the release build, in full size and with every figure
# printed. Names choose parts, none means all of them. Exit code 1 if one has failed, 2 for an unknown name.
#   scripts/soak.sh                     everything: some hours, 80 minutes of them fuzzing
#   scripts/soak.sh partition kill9     these two
#   scripts/soak.sh bench               only `lanyard-node bench`, laid beside its goals
#   scripts/soak.sh --list              the names
# The network tests need root or user namespaces, iproute2 and nftables; CI=true makes their absence a failure.
set -u
cd "$(dirname "$0")" && . ./lib.sh
. ./soak/bench.sh
. ./soak/attacker.sh
cd "$ROOT" || exit 1

PARTS=(attacker partition cables loss quiet kill9 late-joiner start-up moderators protocol node login store bench fuzz)
# describe PART: prints what it shows.
describe() {
    case $1 in
        attacker)    say "what strangers, members and thieves tried in a review, tried again, in ten minutes" ;;
        partition)   say "12 peers in two halves, 200 messages each in a cut of a minute: equal within 15 s" ;;
        cables)      say "cables cut at random for 1 to 20 s, 5 minutes at 5 messages/s: 0 lost" ;;
        loss)        say "1, 5 and 10 % of all packets lost: 100 % delivered" ;;
        quiet)       say "bytes of a room in which nothing happens" ;;
        kill9)       say "200 kills at random moments: stores sound, what was shown as sent is everywhere" ;;
        late-joiner) say "100,000 messages in under 60 s and 150 MB, the others undisturbed" ;;
        start-up)    say "ready in under 1 s with 1,000,000 messages" ;;
        moderators)  say "moderations among 25 peers, with the login node on and off, and across a partition" ;;
        protocol)    say "the history, reconciliation and the simulator with 1,000 engines" ;;
        node)        say "real swarms with a hostile member among them" ;;
        login)       say "floods, timing and kills of the login node, hostile names" ;;
        store)       say "rows a second, beside a bare table of SQLite" ;;
        bench)       say "throughput, latency, loss, memory" ;;
        fuzz)        say "ten minutes of every fuzz target (cargo-fuzz, and a nightly toolchain)" ;;
        *) return 1 ;;
    esac
}

# e2e FILTER…: end-to-end tests whose names contain a filter, one after the other.
e2e() { cargo test --quiet --release -p lanyard-rendezvous --test e2e -- --nocapture --test-threads 1 "$@"; }
# it CRATE [OPTION…]: a crate's integration tests.
it() { cargo test --quiet --release -p "$1" --test it -- --nocapture "${@:2}"; }

run_part() {
    case $1 in
        attacker)    attacker ;;
        partition)   e2e partition:: ;;
        cables)      e2e lossy::what_is_said ;;
        loss)        e2e lossy::nothing_is_lost ;;
        quiet)       e2e lossy::a_quiet_room ;;
        kill9)       e2e killed:: ;;
        late-joiner) e2e archives::a_late_joiner ;;
        start-up)    e2e archives::a_peer_with_a_full_store ;;
        moderators)  e2e moderators:: ;;
        protocol)    cargo test --quiet --release -p lanyard-protocol -- --nocapture ;;
        node)        it lanyard-node --include-ignored ;;
        login)       it lanyard-rendezvous && e2e flood:: reach:: ;;
        store)       cargo bench --quiet -p lanyard-node --bench store ;;
        bench)       bench ;;
        fuzz)        scripts/fuzz.sh 600 ;;
    esac
}

# A filter that no test's name contains would pass, and so would a test that could not run.
has_run() {
    if grep -q '^SKIPPED' "$1"; then return 1; fi
    case $2 in
        store|bench|fuzz) ;;
        *) grep -qE 'test result: ok\. [1-9]' "$1" ;;
    esac
}

chosen=()
for argument in "$@"; do
    case $argument in
        --list) for part in "${PARTS[@]}"; do printf '%-12s %s\n' "$part" "$(describe "$part")"; done; exit 0 ;;
        *) describe "$argument" >/dev/null || {
               printf 'there is no part %s; the parts: %s\n' "$argument" "${PARTS[*]}" >&2; exit 2; }
           chosen+=("$argument") ;;
    esac
done
[ ${#chosen[@]} -gt 0 ] || chosen=("${PARTS[@]}")

need_toolchain
export LANYARD_SOAK=1
start_workspace
ulimit -n 65536 2>/dev/null || ulimit -n "$(ulimit -Hn)" 2>/dev/null
say "Building with the release profile …"
cargo build --quiet --release -p lanyard-node-cli -p lanyard-rendezvous || die "the build failed"
BIN=${CARGO_TARGET_DIR:-$ROOT/target}/release
say "$(date -u +%Y-%m-%dT%H:%M:%SZ), commit $(git rev-parse --short HEAD 2>/dev/null), $(nproc) cores, load $(cut -d' ' -f1-3 /proc/loadavg 2>/dev/null)"

started=$SECONDS FAILED=()
: >"$WORK/table"
for part in "${chosen[@]}"; do
    began=$SECONDS log=$WORK/$part.log result=passed
    printf '\n== %s: %s\n' "$part" "$(describe "$part")"
    run_part "$part" 2>&1 | tee "$log"
    code=${PIPESTATUS[0]}
    if [ "$code" -ne 0 ]; then
        result=FAILED
    elif ! has_run "$log" "$part"; then
        result=SKIPPED
    fi
    [ $result = FAILED ] && FAILED+=("$part")
    printf -- '-- %s: %s after %s s\n' "$part" "$result" $((SECONDS - began))
    printf '%-12s %8s s  %s\n' "$part" $((SECONDS - began)) "$result" >>"$WORK/table"
    grep '^figure: ' "$log" | sed 's/^figure: /                /' >>"$WORK/table"
done

printf '\nPart              time  result\n'
cat "$WORK/table"
[ ${#FAILED[@]} -eq 0 ] || die "failed: ${FAILED[*]}"
say "No part has failed; $((SECONDS - started)) s in all"
