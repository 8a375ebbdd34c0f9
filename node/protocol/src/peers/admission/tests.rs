//! Admission alone: a verdict for each way to be refused.

use super::*;
use crate::boots::KnownBoot;
use crate::cose::public_key;
use crate::ids::Role;
use crate::policy::SanctionKind;
use crate::testing::{self, T0, WEEK_S};
use crate::ticket::Claims;

fn view() -> AdmissionView {
    testing::view(&testing::key(1), &testing::key(8))
}

fn hello_with(claims: Claims) -> Hello {
    let ticket = Ticket::issue(claims, &testing::key(1));
    Hello {
        realm: public_key(&testing::key(1)),
        time: T0,
        boot: 5,
        policy: 1,
        ticket: ticket.as_bytes().to_vec(),
    }
}

fn alice() -> Claims {
    testing::claims(&testing::key(1), &testing::key(2), "alice")
}

fn alice_key() -> PeerKey {
    public_key(&testing::key(2))
}

fn at(realm_ms: u64) -> Now {
    Now { mono: Duration::from_secs(1), wall_ms: realm_ms }
}

fn standing(boot: u64) -> Arc<GateLinks> {
    let link = Standing { peer: alice_key(), boot, account: testing::account("alice") };
    Arc::new(GateLinks { standing: vec![link], ..GateLinks::default() })
}

fn code(view: &AdmissionView, peer: PeerKey, hello: &Hello, now: Now) -> VerdictCode {
    judge(view, peer, hello.clone(), now)
        .map_or_else(|verdict| verdict.code, |_in| VerdictCode::Accepted)
}

#[test]
fn r83_only_a_valid_ticket_of_this_realm_admits() {
    let view = view();
    let hello = hello_with(alice());
    assert_eq!(code(&view, alice_key(), &hello, at(T0)), VerdictCode::Accepted);
    let thief = public_key(&testing::key(3));
    assert_eq!(code(&view, thief, &hello, at(T0)), VerdictCode::NotYours);
    let expired = T0 + WEEK_S * 1_000 + LINK_GRACE_MS;
    assert_eq!(code(&view, alice_key(), &hello, at(expired - 1)), VerdictCode::Accepted);
    assert_eq!(code(&view, alice_key(), &hello, at(expired)), VerdictCode::Expired);
    assert_eq!(code(&view, alice_key(), &hello, at(T0 - 300_001)), VerdictCode::NotYetValid);
}

#[test]
fn r84_other_realms_and_forgeries_have_their_own_verdicts() {
    let view = view();
    let mut hello = hello_with(alice());
    hello.realm = public_key(&testing::key(9));
    assert_eq!(code(&view, alice_key(), &hello, at(T0)), VerdictCode::WrongRealm);
    let mut hello = hello_with(alice());
    let foreign = testing::ticket(&testing::key(9), &testing::key(2), "alice");
    hello.ticket = foreign.as_bytes().to_vec();
    assert_eq!(code(&view, alice_key(), &hello, at(T0)), VerdictCode::WrongRealm);
    hello.ticket = Ticket::issue(alice(), &testing::key(2)).as_bytes().to_vec();
    assert_eq!(code(&view, alice_key(), &hello, at(T0)), VerdictCode::BadTicket);
    hello.ticket = Vec::new();
    assert_eq!(code(&view, alice_key(), &hello, at(T0)), VerdictCode::BadTicket);
}

#[test]
fn r85_nobody_links_with_our_own_key() {
    let mut view = view();
    Arc::make_mut(&mut view.own).peer = alice_key();
    assert_eq!(code(&view, alice_key(), &hello_with(alice()), at(T0)), VerdictCode::NotYours);
}

#[test]
fn r86_bans_and_cuts_close_the_gate() {
    let mut view = view();
    let mut policy = testing::policy(&testing::key(1));
    let account = testing::account("alice");
    policy.sanctions = vec![testing::sanction(SanctionKind::Ban, account, T0, Some(T0 + 9))];
    view.rules = Arc::new(Rules::new(Arc::new(policy.clone())));
    assert_eq!(code(&view, alice_key(), &hello_with(alice()), at(T0)), VerdictCode::Banned);
    assert_eq!(code(&view, alice_key(), &hello_with(alice()), at(T0 + 9)), VerdictCode::Accepted);
    policy.sanctions = vec![testing::sanction(SanctionKind::Revocation, account, T0 + 1_000, None)];
    view.rules = Arc::new(Rules::new(Arc::new(policy)));
    assert_eq!(code(&view, alice_key(), &hello_with(alice()), at(T0)), VerdictCode::Revocation);
    let renewed = Claims { issued_at_s: T0 / 1_000 + 1, ..alice() };
    assert_eq!(code(&view, alice_key(), &hello_with(renewed), at(T0)), VerdictCode::Accepted);
}

#[test]
fn r87_a_newer_boot_waits_for_the_older_link_to_close() {
    let mut view = view();
    view.links = standing(4);
    assert_eq!(code(&view, alice_key(), &hello_with(alice()), at(T0)), VerdictCode::Busy);
    view.links = standing(5);
    assert_eq!(code(&view, alice_key(), &hello_with(alice()), at(T0)), VerdictCode::Accepted);
}

#[test]
fn r88_an_older_boot_is_superseded_only_with_proof() {
    let mut view = view();
    let known = |proof: Option<Arc<[u8]>>| {
        let mut boots = Boots::default();
        boots.insert(alice_key(), KnownBoot { boot: 6, proof });
        Arc::new(GateLinks { boots: Arc::new(boots), ..GateLinks::default() })
    };
    view.links = known(None);
    assert_eq!(code(&view, alice_key(), &hello_with(alice()), at(T0)), VerdictCode::Busy);
    view.links = known(Some(Arc::from([1, 2])));
    let verdict = judge(&view, alice_key(), hello_with(alice()), at(T0)).unwrap_err();
    assert_eq!(verdict, Verdict { code: VerdictCode::Superseded, proof: Some(vec![1, 2]) });
}

#[test]
fn r89_a_denied_peer_waits() {
    let mut view = view();
    Arc::make_mut(&mut view.links).denied.insert(alice_key(), Duration::from_secs(2));
    assert_eq!(code(&view, alice_key(), &hello_with(alice()), at(T0)), VerdictCode::Denied);
    let later = Now { mono: Duration::from_secs(2), wall_ms: T0 };
    assert_eq!(code(&view, alice_key(), &hello_with(alice()), later), VerdictCode::Accepted);
}

#[test]
fn r99_among_many_peers_an_account_has_two_links() {
    let mut view = view();
    let other = Standing { peer: PeerKey([7; 32]), boot: 5, account: testing::account("alice") };
    let links = Arc::make_mut(&mut view.links);
    (links.standing, links.thin_ring) = (vec![other; 2], Some(Arc::default()));
    assert_eq!(code(&view, alice_key(), &hello_with(alice()), at(T0)), VerdictCode::Busy);
    let ring = Arc::new(BTreeSet::from([alice_key()]));
    Arc::make_mut(&mut view.links).thin_ring = Some(ring);
    assert_eq!(code(&view, alice_key(), &hello_with(alice()), at(T0)), VerdictCode::Accepted);
}

#[test]
fn r99_an_account_has_so_many_links_and_no_more() {
    let mut view = view();
    for (links, expected) in
        [(LINKS_PER_ACCOUNT - 1, VerdictCode::Accepted), (LINKS_PER_ACCOUNT, VerdictCode::Busy)]
    {
        let other =
            Standing { peer: PeerKey([7; 32]), boot: 5, account: testing::account("alice") };
        Arc::make_mut(&mut view.links).standing = vec![other; links];
        assert_eq!(code(&view, alice_key(), &hello_with(alice()), at(T0)), expected);
    }
    let bob = testing::claims(&testing::key(1), &testing::key(2), "bob");
    assert_eq!(code(&view, alice_key(), &hello_with(bob), at(T0)), VerdictCode::Accepted);
}

#[test]
fn r98_of_two_crossing_dials_the_smaller_key_wins() {
    let mut view = view();
    let redundant = |view: &AdmissionView, mono| {
        let now = Now { mono, wall_ms: T0 };
        let hello = hello_with(alice());
        judge_redundancy(view, alice_key(), &hello, Side::Listener, now).is_err()
    };
    let second = Duration::from_secs(1);
    assert!(!redundant(&view, second));
    view.links = standing(5);
    assert!(redundant(&view, second));
    view.links = Arc::default();
    view.dialling = Arc::new(BTreeMap::from([(alice_key(), second)]));
    Arc::make_mut(&mut view.own).peer = PeerKey([0; 32]);
    assert!(redundant(&view, second));
    assert!(!redundant(&view, second * 2));
    Arc::make_mut(&mut view.own).peer = PeerKey([255; 32]);
    assert!(!redundant(&view, second));
}

#[test]
fn a_view_is_the_same_while_only_time_goes_on() {
    let shown = AdmissionView { clock: RealmClock::restored(0, T0), ..view() };
    let with_clock = |offset_ms, high_water_ms| {
        let clock = RealmClock::restored(offset_ms, high_water_ms);
        AdmissionView { clock, ..shown.clone() }
    };
    assert!(with_clock(0, T0 + 1).is_same_as(&shown));
    assert!(!with_clock(0, T0 - 1).is_same_as(&shown), "the clock was set back");
    assert!(!with_clock(1, T0).is_same_as(&shown));
    let other_links = AdmissionView { links: Arc::default(), ..shown.clone() };
    assert!(!other_links.is_same_as(&shown));
}

#[test]
fn the_authority_is_admitted_like_anybody() {
    let claims = Claims { role: Role::Authority, ..alice() };
    assert_eq!(code(&view(), alice_key(), &hello_with(claims), at(T0)), VerdictCode::Accepted);
}
