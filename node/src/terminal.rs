//! The modes of the terminal on standard input: kept, changed, and put back on every way out.

#[cfg(not(unix))]
pub(crate) use elsewhere::{Modes, columns_of_stdout, continuations};
#[cfg(unix)]
pub(crate) use unix::{Modes, columns_of_stdout, continuations};

#[cfg(unix)]
mod unix;

/// Where a terminal has no modes that outlive the program.
#[cfg(not(unix))]
mod elsewhere {
    use std::io;
    use std::sync::mpsc::{Receiver, sync_channel};

    #[derive(Debug)]
    pub(crate) struct Modes;

    impl Modes {
        pub(crate) fn of_stdin() -> io::Result<Self> {
            Ok(Self)
        }

        pub(crate) fn key_by_key(&self) -> io::Result<()> {
            Ok(())
        }

        pub(crate) fn without_echo(&self) -> io::Result<()> {
            Ok(())
        }

        pub(crate) fn put_back_and_forget_input(&self) {}

        pub(crate) fn suspend(&self, _wait: impl FnOnce()) -> io::Result<()> {
            Ok(())
        }
    }

    pub(crate) fn columns_of_stdout() -> Option<usize> {
        None
    }

    pub(crate) fn continuations() -> io::Result<Receiver<()>> {
        Ok(sync_channel(1).1)
    }
}
