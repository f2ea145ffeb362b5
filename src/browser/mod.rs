//! The hands: what only a browser can do, each behind a small safe type.

pub mod alarm;
pub mod clock;
pub mod files;
pub mod frame;
pub mod network;
pub mod xhr;
