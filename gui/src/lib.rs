//! The Lanyard chat window: model, view and bridge of an egui peer.
//!
//! Arrows go one way: `app -> view -> model` and `app -> bridge -> lanyard-node`. The model does not know the window,
//! the view performs no effects, and neither knows the network.
//!
//! | folder | what belongs there |
//! |---|---|
//! | [`model`] | what the window knows and decides: [`model::action`] has `Action` in and `Effect` out |
//! | [`view`] | what is drawn: [`view::login`], [`view::chat`] with [`view::timeline`], [`view::dialogs`] |
//! | [`bridge`] | `Command` out, `BackendEvent` in: to [`bridge::node`], in tests to a script |
//! | [`desktop`] | other starts of the program, notifications, preferred colours, why no window opens |
//! | [`app`] | a frame: `logic` drains and applies, `ui` draws and dispatches |
//!
//! A new dialog is a [`model::action::Dialog`], a file in `view/dialogs/` and a line in [`view::dialogs`]; what it
//! decides is a module of [`model`].

pub mod app;
pub mod bridge;
pub mod desktop;
pub mod model;
#[cfg(any(test, feature = "test-utils"))]
pub mod testing;
pub mod view;
