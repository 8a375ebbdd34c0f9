#!/usr/bin/env bash
# A realm to look at: a login node, three accounts, three peers that talk. Ctrl-C ends all of it.
# demo.sh --check does the same and ends by itself: 0 only if every line reached everybody.
set -u
cd "$(dirname "$0")" && . ./lib.sh

CHECK=no
case "${1:-}" in
    '') ;;
    --check) CHECK=yes ;;
    *) printf 'usage: demo.sh [--check]\n' >&2; exit 2 ;;
esac

PEOPLE=(ada grace linus)
build lanyard-rendezvous lanyard-node
start_workspace
start_rendezvous "Demo"
say "The login node runs. Its join link is"
say "  $LINK"
for name in "${PEOPLE[@]}"; do add_account "$name"; done
say "Accounts: ${PEOPLE[*]} (the password of ada is \"password of ada\", and so on)"
for name in "${PEOPLE[@]}"; do start_peer "$name"; done

linked() { grep -q "2 peers connected, login node online" "$WORK/$1.out"; }
heard() { grep -qF "$2" "$WORK/$1.out"; }
for name in "${PEOPLE[@]}"; do
    wait_until 60 linked "$name" || { cat "$WORK/$name.err" >&2; die "$name does not see the others"; }
done
say "All three see each other. They talk, from peer to peer:"
say ""

# speak NAME TEXT: says it, and waits until everybody has it.
speak() {
    tell "$1" "$2"
    for name in "${PEOPLE[@]}"; do
        wait_until 20 heard "$name" "$1: $2" || die "$name did not hear $1"
    done
    grep -F "$1: $2" "$WORK/ada.out"
}
speak ada "Hello! Can you both read this?"
speak grace "Loud and clear 👋"
speak linus "Now I pull the plug of the login node …"
{ kill -9 "$RENDEZVOUS" && wait "$RENDEZVOUS"; } 2>/dev/null
for name in "${PEOPLE[@]}"; do
    wait_until 20 grep -q "connected, login node offline, your pass" "$WORK/$name.out" || die "$name did not notice"
done
grep "2 peers connected, login node offline" "$WORK/ada.out" | tail -n 1
speak grace "… and the room goes on."
say ""
if [ $CHECK = yes ]; then
    say "1 passed, 0 failed"
    exit 0
fi
say "Join from another terminal (the login node is restarted for you):"
"$BIN/lanyard-rendezvous" --data-dir "$WORK/rendezvous" serve --listen 127.0.0.1:0 >/dev/null 2>&1 &
PIDS+=($!)
printf 'password of you\n' | "$BIN/lanyard-rendezvous" --data-dir "$WORK/rendezvous" \
    user add you --password-stdin >/dev/null
say "  $BIN/lanyard-node chat --data-dir $WORK/you --username you --join '$LINK'"
say "  (the password is \"password of you\")"
say "What ada sees from now on; Ctrl-C ends the demo:"
tail -n 0 -f "$WORK/ada.out"
