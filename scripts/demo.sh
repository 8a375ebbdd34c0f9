#!/usr/bin/env bash
# A realm to look at: a login node, three accounts, two chat windows that are signed in, and a peer that talks.
# Without a display it does the same with terminal peers and shows their conversation. Ctrl-C ends all of it.
# demo.sh --check ends by itself: 0 only if every line reached everybody.
set -u
cd "$(dirname "$0")" && . ./lib.sh

CHECK=no
case "${1:-}" in
    '') ;;
    --check) CHECK=yes ;;
    *) printf 'usage: demo.sh [--check]\n' >&2; exit 2 ;;
esac

WINDOWS=no
[ -n "${DISPLAY:-}${WAYLAND_DISPLAY:-}" ] && WINDOWS=yes
[ "$(uname)" = Darwin ] && WINDOWS=yes

PEOPLE=(ada grace linus)
build lanyard-rendezvous lanyard-node lanyard-gui
start_workspace
start_rendezvous "Demo"
say "The login node runs. Its join link is"
say "  $LINK"
for name in "${PEOPLE[@]}" you; do add_account "$name"; done
say "Accounts: ${PEOPLE[*]} you (the password of ada is \"password of ada\", and so on)"

# window NAME: a chat window that is signed in.
window() {
    printf 'password of %s\n' "$1" | "$BIN/lanyard" --join "$LINK" --username "$1" --password-stdin \
        --profile "$WORK/$1" >"$WORK/$1.out" 2>"$WORK/$1.err" &
    PIDS+=($!)
}
linked() { grep -q "2 peers connected, login node online" "$WORK/$1.out"; }
heard() { grep -qF "$2" "$WORK/$1.out"; }
# What a window shows is in its store first.
window_has() { grep -aqF "$2" "$WORK/$1"/chat.db*; }
fail() { tail -n 5 "$WORK"/*.err >&2; die "$1"; }

# speak NAME TEXT: says it, and waits until every terminal peer has it.
speak() {
    tell "$1" "$2"
    local name
    for name in "${TERMINALS[@]}"; do
        wait_until 20 heard "$name" "$1: $2" || fail "$name did not hear $1"
    done
    grep -F "$1: $2" "$WORK/${TERMINALS[0]}.out"
}

with_windows() {
    TERMINALS=(linus)
    start_peer linus
    window ada
    window grace
    wait_until 60 linked linus || fail "the windows did not join"
    say "Two windows are open, as ada and as grace; linus is a program that talks:"
    say ""
    local hello="Hello from a terminal! Type something in one window and read it in the other."
    speak linus "$hello"
    local name
    for name in ada grace; do
        wait_until 20 window_has "$name" "$hello" || fail "the window of $name did not hear linus"
    done
    [ $CHECK = yes ] && return
    local line
    for line in "I say something every minute." "The login node only checked our passwords." \
        "Stop it if you like: we go on talking until the passes run out."; do
        sleep 60 & wait $!
        speak linus "$line"
    done
    say "Ctrl-C ends the demo."
    wait
}

with_terminals() {
    TERMINALS=("${PEOPLE[@]}")
    local name
    for name in "${PEOPLE[@]}"; do start_peer "$name"; done
    for name in "${PEOPLE[@]}"; do
        wait_until 60 linked "$name" || fail "$name does not see the others"
    done
    say "No display was found, so this is a demo of terminal peers. All three see each other and talk:"
    say ""
    speak ada "Hello! Can you both read this?"
    speak grace "Loud and clear 👋"
    speak linus "Now I pull the plug of the login node …"
    { kill -9 "$RENDEZVOUS" && wait "$RENDEZVOUS"; } 2>/dev/null
    for name in "${PEOPLE[@]}"; do
        wait_until 20 heard "$name" "connected, login node offline, your pass" || fail "$name did not notice"
    done
    grep "2 peers connected, login node offline" "$WORK/ada.out" | tail -n 1
    speak grace "… and the room goes on."
    [ $CHECK = yes ] && return
    start_rendezvous "Demo"
    say ""
    say "The login node is back. Join from another terminal (the password is \"password of you\"):"
    say "  $BIN/lanyard-node chat --data-dir $WORK/you --username you --join '$LINK'"
    say "What ada sees from now on; Ctrl-C ends the demo:"
    tail -n 0 -f "$WORK/ada.out"
}

if [ $WINDOWS = yes ]; then with_windows; else with_terminals; fi
say ""
say "1 passed, 0 failed"
