# The attacker's part: every fault that a review has found, tried again on real processes, sockets and databases, or on
# the engine where it takes hundreds of peers. Sourced by soak.sh.
# shellcheck shell=bash

# A line for each fault: what was tried | the crate and the kind of its tests | a part of their names.
ATTACKS=(
    "strangers fill the login node's memory|rendezvous e2e|strangers::strangers_with"
    "a member stops all sign-ins, a stolen laptop guesses|rendezvous e2e|guessing::"
    "a muted member dates a text back|node it|what_a_muted_person"
    "a muted member dates back, by gossip and by rounds|protocol lib|silencing::"
    "thirty devices of one account eclipse a peer|protocol lib|r99_"
    "one account makes a crowd, surrounds a peer in the ring|protocol lib|degree::"
    "a seventeenth device signs in|rendezvous lib|r78_"
    "members fill the policy|rendezvous lib|space::"
    "serve starts on a policy that is too large|rendezvous it|serve_starts"
    "eight addresses close the login server and a gate|rendezvous e2e|strangers::eight_"
    "limits change inside a minute, in any order of arrival|protocol it|history::r4"
    "devices that do not answer keep dials waiting|protocol lib|address_book::"
    "one account fills the roster|protocol lib|roster::"
    "an edited backup owns the realm|rendezvous it|backup"
    "two people speak under one nickname|rendezvous lib|nickname"
    "tries at the same time fit into one delay|rendezvous lib|guessing::"
    "names are told apart by the time of a check|rendezvous lib|password::"
    "sixteen devices flood with sixteen budgets|node lib|arrivals::"
    "a number lifts its own deadline|protocol lib|r56_"
    "receipts count devices|protocol lib|receipts::"
    "a hostile member among real swarms|node it|hostile_member"
)

# try CRATE KIND NAME: runs these tests; each must exist.
try() {
    local target=(--lib)
    [ "$2" = lib ] || target=(--test "$2")
    env -u LANYARD_SOAK cargo test --quiet --release -p "lanyard-$1" "${target[@]}" -- --nocapture --test-threads 1 "$3"
}

attacker() {
    local attack what where name crate kind began log verdict failed=no
    printf 'figure: %-58s %6s  %s\n' "attack" "time" "result"
    for attack in "${ATTACKS[@]}"; do
        IFS='|' read -r what where name <<<"$attack"
        read -r crate kind <<<"$where"
        began=$SECONDS log=$WORK/attack.log
        if try "$crate" "$kind" "$name" >"$log" 2>&1 && grep -qE 'test result: ok\. [1-9]' "$log"; then
            verdict="held, $(sed -n 's/.*test result: ok\. \([0-9]*\) passed.*/\1/p' "$log" | tail -1) tests"
        else
            verdict=BROKEN failed=yes
            cat "$log"
        fi
        printf 'figure: %-58s %4s s  %s\n' "$what" $((SECONDS - began)) "$verdict"
        grep '^\.*figure: ' "$log" | sed 's/^\.*figure: /figure:     /'
    done
    say "test result: ok. ${#ATTACKS[@]} attacks were tried"
    [ $failed = no ]
}
