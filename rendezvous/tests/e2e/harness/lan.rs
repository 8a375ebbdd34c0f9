//! A network for a test: a switch and hosts, each a network namespace of Linux, so that cables can be pulled.
//!
//! It needs root, or a user namespace, in which case the test runs itself again inside `unshare`. Where neither is
//! available it prints SKIPPED and passes; with `CI=true` it fails. Names are random. Everything is removed when the
//! [`Lan`] is dropped; what a killed test has left is removed when the next one begins.

use std::fmt::Write as _;
use std::io::Write as _;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use lanyard_rendezvous::clock;
use serde_json::Value;

use super::{PATIENCE, Peer, Program, Realm, Start, alone};

/// More hosts than any test needs, so that a mistake does not fill the machine with namespaces.
const HOSTS_MAX: usize = 40;
/// The prefix of all our namespaces, followed by the id of the process that created them.
const PREFIX: &str = "lanyard-";
/// Set for a test that runs inside `unshare`.
const INSIDE: &str = "LANYARD_INSIDE_UNSHARE";

/// The network.
pub(crate) struct Lan {
    switch: String,
    hosts: Vec<Host>,
}

/// A computer on the network.
#[derive(Debug, Clone)]
pub(crate) struct Host {
    namespace: String,
    address: Ipv4Addr,
}

impl Host {
    /// The command that runs a program on this computer, under the child's own process id.
    fn inside(&self, command: &Command) -> Command {
        let mut inside = Command::new("ip");
        inside.args(["netns", "exec", &self.namespace]);
        inside.arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => inside.env(name, value),
                None => inside.env_remove(name),
            };
        }
        inside
    }
}

impl Lan {
    /// A realm whose login node is the first host of the first side, and the given number of other hosts on each side.
    /// Each side is a bridge, and cables connect the first side with each of the others. The hosts for peers are
    /// numbered consecutively, side after side. `None` if we cannot create namespaces on this machine.
    pub(crate) fn new(sides: &[usize], names: &[&str]) -> Option<(Realm, Self)> {
        if !rustix::process::geteuid().is_root() {
            run_inside_unshare();
            return None;
        }
        let lock = Arc::new(alone());
        sweep();
        let mut lan = Self::build(sides)?;
        let mut realm = Realm::unserved(lock, None);
        lan.serve(&mut realm);
        names.iter().for_each(|name| realm.add(name));
        Some((realm, lan))
    }

    fn build(sides: &[usize]) -> Option<Self> {
        let count = 1 + sides.iter().sum::<usize>();
        assert!(count <= HOSTS_MAX, "{count} hosts");
        let mut random = [0; 3];
        getrandom::fill(&mut random).unwrap();
        let name = format!("{PREFIX}{}-{}", std::process::id(), hex::encode(random));
        let switch = format!("{name}-switch");
        if !ip(&["netns", "add", &switch], "") {
            skip("no network namespaces");
            return None;
        }
        let hosts = (0..count).map(|number| Host {
            namespace: format!("{name}-{number}"),
            address: Ipv4Addr::new(10, 99, 0, u8::try_from(number + 1).unwrap()),
        });
        let lan = Self { switch, hosts: hosts.collect() };
        lan.wire(sides);
        Some(lan)
    }

    fn wire(&self, sides: &[usize]) {
        let mut namespaces = String::new();
        for host in &self.hosts {
            writeln!(namespaces, "netns add {}", host.namespace).unwrap();
        }
        assert!(ip(&["-batch", "-"], &namespaces));

        let mut switch = String::new();
        for side in 0..sides.len() {
            writeln!(switch, "link add br{side} type bridge\nlink set br{side} up").unwrap();
            if side > 0 {
                writeln!(switch, "link add up{side} type veth peer name down{side}").unwrap();
                writeln!(switch, "link set up{side} master br0 up").unwrap();
                writeln!(switch, "link set down{side} master br{side} up").unwrap();
            }
        }
        let of_peers = sides.iter().enumerate().flat_map(|(side, n)| std::iter::repeat_n(side, *n));
        for (host, side) in self.hosts.iter().zip(std::iter::once(0).chain(of_peers)) {
            let (port, ns) = (self.port_of(host), &host.namespace);
            writeln!(switch, "link add {port} type veth peer name eth0 netns {ns}").unwrap();
            writeln!(switch, "link set {port} master br{side} up").unwrap();
        }
        assert!(ip(&["-n", &self.switch, "-batch", "-"], &switch));

        for host in &self.hosts {
            let setup = format!(
                "addr add {}/24 dev eth0\nlink set lo up\nlink set eth0 up\nroute add default dev eth0\n",
                host.address
            );
            assert!(ip(&["-n", &host.namespace, "-batch", "-"], &setup));
        }
    }

    fn port_of(&self, host: &Host) -> String {
        let number = self.hosts.iter().position(|other| other.namespace == host.namespace);
        format!("port{}", number.unwrap())
    }

    /// The host of the peer with this number.
    fn host(&self, peer: usize) -> &Host {
        &self.hosts[peer + 1]
    }

    /// Starts the login node on its last ports, and waits until it listens.
    pub(crate) fn serve(&mut self, realm: &mut Realm) {
        let address = format!("{}:0", self.hosts[0].address);
        self.serve_at(realm, &address);
    }

    /// The same at this address.
    pub(crate) fn serve_at(&mut self, realm: &mut Realm, address: &str) {
        let host = &self.hosts[0];
        let command = realm.command(&["serve", "--json", "--listen", address]);
        let mut program = Program::spawn("rendezvous", host.inside(&command), &realm.logs());
        let listens = |line: &Value| line["event"] == "listening";
        realm.listening = program.expect("that it listens", PATIENCE, listens);
        realm.serving = Some(program);
    }

    /// Changes the network of the login node's computer by lines for `ip -batch`.
    pub(crate) fn change_login_node(&self, lines: &str) {
        assert!(ip(&["-n", &self.hosts[0].namespace, "-batch", "-"], lines), "{lines}");
    }

    /// The address of the login node's computer on the network.
    pub(crate) fn login_node(&self) -> Ipv4Addr {
        self.hosts[0].address
    }

    /// The terminal peer of an account on the host with this number, before it starts.
    pub(crate) fn peer(&self, realm: &Realm, number: usize, name: &str) -> Start {
        let host = self.host(number);
        let command = host.inside(&realm.node_command());
        Start::new(command, name, realm.link(), realm.profile(name), realm.logs())
            .listen(&format!("{}:0", host.address))
    }

    /// Starts a peer for each name, one on each host, and waits until all are ready.
    pub(crate) fn join_all(&self, realm: &Realm, names: &[&str]) -> Vec<Peer> {
        let start = |(number, name): (usize, &&str)| self.peer(realm, number, name).spawn();
        let mut peers: Vec<Peer> = names.iter().enumerate().map(start).collect();
        peers.iter_mut().for_each(Peer::become_ready);
        peers
    }

    /// Pulls the cable of a peer, or plugs it in again. TCP connections do not notice.
    pub(crate) fn plug(&self, peer: usize, plugged: bool) {
        let port = self.port_of(self.host(peer));
        self.set_link(&port, plugged);
    }

    /// Pulls the cable between the first side and this one, or plugs it in again.
    pub(crate) fn join_side(&self, side: usize, joined: bool) {
        self.set_link(&format!("up{side}"), joined);
    }

    fn set_link(&self, link: &str, up: bool) {
        let state = if up { "up" } else { "down" };
        assert!(ip(&["-n", &self.switch, "link", "set", link, state], ""));
    }

    /// Makes each host lose this share of its incoming packets from now on. False if there is no `nft`.
    pub(crate) fn lose(&self, percent: u32) -> bool {
        let version = Command::new("nft").arg("--version").stdout(Stdio::null()).status();
        if version.is_err() {
            return false;
        }
        let rules = format!(
            "flush ruleset\n\
             table inet loss {{\n\
             chain input {{\n\
             type filter hook input priority 0;\n\
             iif \"eth0\" numgen random mod 100 < {percent} counter drop\n\
             }}\n\
             }}\n"
        );
        for host in &self.hosts {
            let mut nft = Command::new("nft");
            nft.args(["-f", "-"]);
            assert!(feed(host.inside(&nft), &rules));
        }
        true
    }

    /// The packets lost on purpose since the last [`Self::lose`].
    pub(crate) fn lost(&self) -> u64 {
        self.hosts.iter().map(|host| lost_by(host).unwrap()).sum()
    }

    /// The bytes that the host of a peer has received and sent.
    pub(crate) fn bytes(&self, peer: usize) -> u64 {
        let args = ["-n", &self.host(peer).namespace, "-s", "-j", "link", "show", "eth0"];
        let output = Command::new("ip").args(args).output().unwrap();
        let links: Value = serde_json::from_slice(&output.stdout).unwrap();
        let stats = &links[0]["stats64"];
        stats["rx"]["bytes"].as_u64().unwrap() + stats["tx"]["bytes"].as_u64().unwrap()
    }
}

impl Drop for Lan {
    fn drop(&mut self) {
        // The switch first: all its cables disappear with it, even if the other ends are still in use.
        ip(&["netns", "del", &self.switch], "");
        for host in &self.hosts {
            ip(&["netns", "del", &host.namespace], "");
        }
    }
}

fn lost_by(host: &Host) -> Option<u64> {
    let mut nft = Command::new("nft");
    nft.args(["-j", "list", "ruleset"]);
    let output = host.inside(&nft).output().unwrap();
    let listed: Value = serde_json::from_slice(&output.stdout).ok()?;
    let rules = listed["nftables"].as_array()?.iter();
    let mut expressions = rules.filter_map(|entry| entry["rule"]["expr"].as_array()).flatten();
    expressions.find_map(|expression| expression["counter"]["packets"].as_u64())
}

/// Runs `ip` and returns whether it succeeded.
fn ip(args: &[&str], input: &str) -> bool {
    let mut command = Command::new("ip");
    command.args(args);
    feed(command, input)
}

fn feed(mut command: Command, input: &str) -> bool {
    let Ok(mut child) = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn() else {
        return false;
    };
    // It may have ended before it read anything; its status tells.
    child.stdin.take().unwrap().write_all(input.as_bytes()).ok();
    child.wait().unwrap().success()
}

/// Removes what killed tests have left: namespaces of processes that no longer exist.
fn sweep() {
    let Ok(output) = Command::new("ip").args(["netns", "list"]).output() else { return };
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let name = line.split_whitespace().next().unwrap_or_default();
        let maker = name.strip_prefix(PREFIX).and_then(|rest| rest.split('-').next());
        let lives = |pid: &str| Path::new("/proc").join(pid).exists();
        if maker.is_some_and(|pid| !lives(pid)) {
            ip(&["netns", "del", name], "");
        }
    }
}

/// Reports that a test cannot run here, or fails where it must run.
pub(crate) fn skip(why: &str) {
    assert!(std::env::var_os("CI").is_none(), "with CI set this test must run: {why}");
    println!("\nSKIPPED: {why}");
}

/// Runs this test again as root of its own network.
fn run_inside_unshare() {
    let thread = std::thread::current();
    let test = thread.name().unwrap();
    // `ip netns` keeps its names in /run.
    let script = "mount -t tmpfs tmpfs /run && exec \"$@\"";
    let possible = |command: &mut Command| {
        let quiet = command.stdout(Stdio::null()).stderr(Stdio::null());
        quiet.status().is_ok_and(|status| status.success())
    };
    let unshare = |rest: &[&str]| {
        let mut command = Command::new("unshare");
        command.args(["-Urnm", "sh", "-c", script, "sh"]).args(rest);
        command
    };
    let probe = ["ip", "netns", "add", "probe"];
    if std::env::var_os(INSIDE).is_some() || !possible(&mut unshare(&probe)) {
        return skip("neither root nor user namespaces");
    }
    let me = std::env::current_exe().unwrap();
    let started = clock::monotonic();
    let mut again = unshare(&[me.to_str().unwrap(), "--exact", test, "--nocapture"]);
    let status = again.env(INSIDE, "1").status().unwrap();
    let took = clock::monotonic().duration_since(started);
    assert!(status.success(), "{test} inside unshare failed after {took:?}");
}
