//! The Lanyard chat window: model, view and bridge of an egui peer.
//!
//! Arrows go one way: `app -> view -> model` and `app -> bridge -> lanyard-node`.
//! The model knows no window, the view performs nothing, and neither knows the network.

pub mod action;
pub mod app;
pub mod bridge;
pub mod drafts;
pub mod fonts;
pub mod model;
pub mod notify;
pub mod settings;
pub mod text;
pub mod theme;
pub mod view;
