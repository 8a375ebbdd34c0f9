//! Desktop notifications, on a thread of their own: the bus may be slow or missing.

use std::sync::mpsc::{SyncSender, sync_channel};

use notify_rust::Notification;

/// How many notifications may wait. More at once would only annoy, so they are dropped.
const WAITING_MAX: usize = 8;

/// Shows desktop notifications.
#[derive(Debug)]
pub struct Notifier {
    queue: Option<SyncSender<Toast>>,
}

#[derive(Debug)]
struct Toast {
    title: String,
    body: String,
    sound: bool,
}

impl Notifier {
    /// Starts the thread.
    #[must_use]
    pub fn start() -> Self {
        let (queue, toasts) = sync_channel::<Toast>(WAITING_MAX);
        let started = std::thread::Builder::new().name("lanyard-notify".into()).spawn(move || {
            for toast in toasts {
                show(&toast);
            }
        });
        Self { queue: started.ok().map(|_thread| queue) }
    }

    /// A notifier that shows nothing, for tests.
    #[must_use]
    pub fn silent() -> Self {
        Self { queue: None }
    }

    /// Queues a notification.
    pub fn notify(&self, title: String, body: String, sound: bool) {
        if let Some(queue) = &self.queue {
            queue.try_send(Toast { title, body, sound }).ok();
        }
    }
}

fn show(toast: &Toast) {
    let mut notification = Notification::new();
    notification.appname("Lanyard").summary(&toast.title).body(&escape_markup(&toast.body));
    if toast.sound {
        notification.sound_name("message-new-instant");
    }
    if let Err(error) = notification.show() {
        tracing::debug!(%error, "Could not show a notification");
    }
}

/// Escapes what notification servers would read as markup.
fn escape_markup(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_cannot_smuggle_markup() {
        assert_eq!(escape_markup("<a href='x'>&"), "&lt;a href='x'&gt;&amp;");
    }
}
