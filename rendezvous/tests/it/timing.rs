//! The time of a refusal does not tell whether a name exists.
//!
//! The clock and the addresses are invented, so that no delay is ever due. Under `scripts/soak.sh` (`LANYARD_SOAK=1`)
//! this measures; otherwise it only exercises the code. The operator has raised the cost of Argon2 meanwhile: "known" still
//! has a hash of the old cost, and another account one of the new. That both cases run Argon2 equally often is tested in
//! `src/server/login/tests/guessing.rs`.

use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use ed25519_dalek::SigningKey;
use lanyard_protocol::cose::public_key;
use lanyard_protocol::ids::{PeerKey, Role};
use lanyard_protocol::login::{DenialCode, Login, PeerAddresses, Reply, Request};
use lanyard_protocol::time::Now;
use lanyard_rendezvous::authority::StandIn;
use lanyard_rendezvous::folder::config::Argon2Config;
use lanyard_rendezvous::names::Username;
use lanyard_rendezvous::server::login::{Answer, Office};
use lanyard_rendezvous::server::password::pool::Pool;
use lanyard_rendezvous::server::password::{Hasher, Password};
use lanyard_rendezvous::store::Store;
use lanyard_rendezvous::store::thread::StoreHandle;
use lanyard_rendezvous::{accounts, clock, policy};

use crate::harness::{Realm, is_soak};

const NOW: u64 = 1_800_000_000_000;
/// Longer than a failure is remembered.
const QUIET_MS: u64 = 20 * 60_000;
/// The value of Welch's t beyond which two means count as different.
const T_MAX: f64 = 4.5;

/// An office with two accounts, and the number of requests so far.
struct Asked {
    _dir: tempfile::TempDir,
    office: Office,
    times: u32,
}

impl Asked {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::open_or_create(dir.path()).unwrap();
        let hasher = |passes| Hasher::new(Argon2Config { memory_kib: 1_024, passes }).unwrap();
        let hashers = [hasher(1), hasher(2)];
        for (name, hasher) in ["known", "newer"].into_iter().zip(&hashers) {
            let phc = hasher.hash(&Password::new("right".to_owned()).unwrap()).unwrap();
            let name = Username::parse(name).unwrap();
            store.write(|tx| accounts::create(tx, &name, None, Role::Member, &phc, NOW)).unwrap();
        }
        let [_old, hasher] = hashers;
        let key = SigningKey::from_bytes(&[3; 32]);
        store.write(|tx| policy::publish(tx, &key, NOW)).unwrap();
        let me = PeerAddresses { peer: public_key(&key), addresses: Vec::new() };
        let authority = Arc::new(StandIn(me));
        let (store, _thread) = StoreHandle::start(store).unwrap();
        let pool = Pool::start(Arc::new(hasher), NonZeroUsize::MIN).unwrap();
        Self { _dir: dir, office: Office::new(store, pool, Arc::new(key), authority), times: 0 }
    }

    /// How long a refusal takes, in microseconds.
    async fn refusal(&mut self, name: &str) -> f64 {
        self.times += 1;
        let from = SocketAddr::from((Ipv4Addr::from_bits(self.times), 1));
        let quiet_ms = u64::from(self.times) * QUIET_MS;
        let now = Now { mono: Duration::from_millis(quiet_ms), wall_ms: NOW + quiet_ms };
        let request = Request::Login(Login {
            username: name.to_owned(),
            password: "wrong".to_owned().into(),
            nickname: None,
            device_label: None,
        });
        let started = clock::monotonic();
        let answer = self.office.answer(PeerKey([7; 32]), from, request, || now).await;
        let took = clock::monotonic() - started;
        let Answer::Ticket(Reply::Denied(denial)) = answer else { panic!("{answer:?}") };
        assert_eq!(denial.code, DenialCode::BadCredentials);
        micros(took)
    }
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

/// Mean and variance.
fn moments(times: &[f64]) -> (f64, f64) {
    let count = times.len() as f64;
    let mean = times.iter().sum::<f64>() / count;
    (mean, times.iter().map(|time| (time - mean).powi(2)).sum::<f64>() / (count - 1.0))
}

fn welch(one: &[f64], other: &[f64]) -> f64 {
    let ((mean_1, var_1), (mean_2, var_2)) = (moments(one), moments(other));
    (mean_1 - mean_2) / (var_1 / one.len() as f64 + var_2 / other.len() as f64).sqrt()
}

#[tokio::test]
async fn known_and_unknown_names_take_the_same_time() {
    // No other test that starts processes runs at the same time.
    let _alone = Realm::fresh();
    let rounds = if is_soak() { 500 } else { 20 };
    let mut asked = Asked::new();
    let (mut known, mut unknown) = (Vec::new(), Vec::new());
    for round in 0..rounds + 50 {
        // Alternating, so that whatever else the machine does affects both. The names have one length and occur once.
        let nobody = format!("n{round:04}");
        let (one, other) = if round % 2 == 0 {
            let one = asked.refusal("known").await;
            (one, asked.refusal(&nobody).await)
        } else {
            let other = asked.refusal(&nobody).await;
            (asked.refusal("known").await, other)
        };
        // The first rounds warm up the caches.
        if round >= 50 {
            known.push(one);
            unknown.push(other);
        }
    }
    let t = welch(&known, &unknown);
    println!("known {:.1} µs, unknown {:.1} µs, t {t:.2}", moments(&known).0, moments(&unknown).0);
    if is_soak() {
        assert!(t.abs() < T_MAX, "known and unknown names can be told apart: t = {t:.2}");
    }
}
