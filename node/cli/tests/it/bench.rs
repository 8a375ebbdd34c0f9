//! Tests of `lanyard-node bench`: it prints one object with every figure, and says clearly what it cannot do.

use std::fs::File;
use std::process::{Command, Output};

use serde_json::Value;

/// A lock for tests that start only a few swarms, which may run at the same time.
fn in_company() -> File {
    let lock = File::create(std::env::temp_dir().join("lanyard-process-tests.lock")).unwrap();
    lock.lock_shared().unwrap();
    lock
}

fn bench(options: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_lanyard-node")).arg("bench").args(options).output().unwrap()
}

#[test]
fn every_figure_stands_in_one_object() {
    let _lock = in_company();
    for senders in ["one", "all"] {
        let output = bench(&[
            "--peers",
            "3",
            "--messages",
            "20",
            "--size",
            "64",
            "--senders",
            senders,
            "--json",
        ]);
        assert!(output.status.success(), "{output:?}");
        let figures: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(figures["peers"], 3);
        assert_eq!(figures["messages"], 20);
        assert_eq!(figures["size"], 64);
        assert_eq!(figures["senders"], senders);
        assert_eq!(figures["deliveries"], 40, "each message to both others");
        assert_eq!((&figures["lost"], &figures["duplicates"]), (&0.into(), &0.into()));
        let latency =
            ["p50", "p99", "max"].map(|name| figures["latency_ms"][name].as_f64().unwrap());
        assert!(latency.is_sorted() && latency[0] > 0.0, "{latency:?}");
        for name in ["seconds", "deliveries_per_s", "connected_s"] {
            assert!(figures[name].as_f64().unwrap() > 0.0, "{name}: {figures}");
        }
        let of_the_machine =
            ["cpu_s_per_1000", "bytes_per_delivery", "rss_mb_per_node", "repaired"];
        let missing = of_the_machine.into_iter().find(|name| figures.get(name).is_none());
        assert_eq!(missing, None, "{figures}");
    }
}

#[test]
fn what_cannot_be_measured_is_refused_with_the_bounds() {
    for (options, wants) in [
        (&["--peers", "1", "--messages", "20"][..], "2..=256"),
        (&["--peers", "3", "--messages", "0"], "1..=1000000"),
        (&["--peers", "3", "--messages", "20", "--size", "9"], "24..=4096"),
        (&["--peers", "3"], "--messages"),
    ] {
        let output = bench(options);
        assert_eq!(output.status.code(), Some(2), "{options:?}");
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains(wants), "{options:?}: {said}");
    }
}
