//! Who hands out grants.

pub mod http;
