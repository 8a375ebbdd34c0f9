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

# loads LIBRARY: whether the loader finds it, as it must when the window asks. Other systems than Linux bring all.
loads() { [ "$(uname)" != Linux ] || [ -z "$(LD_PRELOAD=$1 env true 2>&1)" ]; }

# missing_libraries: Debian's packages with what the window loads on this desktop and would not find.
missing_libraries() {
    local desktop=x11 libraries package on library found
    [ -n "${WAYLAND_DISPLAY:-}" ] && desktop=wayland
    while read -r libraries package on; do
        [ "$on" = any ] || [ "$on" = $desktop ] || continue
        found=no
        for library in ${libraries//,/ }; do loads "$library" && found=yes; done
        [ $found = yes ] || printf '%s\n' "$package"
    done < <(grep -v '^#' "$ROOT/gui/assets/libraries.txt")
}

# Before minutes of building, not after.
need_rust
MISSING=()
has_compiler || MISSING+=(build-essential)
[ $WINDOWS = yes ] && while read -r package; do MISSING+=("$package"); done < <(missing_libraries)
[ ${#MISSING[@]} -eq 0 ] || die_for_want_of "${MISSING[@]}"

PEOPLE=(ada grace linus)
build lanyard-rendezvous lanyard-node lanyard-gui
start_workspace
start_rendezvous "Demo"
say "The login node runs. Its join link is"
say "  $LINK"
for name in "${PEOPLE[@]}" you; do add_account "$name"; done
say "Accounts: ${PEOPLE[*]} you (the password of ada is \"password of ada\", and so on)"

OPEN=()
# window NAME: a chat window that is signed in.
window() {
    printf 'password of %s\n' "$1" | "$BIN/lanyard" --join "$LINK" --username "$1" --password-stdin \
        --profile "$WORK/$1" >"$WORK/$1.out" 2>"$WORK/$1.err" &
    PIDS+=($!)
    OPEN+=("$1:$!")
}

# look_after_windows: ends the demo if a window has died, or if the last one was closed.
look_after_windows() {
    local window still=()
    for window in ${OPEN[@]+"${OPEN[@]}"}; do
        if kill -0 "${window#*:}" 2>/dev/null; then
            still+=("$window")
        elif ! wait "${window#*:}"; then
            tail -n 5 "$WORK/${window%:*}.err" >&2
            die "the window of ${window%:*} has died; its last lines stand above"
        fi
    done
    OPEN=(${still[@]+"${still[@]}"})
    [ $WINDOWS = no ] || [ ${#OPEN[@]} -gt 0 ] || { say "All windows are closed, and the demo ends."; exit 1; }
}

# until_true SECONDS COMMAND…: like wait_until, but a window that dies is the end of it.
until_true() {
    local seconds=$1; shift
    wait_until "$seconds" with_an_eye "$@"
}
with_an_eye() { look_after_windows; "$@"; }

# pause SECONDS: looks after the windows meanwhile.
pause() {
    local second
    for ((second = 0; second < $1; second++)); do
        look_after_windows
        sleep 1 & wait $!
    done
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
        until_true 20 heard "$name" "$1: $2" || fail "$name did not hear $1"
    done
    grep -F "$1: $2" "$WORK/${TERMINALS[0]}.out"
}

with_windows() {
    TERMINALS=(linus)
    start_peer linus
    window ada
    window grace
    until_true 60 linked linus || fail "the windows did not join"
    say "Two windows are open, as ada and as grace; linus is a program that talks:"
    say ""
    local hello="Hello from a terminal! Type something in one window and read it in the other."
    speak linus "$hello"
    local name
    for name in ada grace; do
        until_true 20 window_has "$name" "$hello" || fail "the window of $name did not hear linus"
    done
    [ $CHECK = yes ] && return
    local line
    for line in "I say something every minute." "The login node only checked our passwords." \
        "Stop it if you like: we go on talking until the passes run out."; do
        pause 60
        speak linus "$line"
    done
    say "Ctrl-C ends the demo."
    while :; do pause 60; done
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
        wait_until 20 heard "$name" "connected, login node offline, you are signed in" || fail "$name did not notice"
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
