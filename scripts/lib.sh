# Shared by the scripts of this folder: what they need, building, and a realm in a temporary folder.
# shellcheck shell=bash

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

die() { printf 'error: %s\n' "$*" >&2; exit 1; }
say() { printf '%s\n' "$*"; }

# need COMMAND WHAT-TO-DO: ends with a sentence if the command is missing.
need() { command -v "$1" >/dev/null 2>&1 || die "$1 is missing. $2"; }

need_toolchain() {
    need_rust
    has_compiler || die_for_want_of build-essential
}

need_rust() { need cargo "Install Rust (https://rustup.rs); rust-toolchain.toml then picks the version."; }

# The build of SQLite needs a C compiler.
has_compiler() {
    command -v cc >/dev/null 2>&1 || command -v gcc >/dev/null 2>&1 || command -v clang >/dev/null 2>&1
}

# die_for_want_of PACKAGE…: exits and prints the one command that installs them all.
die_for_want_of() {
    die "something is missing on this computer. On Debian or Ubuntu, this brings it:
  sudo apt-get install $*"
}

# build PACKAGE…: builds with the same profile as the tests, so that nothing is built twice.
build() {
    need_toolchain
    say "Building (the first time takes some minutes) …"
    local packages=()
    for package in "$@"; do packages+=(--package "$package"); done
    (cd "$ROOT" && cargo build --quiet "${packages[@]}") || die "the build failed"
    BIN=${CARGO_TARGET_DIR:-$ROOT/target}/debug
}

# Everything that a script starts or writes is gone when it ends.
start_workspace() {
    WORK=$(mktemp -d "${TMPDIR:-/tmp}/lanyard.XXXXXX") || die "no temporary folder"
    PIDS=() RENDEZVOUS=''
    trap stop_workspace EXIT
    trap 'exit 130' INT TERM
}

stop_workspace() {
    trap - EXIT INT TERM
    if [ ${#PIDS[@]} -gt 0 ]; then
        kill "${PIDS[@]}" 2>/dev/null
        wait "${PIDS[@]}" 2>/dev/null
    fi
    rm -rf "$WORK"
}

# wait_until SECONDS COMMAND…: tries ten times a second; false if it never came true.
wait_until() {
    local deadline=$((SECONDS + $1)); shift
    until "$@"; do
        [ "$SECONDS" -lt "$deadline" ] || return 1
        sleep 0.1
    done
}

# forget PID: it has ended, and its number may belong to another program by now.
forget() {
    local pid kept=()
    for pid in "${PIDS[@]}"; do [ "$pid" = "$1" ] || kept+=("$pid"); done
    PIDS=(${kept[@]+"${kept[@]}"})
}

# start_rendezvous NAME: serves on loopback and sets LINK; after kill_rendezvous, on the same ports.
start_rendezvous() {
    : >"$WORK/rendezvous.out"
    "$BIN/lanyard-rendezvous" --data-dir "$WORK/rendezvous" serve --listen 127.0.0.1:0 --name "$1" \
        >"$WORK/rendezvous.out" 2>"$WORK/rendezvous.err" &
    PIDS+=($!); RENDEZVOUS=$!
    wait_until 30 grep -q '^join link: ' "$WORK/rendezvous.out" || {
        cat "$WORK/rendezvous.err" >&2; die "the login node does not start"
    }
    LINK=$(sed -n 's/^join link: //p' "$WORK/rendezvous.out")
}

# kill_rendezvous: kills it without warning, as a power cut would.
kill_rendezvous() {
    { kill -9 "$RENDEZVOUS" && wait "$RENDEZVOUS"; } 2>/dev/null
    forget "$RENDEZVOUS"
    RENDEZVOUS=''
}

# operator COMMAND…: changes the realm.
operator() {
    "$BIN/lanyard-rendezvous" --data-dir "$WORK/rendezvous" "$@" >/dev/null || die "this failed: $*"
}

# add_account NAME [OPTION…]: with a password made from the name.
add_account() {
    printf 'password of %s\n' "$1" | operator user add "$@" --password-stdin
}

# start_peer NAME [OPTION…]: a terminal peer; `tell NAME LINE` writes to it, its output is $WORK/NAME.out.
start_peer() {
    local name=$1; shift
    [ -p "$WORK/$name.in" ] || mkfifo "$WORK/$name.in"
    # Open for reading and writing, so that the peer's stdin stays open between two lines.
    "$BIN/lanyard-node" chat --join "$LINK" --username "$name" --password-stdin \
        --data-dir "$WORK/$name" --listen 127.0.0.1:0 "$@" \
        <>"$WORK/$name.in" >"$WORK/$name.out" 2>"$WORK/$name.err" &
    PIDS+=($!)
    # Blocks until the peer is there to read it.
    printf 'password of %s\n' "$name" >"$WORK/$name.in"
}

# Open for both here too, so that this does not wait for a peer that has ended.
tell() { printf '%s\n' "$2" 1<>"$WORK/$1.in"; }
