//! The HTTP client with which the scenarios themselves ask stores and drivers on this machine.

use reqwest::Client;

/// A client that takes no proxy from the environment: everything it asks is on loopback.
pub(crate) fn client() -> Client {
    choose_tls();
    let plain = Client::builder().no_proxy().tls_certs_only([]);
    plain.build().expect("a client that looks for no certificates has nothing to miss")
}

/// Nothing here speaks TLS, but reqwest and thirtyfour refuse to start before one is chosen.
pub(crate) fn choose_tls() {
    // The second choice in a process is refused, and equal to the first.
    let _ = rustls::crypto::ring::default_provider().install_default();
}
