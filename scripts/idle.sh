#!/usr/bin/env bash
# Measures the processor time of a window while N peers (default 20) are quiet and nobody touches it.
# Usage: scripts/idle.sh [N] [SECONDS]   (needs Linux and Xvfb; builds with the release profile)
# Prints the share of one core over SECONDS (default 30); fails at 1 % or more. Not part of check.sh.
set -u
cd "$(dirname "$0")" && . ./lib.sh

N=${1:-20} SPAN=${2:-30}
case "$N$SPAN" in *[!0-9]*) printf 'usage: idle.sh [N] [SECONDS]\n' >&2; exit 2 ;; esac
need Xvfb "On Debian: apt-get install xvfb libgl1-mesa-dri libegl1 libxkbcommon-x11-0"
build lanyard-rendezvous lanyard-node-cli
(cd "$ROOT" && cargo build --quiet --release --package lanyard-gui --bin lanyard) || die "the build failed"
window_program=${CARGO_TARGET_DIR:-$ROOT/target}/release/lanyard
start_workspace

# Xvfb finds a free display itself and writes its number.
Xvfb -noreset -displayfd 3 -screen 0 1120x720x24 +extension GLX 3>"$WORK/display" 2>"$WORK/xvfb.err" &
PIDS+=($!)
wait_until 20 test -s "$WORK/display" || { cat "$WORK/xvfb.err" >&2; die "Xvfb does not start"; }
DISPLAY=":$(cat "$WORK/display")"
export DISPLAY LIBGL_ALWAYS_SOFTWARE=1
unset WAYLAND_DISPLAY

start_rendezvous "Quiet place"
add_account window
for i in $(seq "$N"); do add_account "peer$i"; done
for i in $(seq "$N"); do start_peer "peer$i" --json; done
# linked COUNT: whether each peer's latest event says that it has COUNT links.
linked() {
    local i
    for i in $(seq "$N"); do
        [ "$(grep -o '"event":"link","peers":[0-9]*' "$WORK/peer$i.out" | tail -n 1)" \
            = "\"event\":\"link\",\"peers\":$1" ] || return 1
    done
}
wait_until 90 linked $((N - 1)) || die "not all peers see each other"
"$window_program" --profile "$WORK/window" --join "$LINK" --username window --password-stdin \
    <<<"password of window" 2>"$WORK/window.err" &
WINDOW=$!; PIDS+=("$WINDOW")
wait_until 60 linked "$N" || { cat "$WORK/window.err" >&2; die "the window does not see all peers"; }
say "The window sees $N peers. Nobody says anything for $SPAN s …"
# Lets the work that joining started settle.
sleep 15

# ticks: the processor time of the window so far. The name, which may hold spaces, is cut off first.
ticks() { sed 's/.*) //' "/proc/$WINDOW/stat" | awk '{ print $12 + $13 }'; }
before=$(ticks)
sleep "$SPAN"
used=$(($(ticks) - before))
share=$(awk "BEGIN { printf \"%.2f\", 100 * $used / $(getconf CLK_TCK) / $SPAN }")
say "CPU of the window: $share % of a core"
awk "BEGIN { exit !($share < 1) }" || die "the goal is under 1 %"
