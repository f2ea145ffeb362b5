//! The brain of Windlass: what to upload next, what to do when it fails, and what to tell the person.
//!
//! Pure and synchronous: no IO, no clock, no randomness, no async. Time and a seed come in as arguments,
//! events go in, effects come out; see [`machine::Machine`]. It does not panic, whatever it is fed.

#![warn(clippy::indexing_slicing)]

pub mod checksum;
pub mod error;
pub mod machine;
pub mod map;
pub mod plan;
pub mod progress;
pub mod protocol;
pub mod provider;
pub mod retry;
pub mod signing;
pub mod text;
