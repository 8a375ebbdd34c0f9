#!/usr/bin/env bash
# Checks the walls between the crates: what each of them must not depend on, directly or through others.
set -u
cd "$(dirname "$0")" && . ./lib.sh
cd "$ROOT" || exit 1

# forbid PACKAGE WHY CRATE…: fails if the package reaches one of the crates.
forbid() {
    local package=$1 why=$2; shift 2
    local tree crate
    tree=$(cargo tree --package "$package" --edges normal --prefix none --format '{p}') || die "cargo tree failed"
    for crate in "$@"; do
        if grep -qE "^$crate v" <<<"$tree"; then
            die "$package depends on $crate: $why"
        fi
    done
}
forbid lanyard-protocol "the rules are without I/O" tokio libp2p libp2p-core rusqlite mio socket2 tracing
forbid lanyard-node "the shell draws nothing" egui eframe lanyard-rendezvous lanyard-gui
forbid lanyard-node "the library is no program" clap rpassword rustyline tracing-subscriber lanyard-program
forbid lanyard-program "it is for every program" libp2p rusqlite clap lanyard-protocol lanyard-node
forbid lanyard-rendezvous "the login node draws nothing" egui eframe lanyard-gui
if grep -qE '^libp2p' gui/Cargo.toml || grep -rqE '\blibp2p::' gui/src; then
    die "gui names libp2p"
fi
say "The arrows all point one way"
