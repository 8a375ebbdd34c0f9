# `lanyard-node bench` in all the sizes of the goals, and its figures beside them. Sourced by soak.sh.
# Loss is a failure. Everything else depends on the machine: it is printed as met or missed, and never fails the run.
# shellcheck shell=bash

# figure NAME OBJECT: a number of a JSON object; the names are unique in it, also those of inner objects.
figure() { sed -n "s/.*\"$1\":\(-\{0,1\}[0-9.e-]*\).*/\1/p" <<<"$2"; }

# measure PEERS WHAT OPTION…: one run, one line of the table, and its goals.
measure() {
    local peers=$1 what=$2 object
    shift 2
    # A failed run must not show the figures of the run before.
    LAST='{}' PER_CORE=""
    object=$("$BIN/lanyard-node" bench --peers "$peers" --json "$@") || {
        say "figure: N=$peers $what did not run"; BENCH_FAILED=yes; return
    }
    say "$object"
    local per_core lost repaired duplicates
    per_core=$(awk -v cpu="$(figure cpu_s_per_1000 "$object")" 'BEGIN { print (cpu > 0 ? int(1000 / cpu) : "?") }')
    lost=$(figure lost "$object") duplicates=$(figure duplicates "$object") repaired=$(figure repaired "$object")
    printf 'figure: %3s %-17s %7s %5s %6s %5s %9s %9s %7s %7s %8s %6s %6s\n' "$peers" "$what" \
        "$(figure messages "$object")" "$lost" "${repaired:-?}" "$duplicates" \
        "$(figure deliveries_per_s "$object")" "$per_core" "$(figure p50 "$object")" "$(figure p99 "$object")" \
        "$(figure bytes_per_delivery "$object")" "$(figure rss_mb_per_node "$object")" "$(figure connected_s "$object")"
    [ "$lost" = 0 ] && [ "$duplicates" = 0 ] || BENCH_FAILED=yes
    LAST=$object PER_CORE=$per_core
}

# bare PEERS: what gossipsub alone did, without tickets and stores, on a machine of this kind (November 2026, over TCP):
# with its defaults, and with the settings that Lanyard uses.
bare() {
    case $1 in
        8)   set -- "2,100 and 13,000" "0.7/1.9 and 0.7/1.3" "2,686 and 421" "0.03 and 0.03" "0.8 and 0.8" ;;
        32)  set -- "1,900 and 13,000" "2.8/25 and 2.1/5.3" "4,206 and 448" "0.24 and 0.40" "0.8 and 1.5" ;;
        100) set -- "1,800 and 11,000" "637/2,184 and 6.0/11.8" "4,195 and 525" "0.73 and 4.5" "0.8 and 4.2" ;;
    esac
    printf 'figure:     bare gossipsub, defaults and tuned: %s deliveries a core-second, p50/p99 at 50/s %s ms,\n' "$1" "$2"
    printf 'figure:     %s bytes a delivery, connected in %s s, %s MiB a node at rest\n' "$3" "$4" "$5"
}

# goal TEXT VALUE RELATION LIMIT
goal() {
    local verdict
    [[ $2 =~ ^[0-9.]+$ ]] || { printf 'figure:     goal %-52s %s %s: no figure\n' "$1" "$3" "$4"; return; }
    verdict=$(awk -v value="$2" -v limit="$4" -v relation="$3" 'BEGIN {
        print (relation == "<=" ? value <= limit : value >= limit) ? "met" : "MISSED" }')
    printf 'figure:     goal %-52s %s %s: %s, %s\n' "$1" "$3" "$4" "$2" "$verdict"
}

bench() {
    BENCH_FAILED=no LAST='{}' PER_CORE=0
    printf 'figure: %3s %-17s %7s %5s %6s %5s %9s %9s %7s %7s %8s %6s %6s\n' N load messages lost repair twice \
        deliv/s /core-s p50ms p99ms B/deliv MB/N conn_s
    local peers count
    for peers in 8 32 100; do
        case $peers in 8) count=20000 ;; 32) count=5000 ;; *) count=1000 ;; esac
        bare "$peers"
        measure "$peers" "50/s, one" --messages 500 --rate 50
        case $peers in
            8)   latency 1 3 ;;
            32)  latency 3 10; goal "connected, s" "$(figure connected_s "$LAST")" "<=" 1 ;;
            100) latency 8 20; goal "connected, s" "$(figure connected_s "$LAST")" "<=" 6 ;;
        esac
        measure "$peers" "one sender" --messages "$count"
        [ "$peers" = 32 ] && goal "deliveries per core-second" "$PER_CORE" ">=" 11000
        [ "$peers" = 100 ] && goal "CPU of a delivery, us" \
            "$(awk -v cpu="$(figure cpu_s_per_1000 "$LAST")" 'BEGIN { if (cpu > 0) print cpu * 1000 }')" "<=" 90
        # This is the whole node under load; the goal is for the network part at rest.
        [ "$peers" = 8 ] || goal "MB a node" "$(figure rss_mb_per_node "$LAST")" "<=" "$((peers == 32 ? 4 : 8))"
        goal "bytes per delivery" "$(figure bytes_per_delivery "$LAST")" "<=" 800
        measure "$peers" "all send" --messages "$count" --senders all
        [ "$peers" = 32 ] && goal "deliveries per core-second" "$PER_CORE" ">=" 7000
    done
    measure 32 "burst" --messages 5000 --burst
    goal "lost in a burst of 5,000" "$(figure lost "$LAST")" "<=" 0
    measure 8 "400/s for 60 s" --messages 24000 --rate 400
    goal "lost at 400 messages/s" "$(figure lost "$LAST")" "<=" 0
    [ $BENCH_FAILED = no ]
}

# latency P50 P99: the goals of a run at 50 messages a second, in milliseconds.
latency() {
    goal "p50 at 50 messages/s, ms" "$(figure p50 "$LAST")" "<=" "$1"
    goal "p99 at 50 messages/s, ms" "$(figure p99 "$LAST")" "<=" "$2"
}
