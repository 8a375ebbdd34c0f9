//! Outsiders who speak TCP, multistream and Noise perfectly get one verdict and not one byte more.

use lanyard_protocol::hello::{Verdict, VerdictCode};
use lanyard_protocol::ids::AccountId;
use lanyard_protocol::policy::SanctionKind;
use lanyard_protocol::testing::{account, sanction};
use lanyard_protocol::ticket::{Claims, Ticket};

use crate::cast::{
    Honest, SOON, Setup, claims, hello, hello_with, honest, in_company, key, now_ms, peer, policy,
    ticket, within,
};
use crate::impostor::Impostor;
use crate::raw::{
    HALF_OPEN, MULTISTREAM, at_gate, before_noise, frame, inside_noise, line, only_verdict,
    propose, rest, say, shown, tcp,
};

/// The peer, the Hello that it sends, and the verdict on that. Noise proves the key of the name.
struct Case {
    what: &'static str,
    name: &'static str,
    bytes: Vec<u8>,
    verdict: VerdictCode,
}

fn case(what: &'static str, bytes: Vec<u8>, verdict: VerdictCode) -> Case {
    Case { what, name: "mallory", bytes, verdict }
}

fn with_ticket(what: &'static str, ticket: &Ticket, verdict: VerdictCode) -> Case {
    case(what, hello_with(ticket.as_bytes(), now_ms()).to_frame(), verdict)
}

fn with_claims(what: &'static str, claims: Claims, verdict: VerdictCode) -> Case {
    with_ticket(what, &Ticket::issue(claims, &key("realm")), verdict)
}

fn head(length: u16) -> Vec<u8> {
    [&b"LNYD\x01"[..], &length.to_be_bytes()].concat()
}

/// Frames that are no Hello with a good ticket.
fn frames() -> Vec<Case> {
    let mut longest = head(4_096);
    longest.resize(longest.len() + 4_096, 0);
    let mut huge = head(60_000);
    huge.resize(60_000, 0);
    let mut other_version = hello("mallory").to_frame();
    other_version[4] = 2;
    vec![
        case("an empty frame", head(0), VerdictCode::Malformed),
        case("4 kB of zeros", longest, VerdictCode::Malformed),
        case("60 kB in a frame", huge, VerdictCode::Malformed),
        case("60 kB without a head", vec![0x5a; 60_000], VerdictCode::Malformed),
        case("HTTP", b"GET / HTTP/1.1\r\n\r\n".to_vec(), VerdictCode::Malformed),
        case("a later version", other_version, VerdictCode::Version),
        case("no ticket", hello_with(&[], now_ms()).to_frame(), VerdictCode::BadTicket),
        case("a garbage ticket", hello_with(&[0x5a; 300], 1).to_frame(), VerdictCode::BadTicket),
    ]
}

/// Hellos whose ticket is somebody else's, or made up, or over, or withdrawn.
fn tickets() -> Vec<Case> {
    let now_s = now_ms() / 1_000;
    let expired =
        Claims { issued_at_s: now_s - 7_200, expires_at_s: now_s - 3_600, ..claims("mallory") };
    let early = Claims { issued_at_s: now_s + 3_600, ..claims("mallory") };
    let of_account = |account: AccountId| Claims { account, ..claims("mallory") };
    let other_realm = Claims { realm: peer("other realm"), ..claims("mallory") };
    let mut elsewhere = hello("mallory");
    elsewhere.realm = peer("other realm");
    vec![
        with_ticket("another peer's ticket", &ticket("alice"), VerdictCode::NotYours),
        with_ticket("the listener's own ticket", &ticket("host"), VerdictCode::NotYours),
        with_ticket(
            "a self-issued ticket",
            &Ticket::issue(claims("mallory"), &key("mallory")),
            VerdictCode::BadTicket,
        ),
        with_ticket(
            "another realm's ticket",
            &Ticket::issue(other_realm, &key("other realm")),
            VerdictCode::WrongRealm,
        ),
        case("another realm's Hello", elsewhere.to_frame(), VerdictCode::WrongRealm),
        with_claims("an expired ticket", expired, VerdictCode::Expired),
        with_claims("a ticket of tomorrow", early, VerdictCode::NotYetValid),
        with_claims("a banned account", of_account(account("banned")), VerdictCode::Banned),
        with_claims("a withdrawn ticket", of_account(account("cut")), VerdictCode::Revocation),
    ]
}

/// A node whose policy bans one account and has withdrawn the tickets of another.
fn strict(name: &str) -> Setup {
    Setup::of(name).under(policy(|policy| {
        let from = policy.issued_at;
        policy.sanctions = vec![
            sanction(SanctionKind::Ban, account("banned"), from, None),
            sanction(SanctionKind::Revocation, account("cut"), now_ms() + 60_000, None),
        ];
    }))
}

fn has_met_nobody(host: &Honest) {
    let status = host.status();
    assert_eq!(status.neighbours, []);
    assert_eq!(status.roster.len(), 1, "nobody but ourselves");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outsider_gets_its_verdict_and_not_one_byte_more() {
    let _lock = in_company();
    let mut host = strict("host").start().await;
    for Case { what, name, bytes, verdict } in frames().into_iter().chain(tickets()) {
        let said = shown(host.address, &key(name), &bytes).await;
        assert!(!said.is_empty(), "{what}: no verdict");
        assert_eq!(only_verdict(&said), verdict, "{what}");
        has_met_nobody(&host);
    }
    // The same door opens for a member: it was the ticket.
    let mut io = at_gate(host.address, &key("alice")).await;
    say(&mut io, &hello("alice").to_frame()).await;
    let verdict = Verdict::parse(&frame(&mut io).await).unwrap();
    assert_eq!(verdict.code, VerdictCode::Accepted);
    assert_eq!(host.arrivals_and_losses(), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_host_stays_silent_after_its_verdict_whatever_is_said() {
    let _lock = in_company();
    let host = honest("host").await;
    let stolen = hello_with(ticket("alice").as_bytes(), now_ms()).to_frame();
    // A yamux SYN for stream 1, and identify and gossipsub asked for without any yamux.
    let syn = vec![0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0];
    let others = ["/yamux/1.0.0", "/ipfs/id/1.0.0", "/meshsub/1.2.0"];
    let asked = others.map(|name| [line(MULTISTREAM), line(name)].concat());
    for more in std::iter::once(syn).chain(asked) {
        let bytes = [stolen.clone(), more].concat();
        let said = shown(host.address, &key("mallory"), &bytes).await;
        assert_eq!(only_verdict(&said), VerdictCode::NotYours);
    }
    has_met_nobody(&host);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_but_noise_and_the_gate_can_be_negotiated() {
    let _lock = in_company();
    let host = honest("host").await;
    for name in ["/yamux/1.0.0", "/mplex/6.7.0", "/plaintext/2.0.0", "/tls/1.0.0", "/meshsub/1.2.0"]
    {
        let mut io = tcp(host.address).await;
        assert_eq!(propose(&mut io, name).await, "na", "{name} instead of Noise");
    }
    for name in
        ["/yamux/1.0.0", "/mplex/6.7.0", "/ipfs/id/1.0.0", "/meshsub/1.2.0", "/lanyard/sync/1"]
    {
        let mut io = inside_noise(host.address, &key("mallory")).await;
        assert_eq!(propose(&mut io, name).await, "na", "{name} instead of the gate");
        drop(io);
    }
    // Noise that is none: the connection ends, and nothing of the mesh was said.
    let mut io = before_noise(host.address).await;
    say(&mut io, &[0, 32].into_iter().chain([7; 32]).collect::<Vec<u8>>()).await;
    assert!(within(HALF_OPEN, "an answer", rest(&mut io)).await.len() < 400);
    has_met_nobody(&host);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_listener_without_a_good_ticket_gets_only_a_verdict() {
    let _lock = in_company();
    for Case { what, bytes, verdict, .. } in frames().into_iter().chain(tickets()) {
        let impostor = Impostor::with_key_of("mallory").await;
        let dialler = strict("host").knowing(peer("mallory"), impostor.address).start().await;
        let (mut io, hello) = within(SOON, "a Hello", impostor.hello()).await;
        assert_eq!(hello.realm, peer("realm"));
        say(&mut io, &Verdict::plain(VerdictCode::Accepted).to_frame()).await;
        say(&mut io, &bytes).await;
        assert_eq!(only_verdict(&rest(&mut io).await), verdict, "{what}");
        has_met_nobody(&dialler);
        dialler.node.quit().await;
    }
}
