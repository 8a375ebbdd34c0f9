//! The only writer of `serve`: a thread that owns the [`Store`] and runs the acts it receives, in order.

use tokio::sync::{mpsc, oneshot};

use super::{Store, StoreError};

/// How many acts may wait: more than the login server can have connections, so that no connection blocks another.
const QUEUE: usize = 512;

type Act = Box<dyn FnOnce(&mut Store) + Send>;

/// A handle to the store's thread. The thread ends when the last handle is dropped.
#[derive(Debug, Clone)]
pub struct StoreHandle {
    acts: mpsc::Sender<Act>,
}

impl StoreHandle {
    /// Moves the store to a thread of its own.
    ///
    /// # Errors
    /// Those of the system, if the thread cannot be started.
    pub fn start(mut store: Store) -> std::io::Result<(Self, std::thread::JoinHandle<()>)> {
        let (acts, mut queue) = mpsc::channel::<Act>(QUEUE);
        let thread = std::thread::Builder::new().name("store".to_owned()).spawn(move || {
            while let Some(act) = queue.blocking_recv() {
                act(&mut store);
            }
        })?;
        Ok((Self { acts }, thread))
    }

    /// Runs an act on the store and returns its result. The act is completed even if its caller stops waiting.
    ///
    /// # Errors
    /// The act's own error, or [`StoreError::Closed`].
    pub async fn run<T, E>(
        &self,
        act: impl FnOnce(&mut Store) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let act = Box::new(move |store: &mut Store| {
            // The caller may have stopped waiting.
            reply.send(act(store)).ok();
        });
        self.acts.send(act).await.map_err(|_ended| StoreError::Closed)?;
        answer.await.map_err(|_ended| StoreError::Closed)?
    }
}
