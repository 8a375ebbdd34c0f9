//! The Lanyard chat window: model, view and bridge of an egui peer.
//!
//! Arrows go one way: `app -> view -> model` and `app -> bridge -> lanyard-node`.
//! The model knows no window, the view performs nothing, and neither knows the network.
//!
//! | to find out … | look into |
//! |---|---|
//! | what happens in a frame | [`app`]: `logic` drains and applies, `ui` draws and dispatches |
//! | what the user can do, and what comes of it | [`action`]: `Action` in, `Effect` out |
//! | what the window knows and decides | [`model`] and its modules, without a window |
//! | how something looks | [`view`], a module for each part; all literals are in [`theme`] |
//! | what a second start does | [`instance`], [`model::starting`] |
//! | what the node is asked and tells | [`bridge`]: `Command` out, `BackendEvent` in |
//! | how the real node is reached | [`bridge::node`]; its `acts` has one function for each call about rules |
//! | what stands in for it in tests and pictures | [`bridge::fake`] |
//! | why no window opens, and in which colours it does | [`launch`], [`colour_scheme`] |
//! | how input keeps its order | [`turns`] |
//! | how text from others becomes safe, and runs from right to left | [`text`] |

pub mod action;
pub mod app;
pub mod bridge;
pub mod colour_scheme;
pub mod drafts;
pub mod fonts;
pub mod instance;
pub mod launch;
pub mod model;
pub mod notify;
pub mod settings;
pub mod text;
pub mod theme;
pub mod turns;
pub mod view;
