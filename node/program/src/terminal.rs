//! The modes of the terminal on standard input: saved, changed, and restored in every case.

#[cfg(not(unix))]
pub use elsewhere::{Modes, columns_of_stdout, continuations};
#[cfg(unix)]
pub use unix::{Modes, columns_of_stdout, continuations};

#[cfg(unix)]
mod unix;

/// For systems on which a terminal's modes do not outlive the program.
#[cfg(not(unix))]
mod elsewhere {
    use std::io;
    use std::sync::mpsc::{Receiver, sync_channel};

    #[derive(Debug)]
    pub struct Modes;

    impl Modes {
        pub fn of_stdin() -> io::Result<Self> {
            Ok(Self)
        }

        pub fn key_by_key(&self) -> io::Result<()> {
            Ok(())
        }

        pub fn without_echo(&self) -> io::Result<()> {
            Ok(())
        }

        pub fn put_back_and_forget_input(&self) {}

        pub fn suspend(&self, _wait: impl FnOnce()) -> io::Result<()> {
            Ok(())
        }
    }

    pub fn columns_of_stdout() -> Option<usize> {
        None
    }

    pub fn continuations() -> io::Result<Receiver<()>> {
        Ok(sync_channel(1).1)
    }
}
