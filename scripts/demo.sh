#!/usr/bin/env bash
# A place to try out: a login node, three rooms with some history, two chat windows side by side, and a friend
# who answers. Enter kills the login node and starts it again while the chat goes on; Ctrl-C ends everything.
# Without a display, terminal peers take the place of the windows.
# demo.sh --check presses the key itself and exits, with 0 only if every line reached everybody.
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

# loads LIBRARY: whether the loader finds it, as it must when the window opens. Only on Linux can a library be missing.
loads() { [ "$(uname)" != Linux ] || [ -z "$(LD_PRELOAD=$1 env true 2>&1)" ]; }

# missing_libraries: the Debian packages of the libraries that the window needs on this desktop and that are missing.
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

# Checked before the build, which takes minutes.
need_rust
MISSING=()
has_compiler || MISSING+=(build-essential)
[ $WINDOWS = yes ] && while read -r package; do MISSING+=("$package"); done < <(missing_libraries)
[ ${#MISSING[@]} -eq 0 ] || die_for_want_of "${MISSING[@]}"

## Windows

OPEN=() OPENED=no
# open_window NAME: a chat window that signs in by itself.
open_window() {
    mkdir -m 700 "$WORK/$1"
    printf '{"zoom_percent": %s, "notifications": false}' "$ZOOM" >"$WORK/$1/gui.json"
    printf 'password of %s\n' "$1" | "$BIN/lanyard" --join "$LINK" --username "$1" --password-stdin \
        --profile "$WORK/$1" >"$WORK/$1.out" 2>"$WORK/$1.err" &
    PIDS+=($!)
    OPEN+=("$1:$!")
    OPENED=yes
}

# look_after_windows: ends the demo if a window has died, or if the last one was closed.
look_after_windows() {
    local window still=()
    for window in ${OPEN[@]+"${OPEN[@]}"}; do
        if kill -0 "${window#*:}" 2>/dev/null; then
            still+=("$window")
        elif wait "${window#*:}"; then
            forget "${window#*:}"
            HERE=${HERE/ ${window%:*} / }
        else
            tail -n 5 "$WORK/${window%:*}.err" >&2
            die "the window of ${window%:*} has died; its last lines are above"
        fi
    done
    OPEN=(${still[@]+"${still[@]}"})
    [ $OPENED = no ] && return
    [ ${#OPEN[@]} -gt 0 ] && return
    say "All windows are closed, so the demo ends."
    [ $CHECK = no ]
    exit
}

# screen_size: WIDTH HEIGHT, if there is a tool that knows it. On Wayland no program may place windows.
screen_size() {
    if [ $WINDOWS = no ] || [ -n "${WAYLAND_DISPLAY:-}" ]; then
        return
    elif command -v xdotool >/dev/null 2>&1; then
        xdotool getdisplaygeometry
    elif command -v wmctrl >/dev/null 2>&1; then
        wmctrl -d | sed -n 's/.*\* *DG: \([0-9]*\)x\([0-9]*\).*/\1 \2/p'
    fi
}

# place PID X WIDTH HEIGHT
place() {
    local id
    if command -v xdotool >/dev/null 2>&1; then
        id=$(xdotool search --onlyvisible --pid "$1" 2>/dev/null | tail -n 1)
        [ -n "$id" ] && xdotool windowsize "$id" "$3" "$4" windowmove "$id" "$2" 40
    else
        id=$(wmctrl -l -p | awk -v pid="$1" '$3 == pid { print $1 }')
        [ -n "$id" ] && wmctrl -i -r "$id" -e "0,$2,40,$3,$4"
    fi
}

# place_windows: places them side by side, if there is a tool for it; otherwise the desktop decides.
place_windows() {
    [ -n "$SCREEN" ] || return
    local width=$((${SCREEN% *} / 2)) height=$((${SCREEN#* } - 120)) x=0 window
    [ $height -lt $((width * 9 / 10)) ] || height=$((width * 9 / 10))
    for window in "${OPEN[@]}"; do
        wait_until 10 place "${window#*:}" $x $width $height
        x=$((x + width))
    done
}

## People

# until_true SECONDS COMMAND…: like wait_until, but ends the demo if a window dies.
until_true() {
    local seconds=$1; shift
    wait_until "$seconds" with_an_eye "$@"
}
with_an_eye() { look_after_windows; "$@"; }

# Once people play with the demo they may mute Linus or ban Hedy, and then it goes on without their lines.
PATIENCE=60 STRICT=yes
fail() {
    [ $STRICT = yes ] || return 0
    tail -n 5 "$WORK"/*.err >&2
    die "$1"
}

# has NAME TEXT: whether a terminal peer has printed the text, or a window has it in its store. A closed window passes.
has() {
    [[ $HERE == *" $1 "* ]] || return 0
    if [ -p "$WORK/$1.in" ]; then grep -qF "$2" "$WORK/$1.out"; else grep -aqF "$2" "$WORK/$1"/chat.db*; fi
}

# all_have TEXT: everybody who is here has it.
all_have() {
    local name
    for name in $HERE; do
        until_true $PATIENCE has "$name" "$1" || fail "$name does not have: $1"
    done
}

# speak NAME ROOM TEXT: a peer in --json mode says it, and everybody has it.
speak() {
    tell "$1" "{\"cmd\":\"send\",\"room\":\"$2\",\"text\":\"$3\"}"
    all_have "$3"
}

# linus_sees WHAT: whether the latest event about Linus's links says so.
linus_sees() { grep '"event":"link"' "$WORK/linus.out" | tail -n 1 | grep -qF "$1"; }
await_peers() { until_true $PATIENCE linus_sees "\"peers\":$1," || fail "linus does not see $1 peers"; }
await_login_node() { until_true $PATIENCE linus_sees "\"rendezvous\":\"$1\"" || fail "linus does not see the login node $1"; }

# answer NAME ROOM TEXT: what Linus says to that. He never answers his own texts.
answer() {
    shopt -s nocasematch
    case " $3 " in
        *[!a-z]hello[!a-z]* | *[!a-z]hi[!a-z]* | *[!a-z]hey[!a-z]* | *'good morning'*)
            say "Hello @$1! I am a script at a terminal. Write anything, in any room." ;;
        *'i am back'* | *"i'm back"*) say "Welcome back, @$1. You have missed nothing: we kept it for you." ;;
        *'login node'* | *server* | *offline*)
            say "Your words went from your computer to mine. The login node never carries a message." ;;
        *thank* | *great* | *nice*) say "You are welcome, @$1." ;;
        *bye*) say "See you, @$1." ;;
        *lunch* | *hungry* | *noodles* | *eat*) say "Count me in. 🍜" ;;
        *printer* | *bench* | *cable*) say "It is on bench 3, next to the soldering irons." ;;
        *'?'*) say "Good question, @$1. Who else here knows?" ;;
        *) [ "$2" = lunch ] && say "I am hungry already." || say "${ASIDES[$((ANSWERS % ${#ASIDES[@]}))]}" ;;
    esac
}
ASIDES=(
    "Noted. Everybody here has that line now, in the same order as you."
    "Look beside your line: it says on how many computers it is stored."
    "Have you killed the login node yet? Press Enter in the terminal of this demo, and write again."
    "Mention somebody with an @, and their window marks the line."
    "Try Ctrl+K: it takes you to another room."
)

# be_linus: reads what Linus hears, and answers everybody but himself, at most 20 times a minute.
be_linus() {
    local part='' line name room text minute=0 before=0 ANSWERS=0
    while :; do
        IFS= read -r line || { part+=$line; sleep 0.2; continue; }
        line=$part$line part=''
        case "$line" in
            *'"event":"message"'*'"username":"linus"'*) continue ;;
            *'"event":"message"'*) ;;
            *) continue ;;
        esac
        name=${line##*\"username\":\"} name=${name%%\"*}
        room=${line##*\"room\":\"} room=${room%%\"*}
        text=${line#*\"text\":\"} text=${text%%\",\"username\":*}
        [ $((SECONDS / 60)) = $minute ] || { minute=$((SECONDS / 60)) before=$ANSWERS; }
        [ $((ANSWERS - before)) -lt 20 ] || continue
        sleep 0.5
        tell linus "{\"cmd\":\"send\",\"room\":\"$room\",\"text\":\"$(answer "$name" "$room" "$text")\"}"
        ANSWERS=$((ANSWERS + 1))
    done
}

## What happens

# Linus and Hedy talk before anybody else is there. Then Hedy leaves.
make_history() {
    HERE=' linus hedy '
    for name in linus hedy; do start_peer "$name" --json; done
    local hedy=$!
    await_peers 1
    speak linus hardware "The 3D printer takes PLA only today."
    speak hedy hardware "Bench 2 has power again."
    speak hedy lunch "Noodles at half past twelve?"
    speak linus lunch "Count me in. 🍜"
    speak hedy lobby "Good morning! The big screen is free: plug in and show what you have made."
    speak linus lobby "Thanks! I have put the plan of the day on it."
    speak hedy lobby "And somebody has left a blue scarf at the door."
    speak linus lobby "It is mine, thank you!"
    speak hedy lobby "I am off to the workshop. Write to me all the same, I will read it when I am back."
    tell hedy '{"cmd":"quit"}'
    wait $hedy || fail "hedy did not quit"
    forget $hedy
    # From here on he answers.
    exec 3<"$WORK/linus.out"
    cat <&3 >/dev/null
    be_linus <&3 & PIDS+=($!)
}

# Everybody else comes, and fetches what was said before.
let_in() {
    for name in ada grace; do
        if [ $WINDOWS = yes ]; then open_window "$name"; else start_peer "$name"; fi
    done
    HERE=' linus ada grace '
    await_peers 2
    place_windows
    all_have "I am off to the workshop."
}

# follow: without windows, shows what has appeared on Ada's terminal.
follow() {
    [ $WINDOWS = yes ] || while IFS= read -r line; do say "  | $line"; done <&4
}

# Only a line in the status bar shows it. Hedy, away until now, comes back without the login node.
kill_login_node() {
    kill_rendezvous
    await_login_node offline
    speak linus lobby "The login node is gone, and I can still talk to you."
    follow
    say "The login node is dead, and the chat goes on."
    if [[ $HERE != *hedy* ]]; then
        start_peer hedy --json
        HERE+='hedy '
        all_have "The login node is gone"
        speak hedy lobby "I am back, without the login node, and I have read what you wrote."
        [ $CHECK = no ] || all_have "Welcome back, @hedy"
        follow
        say "Hedy was away. She has come back without the login node, and fetched what she missed."
    fi
}

start_login_node() {
    start_rendezvous "Maker Fair"
    await_login_node online
    speak linus lobby "The login node is back."
    follow
}

# enter_pressed: waits a second for the key. Without a terminal it never comes.
enter_pressed() {
    if [ $KEY = no ]; then
        sleep 1 & wait $!
        return 1
    fi
    local before=$SECONDS
    read -r -t 1 && return
    # At the end of the input, read does not even wait.
    [ "$SECONDS" -gt "$before" ] || KEY=no
    return 1
}

# await_enter WHAT-FOR: looks after the demo meanwhile.
await_enter() {
    [ $KEY = no ] || say "Press Enter to $1, or Ctrl-C to end the demo."
    until enter_pressed; do
        look_after_windows
        follow
    done
}

build lanyard-rendezvous lanyard-node-cli lanyard-gui
start_workspace
start_rendezvous "Maker Fair"
add_account ada --nickname Ada --role moderator
add_account grace --nickname Grace
add_account linus --nickname Linus
add_account hedy --nickname Hedy
add_account you
operator room topic lobby "Everything that concerns everybody"
operator room add hardware --topic "Benches, printers, cables"
operator room add lunch --topic "Where and when"

SCREEN=$(screen_size)
# On a small screen, half the width has space for everything only at a smaller zoom.
ZOOM=100
[ -z "$SCREEN" ] || [ "${SCREEN% *}" -ge 1800 ] || ZOOM=80
KEY=no
# In the background, reading from the terminal must not stop the demo.
trap '' TTIN
[ $CHECK = no ] && [ -t 0 ] && KEY=yes

make_history
let_in
if [ $WINDOWS = yes ]; then
    speak linus lobby "Welcome, Ada and Grace! I am a script at a terminal: write something, and I answer."
    say "Two windows are open: Ada's and Grace's. Write in one and read it in the other."
    say "Linus, a script, answers. Ada is a moderator: right-click on a person or a message."
else
    say "No display was found, so Ada and Grace sit at terminals. This is what Ada sees:"
    exec 4<"$WORK/ada.out"
    cat <&4 >/dev/null
    tell ada "/history"
    tell ada "Hello! Who is here?"
    all_have "Hello @ada!"
    tell grace "I am. Have you seen the label printer?"
    all_have "next to the soldering irons"
    follow
fi

if [ $CHECK = yes ]; then
    kill_login_node
    start_login_node
    say "1 passed, 0 failed"
    exit 0
fi

PATIENCE=5 STRICT=no
say "To join from another terminal (the password is \"password of you\"):"
say "  $BIN/lanyard-node chat --data-dir $WORK/you --username you --join '$LINK'"
while :; do
    await_enter "kill the login node"
    kill_login_node
    await_enter "start it again"
    start_login_node
    say "The login node runs again."
done
