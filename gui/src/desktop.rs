//! The computer around the window: other starts of the program, notifications, preferred colours, and what to say
//! where no window opens.

pub mod colour_scheme;
pub mod instance;
pub mod launch;
pub mod notify;
