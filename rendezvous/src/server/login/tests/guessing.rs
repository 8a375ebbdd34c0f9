//! People who guess passwords, watch the clock, or ask without end.

use futures::future::join_all;
use lanyard_protocol::time::{DAY_MS, HOUR_MS};

use super::*;
use crate::clock;

const TABLET: PeerKey = PeerKey([9; 32]);

impl LoginServer {
    /// Tries wrong passwords and then the right one, all at the same time. Returns the codes, and how often Argon2 ran.
    async fn guess_at_once(&self, peer: PeerKey, now: u64) -> (Vec<Option<DenialCode>>, u64) {
        let before = self.office.argon2_calls();
        let words = ["guess"; 9].into_iter().chain(["alice-password"]);
        let tries = words.map(|word| self.try_in("alice", word, peer, now));
        let replies = join_all(tries).await;
        let checks = self.office.argon2_calls() - before;
        (replies.iter().map(code).collect(), checks)
    }

    /// The runs of Argon2 at each cost for one wrong password.
    async fn runs_for(&self, name: &str, peer: PeerKey) -> Vec<u64> {
        let before = self.office.pool.hasher().runs();
        let reply = self.try_in(name, "guess", peer, NOW).await;
        assert_eq!(code(&reply), Some(DenialCode::BadCredentials), "{name}");
        let after = self.office.pool.hasher().runs();
        after.iter().map(|(cost, runs)| runs - before.get(cost).unwrap_or(&0)).collect()
    }
}

#[tokio::test]
async fn guesses_at_the_same_time_count_before_the_check() {
    let login_server = LoginServer::open();
    login_server.alice(LAPTOP).await;
    for peer in [LAPTOP, PHONE] {
        let (codes, checks) = login_server.guess_at_once(peer, NOW).await;
        assert_eq!(checks, 5);
        assert_eq!(codes[..5], [Some(DenialCode::BadCredentials); 5]);
        let must_wait = [Some(DenialCode::Busy), Some(DenialCode::Locked)];
        assert!(codes[5..].iter().all(|code| must_wait.contains(code)), "{codes:?}");
        let (codes, checks) = login_server.guess_at_once(peer, NOW).await;
        assert_eq!((codes, checks), (vec![Some(DenialCode::Locked); 10], 0));
        let (codes, checks) = login_server.guess_at_once(peer, NOW + 15_000).await;
        assert_eq!(checks, 1, "one guess after each delay");
        assert!(must_wait.contains(&codes[9]), "{codes:?}");
    }
}

#[tokio::test]
async fn a_known_device_is_delayed_by_its_own_failures() {
    let login_server = LoginServer::open();
    login_server.alice(LAPTOP).await;
    login_server.alice(TABLET).await;
    for _ in 0..5 {
        let reply = login_server.try_in("Alice", "guess", LAPTOP, NOW).await;
        assert_eq!(code(&reply), Some(DenialCode::BadCredentials));
    }
    let calls = login_server.office.argon2_calls();
    let reply = login_server.try_in("alice", "alice-password", LAPTOP, NOW).await;
    let Reply::Denied(denial) = &reply else { panic!("{reply:?}") };
    assert_eq!((denial.code, denial.retry_after_s), (DenialCode::Locked, Some(15)));
    assert_eq!(login_server.office.argon2_calls(), calls);
    login_server.alice(TABLET).await;
    login_server.alice(PHONE).await;
    let still = login_server.try_in("alice", "alice-password", LAPTOP, NOW).await;
    assert_eq!(code(&still), Some(DenialCode::Locked), "other devices free no thief");
    let after = NOW + 15_000;
    login_server.ticket(login_server.try_in("alice", "alice-password", LAPTOP, after).await);
}

#[tokio::test]
async fn no_jump_of_the_clock_ends_a_delay() {
    let login_server = LoginServer::open();
    for _ in 0..5 {
        login_server.try_in("alice", "guess", PHONE, NOW).await;
    }
    for (wall_ms, mono_ms, expected) in
        [(NOW + DAY_MS, 14_999, Some(DenialCode::Locked)), (NOW, 15_000, None)]
    {
        let now = Now { mono: Duration::from_millis(mono_ms), wall_ms };
        let request = Request::Login(Login {
            username: "alice".to_owned(),
            password: Zeroizing::new("alice-password".to_owned()),
            nickname: None,
            device_label: None,
        });
        let from = "192.0.2.1:50000".parse().unwrap();
        let reply = reply_of(login_server.office.answer(PHONE, from, request, || now).await);
        assert_eq!(code(&reply), expected, "{reply:?}");
    }
    assert!(clock::now().mono <= clock::now().mono);
}

#[tokio::test]
async fn no_name_differs_after_the_cost_was_raised() {
    let login_server = LoginServer::open_at(Argon2Config { memory_kib: 16, passes: 2 });
    for name in ["alice", "nobody", "-"] {
        assert_eq!(login_server.runs_for(name, PHONE).await, [1], "{name}: only old hashes");
    }
    // Bob's hash gets the new cost.
    login_server.ticket(login_server.try_in("bob", "bob-password", LAPTOP, NOW).await);
    for (name, peer) in [("alice", PHONE), ("bob", PHONE), ("bob", LAPTOP), ("nobody", PHONE)] {
        assert_eq!(login_server.runs_for(name, peer).await, [1, 1], "{name}");
    }
    // The operator's commands write from another process.
    let mut other = Store::open(login_server.dir.path()).unwrap();
    let hasher = Hasher::new(Argon2Config { memory_kib: 24, passes: 1 }).unwrap();
    let phc = hasher.hash(&Password::new("new".to_owned()).unwrap()).unwrap();
    let set = acts::set_password;
    other.write(|tx| set(tx, "alice", &phc, acts::Tickets::Keep, NOW)).unwrap();
    for name in ["alice", "bob", "nobody"] {
        let runs = login_server.runs_for(name, TABLET).await;
        assert_eq!(runs.iter().sum::<u64>(), 2, "{name}: {runs:?}");
        assert!(runs.iter().all(|runs| *runs <= 1), "{name}: {runs:?}");
    }
}

#[tokio::test]
async fn a_device_cannot_renew_without_end() {
    let login_server = LoginServer::open();
    let account = login_server.alice(LAPTOP).await.claims().account;
    login_server.alice(PHONE).await;
    for _ in 0..16 {
        login_server.ticket(login_server.renew(account, LAPTOP, NOW).await);
    }
    let reply = login_server.renew(account, LAPTOP, NOW + 1_000).await;
    let Reply::Denied(denial) = &reply else { panic!("without end") };
    assert_eq!((denial.code, denial.retry_after_s), (DenialCode::Busy, Some(599)));
    login_server.ticket(login_server.renew(account, PHONE, NOW).await);
    let later = NOW + 600_000;
    login_server.ticket(login_server.renew(account, LAPTOP, later).await);
    assert_eq!(code(&login_server.renew(account, LAPTOP, later).await), Some(DenialCode::Busy));
    login_server.ticket(login_server.try_in("alice", "alice-password", LAPTOP, later).await);
}

#[tokio::test]
async fn repeated_acts_of_a_member_are_one_entry_per_hour() {
    let login_server = LoginServer::open();
    let account = login_server.alice(LAPTOP).await.claims().account;
    login_server.alice(PHONE).await;
    let change = || login_server.change("alice-password", "alice-password", false, LAPTOP);
    for _ in 0..10 {
        login_server.alice(LAPTOP).await;
        login_server.ticket(login_server.renew(account, LAPTOP, NOW).await);
        login_server.ticket(change().await);
    }
    let mine = |entries: Vec<String>| {
        entries.into_iter().filter(|entry| entry.starts_with("alice ")).collect::<Vec<_>>()
    };
    assert_eq!(
        mine(login_server.audit().await),
        [
            "alice login device 1",
            "alice login device 2",
            "alice renew device 1",
            "alice password device 1"
        ]
    );
    let later = NOW + HOUR_MS;
    login_server.ticket(login_server.try_in("alice", "alice-password", LAPTOP, later - 1).await);
    for now in [later, later + 1, later + HOUR_MS] {
        login_server.ticket(login_server.try_in("alice", "alice-password", LAPTOP, now).await);
    }
    assert_eq!(
        mine(login_server.audit().await)[4..],
        [
            "alice login device 1 (11 more since the last such entry)",
            "alice login device 1 (1 more since the last such entry)"
        ]
    );
}
