//! A realm for demonstrations: Hackathon HQ one morning, with people, rooms and messages.

use std::collections::BTreeMap;
use std::sync::Arc;

use lanyard_node::event::{PresenceChange, Reason};
use lanyard_node::status::{DialAttempt, Me, Mode, Neighbour, Person, Room};
use lanyard_node::{ChatMessage, NodeEvent, Progress, Refusal, RefusalCode, Status, Via};
use lanyard_protocol::ids::{AccountId, MessageId, PeerKey, Role};
use lanyard_protocol::time::{HOUR_MS, MINUTE_MS};

use crate::bridge::{Body, DeviceInfo, Interface, ModerationKind};
use crate::model::action::Action;
use crate::model::settings::{KnownRealm, Settings};
use crate::testing::{Script, ScriptedBackend};

/// A scene to take a picture of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scene {
    /// The login window, filled in.
    Login,
    /// The login window after a wrong password.
    Refused,
    /// The login window when the address has changed hands.
    WrongRealm,
    /// The lobby with several people.
    Chat,
    /// The same lobby, as a moderator mutes somebody.
    Moderate,
    /// The lobby with messages in many scripts.
    Scripts,
    /// The lobby with nobody else online.
    Alone,
}

impl Scene {
    /// The scene of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "login" => Some(Self::Login),
            "login-refused" => Some(Self::Refused),
            "wrong-realm" => Some(Self::WrongRealm),
            "chat" => Some(Self::Chat),
            "moderate" => Some(Self::Moderate),
            "scripts" => Some(Self::Scripts),
            "alone" => Some(Self::Alone),
            _ => None,
        }
    }
}

/// The people of the demo realm: unique name, display name and role.
pub const PEOPLE: [(&str, &str, Role); 8] = [
    ("ada", "Ada L.", Role::Member),
    ("chen", "陳 Chen", Role::Moderator),
    ("bob", "Bob", Role::Member),
    ("dina", "Dina", Role::Member),
    ("emeka", "Emeka", Role::Member),
    ("fatima", "فاطمة", Role::Member),
    ("grace", "Grace", Role::Guest),
    ("hana", "Hana", Role::Member),
];

fn names(person: usize) -> (&'static str, &'static str, Role) {
    PEOPLE.get(person).copied().unwrap_or(("nobody", "Nobody", Role::Member))
}

/// Account ids whose hues look good beside each other.
const HUE_BYTES: [u8; 8] = [11, 1, 16, 14, 21, 6, 2, 12];

/// The account of a person of the demo realm.
#[must_use]
pub fn account(person: usize) -> AccountId {
    let byte = HUE_BYTES.get(person % HUE_BYTES.len()).copied().unwrap_or_default();
    let mut bytes = [0; 16];
    bytes[15] = byte;
    AccountId(bytes)
}

/// The device of a person of the demo realm.
#[must_use]
pub fn device(person: usize) -> PeerKey {
    let byte = u8::try_from(person % 250).unwrap_or_default();
    PeerKey([byte + 1; 32])
}

/// The join link of the demo realm.
#[must_use]
pub fn link() -> String {
    format!("lanyard://192.168.1.5:4001/{}?name=Hackathon%20HQ", PeerKey([0x77; 32]))
}

/// Settings that remember the demo realm.
#[must_use]
pub fn settings() -> Settings {
    let mut settings = Settings::default();
    settings.remember(KnownRealm {
        link: link(),
        name: "Hackathon HQ".into(),
        username: "ada".into(),
        nickname: "Ada L.".into(),
        signed_in_until: 0,
    });
    settings
}

/// The state of the demo realm with these people online. Ada is the user.
#[must_use]
pub fn status(now_ms: u64, people: &[usize]) -> Status {
    let roster: BTreeMap<AccountId, Person> =
        people.iter().map(|at| (account(*at), person(*at, now_ms))).collect();
    let neighbours = people.iter().filter(|at| **at != 0).map(|at| Neighbour {
        peer: device(*at),
        username: names(*at).0.into(),
        address: format!("/ip4/192.168.1.{}/tcp/4003", 20 + at),
        relayed: false,
        since: now_ms.saturating_sub(HOUR_MS),
    });
    Status {
        me: Me {
            peer: device(0),
            account: account(0),
            username: "ada".into(),
            nickname: "Ada L.".into(),
            role: Role::Member,
            device: 1,
        },
        realm: PeerKey([0x77; 32]),
        realm_name: "Hackathon HQ".into(),
        rendezvous_online: true,
        neighbours: neighbours.collect(),
        roster,
        rooms: vec![room("lobby", "Everything that concerns everybody", Role::Guest)],
        expires_at: now_ms + 7 * 24 * HOUR_MS,
        policy: 1,
        max_text_bytes: 4_096,
        listen: vec![format!("/ip4/192.168.1.20/tcp/4003/p2p/{}", device(0))],
        messages: 0,
        mode: Mode::Direct,
        mute: None,
        waiting: 0,
        clock_offset_ms: 0,
        clock_warning: None,
        addresses: BTreeMap::new(),
        ticket: Vec::new(),
        attempts: Vec::new(),
    }
}

/// A room of the demo realm.
#[must_use]
pub fn room(name: &str, topic: &str, post: Role) -> Room {
    Room { name: name.into(), topic: topic.into(), post, archived: false }
}

/// A message of a person of the demo realm, in the lobby.
#[must_use]
pub fn message(person: usize, number: u32, text: &str, sent_at: u64) -> ChatMessage {
    let (username, nickname, role) = names(person);
    ChatMessage {
        id: id(u64::try_from(person).unwrap_or_default(), u64::from(number)),
        room: "lobby".into(),
        account: account(person),
        username: username.into(),
        nickname: nickname.into(),
        peer: device(person),
        role,
        body: text.into(),
        sent_at,
        received_at: sent_at,
        via: Via::Gossip,
        late: false,
        folded: false,
        forked: false,
        session: 1,
        seq: u64::from(number),
        state: None,
    }
}

/// The message that a text of the user becomes.
#[must_use]
pub fn own_message(
    me: &Me,
    room: &str,
    body: impl Into<Body>,
    seq: u64,
    sent_at: u64,
) -> ChatMessage {
    ChatMessage {
        id: id(u64::MAX, seq),
        room: room.into(),
        account: me.account,
        username: me.username.clone(),
        nickname: me.nickname.clone(),
        peer: me.peer,
        role: me.role,
        body: body.into(),
        sent_at,
        received_at: sent_at,
        via: Via::Own,
        late: false,
        folded: false,
        forked: false,
        session: 2,
        seq,
        state: Some(Progress::Waiting),
    }
}

/// A person of the demo realm comes or goes.
#[must_use]
pub fn presence(person: usize, online: bool, reason: Reason) -> NodeEvent {
    let (username, nickname, role) = names(person);
    NodeEvent::Presence(PresenceChange {
        account: account(person),
        username: username.into(),
        nickname: nickname.into(),
        peer: device(person),
        role,
        online,
        reason,
    })
}

/// The script of a scene at this time.
#[must_use]
pub fn script(scene: Scene, now_ms: u64) -> Script {
    let mut script = Script {
        interfaces: vec![Interface {
            name: "wlan0".into(),
            ip: std::net::IpAddr::from([192, 168, 1, 20]),
            prefix: 24,
        }],
        now_ms,
        devices: own_devices(now_ms),
        ..Script::default()
    };
    let refused = |code, retry_after_s| Refusal { code, reason: String::new(), retry_after_s };
    script.joins = Some(match scene {
        Scene::Login => Ok(Arc::new(status(now_ms, &[0, 1, 2]))),
        Scene::Refused => Err(refused(RefusalCode::BadCredentials, None)),
        Scene::WrongRealm => Err(refused(RefusalCode::WrongRealm, None)),
        Scene::Chat | Scene::Scripts => Ok(Arc::new(chat_status(now_ms))),
        Scene::Moderate => {
            let mut status = chat_status(now_ms);
            status.me.role = Role::Moderator;
            Ok(Arc::new(status))
        }
        Scene::Alone => Ok(Arc::new(alone_status(now_ms))),
    });
    if scene == Scene::Scripts {
        script.history = in_many_scripts(now_ms);
    }
    if matches!(scene, Scene::Chat | Scene::Moderate) {
        script.history = conversation(now_ms);
        script.unread = (script.history.get(6).map(|message| message.id), 1);
    }
    script
}

/// The action that opens the dialog to mute Bob.
#[must_use]
pub fn moderation() -> Action {
    let (username, nickname, _) = names(2);
    Action::BeginModeration {
        kind: ModerationKind::Mute,
        account: account(2),
        username: username.into(),
        nickname: nickname.into(),
    }
}

/// Plays what happens in a scene after the window has joined.
pub fn after_joining(scene: Scene, backend: &ScriptedBackend, now_ms: u64) {
    if !matches!(scene, Scene::Chat | Scene::Moderate) {
        return;
    }
    for (person, online) in [(1, true), (3, true), (4, true), (7, false)] {
        let reason = if online { Reason::Joined } else { Reason::Left };
        backend.tell(presence(person, online, reason));
    }
    for (number, text) in
        [(1, "Boards arrived"), (2, "Who has the crimper?"), (3, "Found it"), (4, "Bench 2")]
    {
        let mut message = message(4, 900 + number, text, now_ms);
        message.room = "hardware".into();
        message.via = Via::Sync;
        backend.deliver(message);
    }
    backend.set_status(|status| {
        status.rendezvous_online = false;
        if let Some(emeka) = status.roster.get_mut(&account(4)) {
            emeka.away = true;
        }
    });
}

/// Messages in both writing directions, wrapped and within one line, and with characters of many scripts.
fn in_many_scripts(now_ms: u64) -> Vec<Arc<ChatMessage>> {
    let texts = [
        (
            5,
            "مرحبا بكم في القاعة الكبيرة، يبدأ العرض الأول في الساعة 14:00 وبعده نلتقي جميعا قرب \
             الطابعة (الطابق الثاني) ثم نكمل العمل على الشبكة حتى المساء إن شاء الله",
        ),
        (
            3,
            "שלום לכולם, ההדגמה מתחילה בשעה 14:00 באולם הגדול (קומה 2), ואחריה נפגשים ליד המדפסת \
             כדי לסיים את העבודה על הרשת. פרטים: https://docs.example.org/mesh",
        ),
        (2, "Both in one line: שלום עולם means hello world, and so does مرحبا بالعالم, I am told."),
        (1, "大家早上好！会议在二楼举行。日本語も大丈夫です。한국어도 돼요. 🎉"),
        (4, "Γειά σας, привет, नमस्ते, สวัสดี, שלום, xin chào 👋🏽 👩‍🚀 🏳️‍🌈 🇰🇪 ❤️"),
    ];
    let line = |(n, (person, text)): (u32, &(usize, &str))| {
        let at = now_ms.saturating_sub(u64::from(25 - 4 * n) * MINUTE_MS);
        Arc::new(message(*person, n, text, at))
    };
    (0..).zip(&texts).map(line).collect()
}

/// Ada's two devices. The first is this one.
#[must_use]
pub fn own_devices(now_ms: u64) -> Vec<DeviceInfo> {
    let own = |number: u64, label: &str, hours: u64| DeviceInfo {
        device: number,
        peer: if number == 1 { device(0) } else { PeerKey([0xd0; 32]) },
        label: label.into(),
        first_seen: now_ms.saturating_sub(400 * HOUR_MS),
        last_login: now_ms.saturating_sub(hours * HOUR_MS),
        expires_at: now_ms + 24 * HOUR_MS,
        logged_out: false,
    };
    vec![own(1, "laptop", 1), own(2, "bench computer", 26)]
}

fn chat_status(now_ms: u64) -> Status {
    let mut status = status(now_ms, &[0, 1, 2, 3, 4, 5, 6]);
    status.rooms.push(room("hardware", "Benches, boards and the 3D printer", Role::Guest));
    status.rooms.push(room("announcements", "From the team", Role::Moderator));
    status.expires_at = now_ms + 24 * HOUR_MS + 20 * MINUTE_MS;
    status
}

fn alone_status(now_ms: u64) -> Status {
    let mut status = status(now_ms, &[0]);
    let attempt = |ip: u8, outcome: &str| DialAttempt {
        address: format!("/ip4/192.168.1.{ip}/tcp/4003"),
        peer: device(usize::from(ip)),
        outcome: outcome.into(),
        at: now_ms,
    };
    status.attempts = vec![attempt(21, "no answer within 5 s"), attempt(34, "connection refused")];
    status
}

fn conversation(now_ms: u64) -> Vec<Arc<ChatMessage>> {
    let ago = |minutes: u64| now_ms.saturating_sub(minutes * MINUTE_MS);
    let mut lines = vec![
        message(4, 1, "Did anybody see the label printer?", ago(118)),
        message(
            2,
            1,
            "On the shelf behind the coffee machine, second from the left. Please bring it back there, the next team starts at nine.",
            ago(117),
        ),
        message(4, 2, "Got it, thanks!", ago(116)),
        message(2, 2, "Power is back on bench 3. The 3D printer takes PLA only today.", ago(9)),
        message(2, 3, "Link to the manual: https://docs.example.org/printer", ago(9) + 1),
        message(1, 1, "大家早上好！今天的演示在 14:00 👩‍🚀🚀", ago(7)),
        message(5, 1, "صباح الخير للجميع", ago(6)),
        message(3, 1, "@ada can you look at the mesh on the second floor?", ago(2)),
    ];
    // It arrived after the messages below it had been read.
    for late in lines.iter_mut().filter(|line| line.account == account(5)) {
        (late.late, late.received_at) = (true, now_ms);
    }
    let me = status(now_ms, &[0]).me;
    let mut own = own_message(&me, "lobby", "On my way. Give me ten minutes.", 1_000, ago(1));
    own.state = Some(Progress::Stored { by: 6, of: 7 });
    lines.push(own);
    lines.push(own_message(&me, "lobby", "Bringing the long cable.", 1_001, ago(0)));
    lines.into_iter().map(Arc::new).collect()
}

fn person(at: usize, now_ms: u64) -> Person {
    let (username, nickname, role) = names(at);
    let second = (at == 2).then_some((PeerKey([0xee; 32]), 2));
    Person {
        username: username.into(),
        nickname: nickname.into(),
        role,
        since: now_ms.saturating_sub(HOUR_MS),
        devices: std::iter::once((device(at), 1)).chain(second).collect(),
        away: false,
    }
}

fn id(author: u64, number: u64) -> MessageId {
    let mut bytes = [0; 32];
    let (first, rest) = bytes.split_at_mut(8);
    first.copy_from_slice(&author.to_be_bytes());
    if let Some(second) = rest.get_mut(..8) {
        second.copy_from_slice(&number.to_be_bytes());
    }
    MessageId(bytes)
}
