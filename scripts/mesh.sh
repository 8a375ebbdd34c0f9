#!/usr/bin/env bash
# A local test mesh of N terminal peers. Says when all see each other and whether a line from each reached all,
# then stays until Ctrl-C. With --check it ends by itself: 0 only if everything arrived.
set -u
cd "$(dirname "$0")" && . ./lib.sh

usage() { printf 'usage: mesh.sh N [--check]   (N from 2 to 200)\n' >&2; exit 2; }
N='' CHECK=no
for argument in "$@"; do
    case "$argument" in
        --check) CHECK=yes ;;
        *[!0-9]* | '') usage ;;
        *) [ -z "$N" ] || usage; N=$argument ;;
    esac
done
[ -n "$N" ] && [ "$N" -ge 2 ] && [ "$N" -le 200 ] || usage

build lanyard-rendezvous lanyard-node-cli
# Each peer has a link to each other one, and some files.
ulimit -n 65536 2>/dev/null || ulimit -n "$(ulimit -Hn)" 2>/dev/null
start_workspace
start_rendezvous "Mesh of $N"
say "Adding $N accounts …"
for i in $(seq "$N"); do add_account "peer$i"; done

started=$SECONDS
for i in $(seq "$N"); do start_peer "peer$i" --json; done

# count PATTERN: how many peers have a line that matches.
count() { grep -lE -- "$1" "$WORK"/peer*.out 2>/dev/null | wc -l; }
all_match() { [ "$(count "$1")" -eq "$N" ]; }
# Each peer's latest line about its links.
all_linked() {
    local i
    for i in $(seq "$N"); do
        [ "$(grep -o '"event":"link","peers":[0-9]*' "$WORK/peer$i.out" | tail -n 1)" \
            = "\"event\":\"link\",\"peers\":$((N - 1))" ] || return 1
    done
}
stuck() { tail -n 3 "$WORK"/peer*.err >&2; die "$1"; }

wait_until 60 all_match '"event":"ready"' || stuck "only $(count '"event":"ready"') of $N peers are ready"
say "All $N peers are ready after $((SECONDS - started)) s"
ready=$SECONDS
wait_until 60 all_linked || stuck "not all peers see each other"
say "All $N peers see each other, $((SECONDS - ready)) s later"

for i in $(seq "$N"); do tell "peer$i" "{\"cmd\":\"send\",\"text\":\"a line from peer$i\"}"; done
# delivered: how many of the N × N (reader, line) pairs have arrived.
delivered() { grep -hoE '"event":"message".*"text":"a line from peer[0-9]+"' "$WORK"/peer*.out | wc -l; }
all_delivered() { [ "$(delivered)" -eq $((N * N)) ]; }
sent=$SECONDS
wait_until 30 all_delivered || stuck "$(delivered) of $((N * N)) lines were delivered"
say "A line from each reached all: $(delivered) of $((N * N)) delivered, $((SECONDS - sent)) s later"

if [ $CHECK = yes ]; then
    say "1 passed, 0 failed"
    exit 0
fi
say "The mesh stays until Ctrl-C. Join it yourself (the password of peer1 is \"password of peer1\"):"
say "  $BIN/lanyard-node chat --data-dir $WORK/me --username peer1 --join '$LINK'"
wait
