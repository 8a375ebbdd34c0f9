//! The window without a display, driven by accessibility labels, over a scripted node and a real one; and on a
//! virtual screen, driven by keys.

// The attribute tells clippy that helpers of tests are tests.
#[cfg(test)]
mod accessibility;
#[cfg(test)]
mod account;
#[cfg(test)]
mod architecture;
#[cfg(test)]
mod away;
#[cfg(test)]
mod chat;
#[cfg(test)]
mod closing;
#[cfg(test)]
mod contrast;
#[cfg(test)]
#[cfg(target_os = "linux")]
mod demo_script;
#[cfg(test)]
mod desktop;
#[cfg(test)]
mod end_to_end;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod input;
#[cfg(test)]
mod keyboard;
#[cfg(test)]
mod keyring;
#[cfg(test)]
mod login;
#[cfg(test)]
mod one_window;
#[cfg(test)]
mod programs;
#[cfg(test)]
mod reading;
#[cfg(test)]
mod real_reading;
#[cfg(test)]
mod real_typing;
#[cfg(test)]
mod real_window;
#[cfg(test)]
mod rules;
#[cfg(test)]
mod stage;
#[cfg(test)]
#[cfg(target_os = "linux")]
mod starting;
#[cfg(test)]
mod timeline;
#[cfg(test)]
mod typing;
#[cfg(test)]
mod unread;
#[cfg(test)]
#[cfg(target_os = "linux")]
mod wayland;
