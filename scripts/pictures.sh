#!/usr/bin/env bash
# Makes the README's pictures from real windows on a virtual screen.
# Usage: scripts/pictures.sh [DIR]   (default: docs/pictures)
# Fails if a tool is missing or a window does not come up.
set -euo pipefail
cd "$(dirname "$0")/.."

out=${1:-docs/pictures}
size=1120x720

missing=()
for tool in Xvfb import convert xwininfo; do
    command -v "$tool" >/dev/null || missing+=("$tool")
done
if ((${#missing[@]})); then
    echo "missing: ${missing[*]}" >&2
    echo "on Debian: apt-get install xvfb libgl1-mesa-dri libegl1 libxkbcommon-x11-0 imagemagick x11-utils" >&2
    exit 1
fi

cargo build --quiet -p lanyard-gui --example pictures
binary=${CARGO_TARGET_DIR:-target}/debug/examples/pictures
work=$(mktemp -d)
screen_pid='' window_pid=''

clean_up() {
    [[ -z $window_pid ]] || kill "$window_pid" 2>/dev/null || true
    [[ -z $screen_pid ]] || kill "$screen_pid" 2>/dev/null || true
    rm -rf "$work"
}
trap clean_up EXIT

# Xvfb finds a free display itself and writes its number. Without -noreset it starts anew, deaf for a moment,
# whenever the last window has gone.
Xvfb -noreset -displayfd 3 -screen 0 "${size}x24" +extension GLX 3>"$work/display" 2>"$work/xvfb.log" &
screen_pid=$!
for _ in $(seq 100); do
    [[ -s $work/display ]] && break
    sleep 0.1
done
[[ -s $work/display ]] || { echo "Xvfb did not start:" >&2; cat "$work/xvfb.log" >&2; exit 1; }
export DISPLAY=":$(cat "$work/display")"
# The software rasteriser draws the same picture on every machine.
export LIBGL_ALWAYS_SOFTWARE=1
unset WAYLAND_DISPLAY

mkdir -p "$out"

# picture NAME SCENE THEME [SIZE]: a window smaller than the screen is cut out of it.
picture() {
    local name=$1 scene=$2 theme=$3 window=${4:-$size} file="$out/$1.png"
    "$binary" "$scene" "$theme" "${window%x*}" "${window#*x}" 2>"$work/$name.log" &
    window_pid=$!
    local colours=0
    for _ in $(seq 100); do
        sleep 0.2
        kill -0 "$window_pid" 2>/dev/null || break
        xwininfo -root -tree | grep -q '("lanyard"\|Lanyard' || continue
        import -window root "$work/$name.png" 2>/dev/null || continue
        # An empty window has one or two colours, a drawn one hundreds.
        colours=$(convert "$work/$name.png" -format '%k' info:)
        ((colours > 100)) && break
    done
    if ((colours <= 100)); then
        echo "$name: the window did not come up" >&2
        cat "$work/$name.log" >&2
        exit 1
    fi
    # One more look, so that fonts found on demand are in the picture.
    sleep 1
    import -window root "$work/$name.png"
    convert "$work/$name.png" -crop "$window+0+0" +repage -strip -define png:exclude-chunks=date,time "$file"
    kill "$window_pid" 2>/dev/null || true
    wait "$window_pid" 2>/dev/null || true
    window_pid=''
    echo "$file"
}

picture login-light login light
picture login-refused-dark login-refused dark
picture chat-light chat light
picture chat-dark chat dark
picture alone-light alone light
picture moderation-dark moderate dark
picture scripts-light scripts light
