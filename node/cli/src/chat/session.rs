//! The conversation: joins, then takes commands and shows events until the end.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use lanyard_node::{
    JoinRequest, Joined, LoginServerError, Node, NodeEvent, Page, ReadError, Refusal, RefusalCode,
    SendError, Status, join,
};
use lanyard_program::failure;
use lanyard_program::stdin::{BadLine, Fault};
use lanyard_program::stop::{asked_to_stop, stdout_closed};
use lanyard_protocol::engine::{NewModeration, SendRefused};
use lanyard_protocol::ids::AccountId;
use lanyard_protocol::login::DeviceInfo;
use lanyard_protocol::message::Draft;
use lanyard_protocol::policy::LOBBY;
use lanyard_protocol::presence::{AWAY, HERE};
use serde_json::Value;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, watch};
use tokio::task::JoinSet;

use super::answer::Answer;
use super::command::{self, BAD_JSON, BadCommand, Command};
use super::output::Output;
use super::source::{Entry, Input, Source};
use super::unreadable::Unreadable;
use super::unsent::Unsent;
use super::words;

/// After the end of stdin, how long to wait for messages that no peer has yet.
const FINISH: Duration = Duration::from_secs(5);

/// How long the node may take to say goodbye.
const GOODBYE: Duration = Duration::from_secs(2);

pub(super) async fn run(
    request: JoinRequest,
    input: Input,
    stay: bool,
    output: &mut Output,
) -> ExitCode {
    let mut stop = std::pin::pin!(stop());
    let joined = tokio::select! {
        joined = join(request, |_step| ()) => joined,
        () = &mut stop => return ExitCode::SUCCESS,
        why = failure::failed() => Err(Refusal::of(RefusalCode::Failed, why)),
    };
    let joined = match joined {
        Ok(joined) => joined,
        Err(refusal) => {
            output.refused(&refusal);
            return ExitCode::FAILURE;
        }
    };
    let mut session = Session::start(joined, output);
    let source = Source::open(input, session.node.status(), output);
    session.run(source, stay, stop, output).await
}

/// Completes when the user or the system asks the program to stop, or when the reader of stdout is gone.
async fn stop() {
    let asked = async {
        match asked_to_stop() {
            Ok(asked) => asked.await,
            Err(error) => {
                tracing::warn!(%error, "Signals cannot be heard");
                std::future::pending::<()>().await;
            }
        }
    };
    tokio::select! {
        () = asked => {}
        () = stdout_closed() => {}
    }
}

struct Session {
    node: Node,
    events: broadcast::Receiver<NodeEvent>,
    status: watch::Receiver<Arc<Status>>,
    /// The state shown by the last `link` line.
    link: (bool, usize),
    /// Requests to the login node, which may take a while. The conversation continues in the meantime.
    at_login_server: JoinSet<AtLoginServer>,
    /// The room that typed texts go to.
    room: String,
    unsent: Unsent,
}

/// The login node's answer to a command.
struct AtLoginServer {
    name: &'static str,
    mark: Option<Value>,
    answer: Result<Option<Vec<DeviceInfo>>, LoginServerError>,
}

/// What to do after a turn.
enum Turn {
    Go,
    Finish,
    Quit(Option<Option<Value>>),
    Lost,
    /// A part of this program has panicked.
    Failed(String),
}

impl Session {
    fn start(joined: Joined, output: &mut Output) -> Self {
        let events = joined.node.events();
        let mut status = joined.node.status();
        let now = Arc::clone(&status.borrow_and_update());
        output.rooms(&now);
        output.ready(&joined, &now);
        output.link(&now);
        for (code, text) in &joined.notices {
            output.notice(code, text);
        }
        let link = (now.rendezvous_online, now.neighbours.len());
        Self {
            node: joined.node,
            events,
            status,
            link,
            at_login_server: JoinSet::new(),
            room: LOBBY.to_owned(),
            unsent: Unsent::default(),
        }
    }

    async fn run(
        &mut self,
        mut source: Source,
        stay: bool,
        mut stop: std::pin::Pin<&mut impl Future<Output = ()>>,
        output: &mut Output,
    ) -> ExitCode {
        let mut reading = true;
        let mut deadline = None;
        source.ask(|| self.prompt());
        loop {
            let finish = async {
                match deadline {
                    Some(deadline) => tokio::time::sleep_until(deadline).await,
                    None => std::future::pending().await,
                }
            };
            let turn = tokio::select! {
                biased;
                () = &mut stop => Turn::Quit(None),
                event = self.events.recv() => self.event(event, output),
                Ok(()) = self.status.changed() => self.status_changed(output),
                Some(Ok(done)) = self.at_login_server.join_next() => {
                    output.login_server(done.name, done.answer, done.mark);
                    Turn::Go
                }
                why = failure::failed() => Turn::Failed(why),
                () = finish => Turn::Quit(None),
                entry = source.next(), if reading => {
                    let turn = self.entry(entry, output).await;
                    if matches!(turn, Turn::Go) {
                        source.ask(|| self.prompt());
                    }
                    turn
                }
            };
            match turn {
                Turn::Go if output.is_broken => return self.quit(None, output).await,
                Turn::Go => {}
                Turn::Finish => {
                    reading = false;
                    deadline = (!stay).then(|| tokio::time::Instant::now() + FINISH);
                }
                Turn::Quit(mark) => return self.quit(mark, output).await,
                Turn::Lost => return ExitCode::FAILURE,
                Turn::Failed(why) => {
                    output.refused(&Refusal::of(RefusalCode::Failed, why));
                    self.say_goodbye().await;
                    return ExitCode::FAILURE;
                }
            }
            let idle = self.events.is_empty() && self.at_login_server.is_empty();
            if deadline.is_some() && self.status.borrow().waiting == 0 && idle {
                return self.quit(None, output).await;
            }
        }
    }

    fn event(&mut self, event: Result<NodeEvent, RecvError>, output: &mut Output) -> Turn {
        match event {
            Ok(NodeEvent::Ended(Some(refusal))) => {
                output.refused(&refusal);
                return Turn::Lost;
            }
            Ok(NodeEvent::Moderation(moderation)) => {
                output.notice("order", &words::moderation(&moderation, &self.status.borrow()));
            }
            Ok(NodeEvent::Sanctioned(news)) => {
                output.notice("sanction", &words::sanctioned(&news, &self.status.borrow()));
            }
            Ok(event) => {
                // The event may be in a room that is newer than the last state.
                output.rooms(&self.status.borrow());
                output.event(&event);
            }
            Err(RecvError::Lagged(missed)) => {
                output.notice("lagged", &format!("{missed} events were missed; see the history."));
            }
            Err(RecvError::Closed) => return Turn::Lost,
        }
        Turn::Go
    }

    fn status_changed(&mut self, output: &mut Output) -> Turn {
        let status = Arc::clone(&self.status.borrow_and_update());
        output.rooms(&status);
        let link = (status.rendezvous_online, status.neighbours.len());
        if std::mem::replace(&mut self.link, link) != link {
            output.link(&status);
        }
        Turn::Go
    }

    /// The prompt, which shows the room that the line will be sent to.
    fn prompt(&self) -> String {
        format!("#{}> ", self.room)
    }

    async fn entry(&mut self, entry: Entry, output: &mut Output) -> Turn {
        match entry {
            Entry::Line { number, text } => return self.line(number, &text, output).await,
            Entry::Bad { number, bad: BadLine { fault, text } } => {
                let code = if matches!(fault, Fault::TooLong(_)) { "too-long" } else { BAD_JSON };
                let what = format!("{fault}; it was skipped");
                output.unreadable(code, &what, &Unreadable { number, text: &text });
            }
            Entry::Cut(line) => output.cut(&line),
            Entry::End => return Turn::Finish,
            Entry::Quit => return Turn::Quit(None),
        }
        Turn::Go
    }

    async fn line(&mut self, number: u64, text: &str, output: &mut Output) -> Turn {
        if text.trim().is_empty() {
            return Turn::Go;
        }
        let (parsed, mark) = if output.is_json {
            command::from_json(text)
        } else {
            (command::from_plain(text, &self.room), None)
        };
        match parsed {
            Ok(Command::Quit) => return Turn::Quit(Some(mark)),
            Ok(command) => self.obey(command, mark, output).await,
            Err(bad) if bad.code == BAD_JSON => {
                output.unreadable(bad.code, &bad.message, &Unreadable { number, text });
            }
            Err(bad) => output.bad_command(&bad, mark),
        }
        Turn::Go
    }

    async fn obey(&mut self, command: Command, mark: Option<Value>, output: &mut Output) {
        let name = command.name();
        let (node, status) = (self.node.clone(), Arc::clone(&self.status.borrow()));
        match command {
            Command::Send(draft) => {
                self.send(draft, mark, output).await;
            }
            Command::History { room, .. }
                if status.rooms.iter().all(|known| known.name != room) =>
            {
                output.error("no-such-room", "there is no room of that name", mark);
            }
            Command::History { room, limit, before } => {
                let page = before.map_or(Page::Newest, Page::Before);
                match self.node.history(&room, page, limit).await {
                    Ok(history) => output.answer(name, mark, &Answer::History(history)),
                    Err(error) => output.bad_command(&read_error(&error), mark),
                }
            }
            Command::Roster => output.answer(name, mark, &Answer::Roster(&status)),
            Command::Status => output.answer(name, mark, &Answer::Status(&status)),
            Command::Ticket => output.answer(name, mark, &Answer::Ticket(&status.ticket)),
            Command::Moderate { kind, username, for_ms, reason } => {
                match self.account_of(&username).await {
                    Ok(account) => {
                        let moderation = NewModeration { kind, account, for_ms, reason };
                        match self.node.moderate(moderation).await {
                            Ok(id) => output.answer(name, mark, &Answer::Moderated(id)),
                            Err(error) => output.moderation_error(&error, mark),
                        }
                    }
                    Err(bad) => output.bad_command(&bad, mark),
                }
            }
            Command::Password { old, new, revoke_others } => {
                let change = async move { node.change_password(old, new, revoke_others).await };
                self.ask_login_server(name, mark, async { change.await.map(|()| None) });
            }
            Command::Devices => {
                self.ask_login_server(name, mark, async move { node.devices().await.map(Some) });
            }
            Command::Logout { device } => {
                let log_out = async move { node.logout_device(device).await.map(Some) };
                self.ask_login_server(name, mark, log_out);
            }
            Command::Away { away } => {
                let status = if away { AWAY } else { HERE };
                match self.node.set_status(status).await {
                    Ok(()) => output.answer(name, mark, &Answer::Done),
                    Err(error) => output.error("read-only", &error.to_string(), mark),
                }
            }
            Command::Room { room } => self.enter(room, &status, output),
            Command::Rooms => output.answer(name, mark, &Answer::Rooms(&status, &self.room)),
            Command::Unsent => output.unsent(&self.unsent),
            Command::Retry => self.retry(output).await,
            Command::Forget => {
                self.unsent.take();
                output.answer(name, mark, &Answer::Done);
            }
            Command::Help => output.answer(name, mark, &Answer::Help),
            Command::Quit => {}
        }
    }

    /// Sends a message. One that a person typed is kept if it is refused; a program has its own copy. Returns false if
    /// the next one would be refused for the same reason.
    async fn send(&mut self, draft: Draft, mark: Option<Value>, output: &mut Output) -> bool {
        match self.node.send(draft.clone()).await {
            Ok(sent) => {
                output.answer("send", mark, &Answer::Sent(sent));
                true
            }
            Err(error) if output.is_json => {
                output.send_error(&error, mark);
                true
            }
            Err(error) => {
                output.not_sent(&draft, &error);
                if self.unsent.drafts().len() == 0 {
                    output.kept();
                }
                if !self.unsent.keep(draft) {
                    output.error(
                        "too-long",
                        "it is not kept: too many messages are unsent already",
                        None,
                    );
                }
                !matches!(
                    error,
                    SendError::Refused(SendRefused::SlowDown { .. }) | SendError::Closed(_)
                )
            }
        }
    }

    /// Sends the refused messages again, in order, until one shows that the next would be refused as well.
    async fn retry(&mut self, output: &mut Output) {
        let mut drafts = self.unsent.take();
        while let Some(draft) = drafts.pop_front() {
            if !self.send(draft, None, output).await {
                break;
            }
        }
        for draft in drafts {
            // There is room, since it was just taken from there.
            self.unsent.keep(draft);
        }
    }

    fn enter(&mut self, room: String, status: &Status, output: &mut Output) {
        let Some(found) = status.rooms.iter().find(|known| known.name == room) else {
            return output.no_such_room(status);
        };
        output.answer("room", None, &Answer::Room(found, status.me.role));
        self.room = room;
    }

    fn ask_login_server(
        &mut self,
        name: &'static str,
        mark: Option<Value>,
        ask: impl Future<Output = Result<Option<Vec<DeviceInfo>>, LoginServerError>> + Send + 'static,
    ) {
        self.at_login_server.spawn(async move { AtLoginServer { name, mark, answer: ask.await } });
    }

    async fn account_of(&self, username: &str) -> Result<AccountId, BadCommand> {
        let found = self.node.account_of(username).await.map_err(|error| read_error(&error))?;
        found.ok_or_else(|| BadCommand {
            code: "not-found",
            message: "no user of that name has been seen here".to_owned(),
        })
    }

    async fn quit(&mut self, mark: Option<Option<Value>>, output: &mut Output) -> ExitCode {
        self.say_goodbye().await;
        // Show the events from before the end.
        while let Ok(event) = self.events.try_recv() {
            output.event(&event);
        }
        output.left_unsent(self.unsent.drafts().len());
        if let Some(mark) = mark {
            output.answer("quit", mark, &Answer::Quit);
        }
        ExitCode::SUCCESS
    }

    async fn say_goodbye(&self) {
        // A node with a failed part may not answer.
        tokio::time::timeout(GOODBYE, self.node.quit()).await.ok();
    }
}

fn read_error(error: &ReadError) -> BadCommand {
    let code = match error {
        ReadError::NotFound => "not-found",
        ReadError::Store(_) | ReadError::Closed(_) => "read-only",
    };
    BadCommand { code, message: error.to_string() }
}
