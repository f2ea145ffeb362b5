//! What can be set, how, and what is said about what cannot.

use super::*;
use crate::auth::{Auth, JwtKeys};
use crate::config::StoreConfig;

pub(super) const KEYS: [(&str, &str); 3] = [
    ("AWS_ACCESS_KEY_ID", "key"),
    ("AWS_SECRET_ACCESS_KEY", "secret"),
    ("WINDLASS_SECRET", "0123456789abcdef"),
];

/// For everybody.
pub(super) fn config(args: &[&str], env: &[(&str, &str)]) -> Result<Config, String> {
    strict(args, &[env, &[("WINDLASS_ALLOW_ANONYMOUS", "true")]].concat())
}

fn strict(args: &[&str], env: &[(&str, &str)]) -> Result<Config, String> {
    let cli =
        Cli::try_parse_from([&["windlass-server"], args].concat()).map_err(|error| error.to_string())?;
    let look_up = |name: &str| env.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
    match cli.into_job(look_up).map_err(|error| error.to_string())? {
        Job::Serve(config) | Job::Sweep(config, _) => Ok(*config),
    }
}

#[track_caller]
pub(super) fn refused(args: &[&str], env: &[(&str, &str)], because: &str) {
    let error = config(args, env).unwrap_err();
    assert!(error.contains(because), "{error}");
}

#[test]
fn without_arguments_it_brings_its_own_store() {
    let config = config(&[], &[]).unwrap();
    assert!(matches!(config.store, StoreConfig::Embedded { .. }));
    assert_eq!((config.listen.port(), config.grant.as_secs()), (8787, 900));
}

#[test]
fn takes_aws_names_from_the_environment() {
    let args = ["--s3-endpoint", "http://localhost:4566", "--bucket", "b"];
    let env = [&KEYS[..], &[("AWS_DEFAULT_REGION", "eu-central-1")]].concat();
    let StoreConfig::S3 { region, credentials, .. } = config(&args, &env).unwrap().store else { panic!() };
    assert_eq!((region.as_str(), credentials.key()), ("eu-central-1", "key"));
}

#[test]
fn says_what_is_missing() {
    let store = ["--s3-endpoint", "http://localhost:4566", "--bucket", "b"];
    refused(&store, &KEYS[1..], "AWS_ACCESS_KEY_ID");
    refused(&store, &KEYS[..2], "WINDLASS_SECRET is not set");
    refused(&[], &[("WINDLASS_SECRET", "short")], "WINDLASS_SECRET is too short");
    refused(&store[..2], &KEYS, "--bucket");
    refused(&store[2..], &KEYS, "--s3-endpoint");
    refused(&[&store[..], &["--data", "x"]].concat(), &KEYS, "--data");
    refused(&["--page", "/does/not/exist"], &[], "is not a folder");
}

#[test]
fn takes_googles_key_file_from_the_environment() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors");
    let key = format!("{folder}/gcs-test_service_account.not-a-test.json");
    let env = [("GOOGLE_APPLICATION_CREDENTIALS", &*key), KEYS[2]];
    let StoreConfig::Gcs { endpoint, .. } = config(&["--gcs-bucket", "box"], &env).unwrap().store else {
        panic!()
    };
    assert_eq!(endpoint.as_str(), "https://storage.googleapis.com/");
    refused(&["--gcs-bucket", "box"], &env[1..], "GOOGLE_APPLICATION_CREDENTIALS is not set");
    refused(&["--gcs-bucket", "box"], &env[..1], "WINDLASS_SECRET is not set");
    refused(&["--gcs-bucket", "No"], &env, "--gcs-bucket");
    refused(&["--gcs-bucket", "box", "--gcs-endpoint", "https://x/y"], &env, "--gcs-endpoint has a path");
    refused(&["--gcs-bucket", "box", "--azure-container", "box"], &env, "--azure-container");
    let other = [("GOOGLE_APPLICATION_CREDENTIALS", &*format!("{folder}/README.md")), KEYS[2]];
    refused(&["--gcs-bucket", "box"], &other, "is not the JSON key");
    let none = [("GOOGLE_APPLICATION_CREDENTIALS", "/does/not/exist"), KEYS[2]];
    refused(&["--gcs-bucket", "box"], &none, "cannot be read");
}

#[test]
fn refuses_urls_that_would_sign_nonsense() {
    for url in ["", "localhost:9000", "ftp://host", "http://", "http://u:p@host", "http://host/?a=b"] {
        refused(&["--s3-endpoint", url, "--bucket", "b"], &KEYS, "--s3-endpoint");
    }
    refused(&["--public-store-url", "https://host/path"], &[], "has a path");
    refused(&["--allow-origin", "https://host/path"], &[], "not an origin");
    refused(&["--allow-origin", "*"], &[], "not an origin");
    let virtual_host = ["--s3-endpoint", "http://127.0.0.1:1", "--bucket", "b", "--virtual-host"];
    refused(&virtual_host, &KEYS, "IP address");
    for seconds in ["0", "59", "604801", "x"] {
        refused(&["--grant-seconds", seconds], &[], "--grant-seconds");
    }
}

#[test]
fn origins_are_compared_as_browsers_send_them() {
    let config = config(&["--allow-origin", "HTTPS://App.Example:443/"], &[]).unwrap();
    assert_eq!(config.allow_origin, ["https://app.example"]);
    let config = self::config(&["--allow-origin", "https://*.App.example:8443"], &[]).unwrap();
    assert_eq!(config.allow_origin, ["https://*.app.example:8443"]);
    for odd in
        ["https://*", "https://*.com", "https://*.127.0.0.1", "https://a.*.example", "*.example.com", "null"]
    {
        refused(&["--allow-origin", odd], &[], "--allow-origin is not an origin");
    }
}

/// A configuration of one file, on the command line with `args`.
fn with_file(text: &str, args: &[&str], env: &[(&str, &str)]) -> Result<Config, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("windlass.toml");
    std::fs::write(&path, text).unwrap();
    config(&[&["--config", path.to_str().unwrap()], args].concat(), env)
}

#[test]
fn the_command_line_wins_over_the_environment_and_that_over_the_file() {
    let file = "listen = \"127.0.0.1:1\"\nmax-size = 1\ngrant-seconds = 60\nallow-origin = [\"https://a.example\"]\n";
    let env = [("WINDLASS_MAX_SIZE", "2"), ("WINDLASS_GRANT_SECONDS", "120")];
    let config = with_file(file, &["--grant-seconds", "180"], &env).unwrap();
    assert_eq!((config.listen.port(), config.max_size, config.grant.as_secs()), (1, Some(2), 180));
    assert_eq!(config.allow_origin, ["https://a.example"]);
    // A list is taken whole, not added to.
    let env = [("WINDLASS_ALLOW_ORIGIN", "https://b.example,https://c.example")];
    assert_eq!(with_file(file, &[], &env).unwrap().allow_origin, ["https://b.example", "https://c.example"]);
    let args = ["--allow-origin", "https://d.example"];
    assert_eq!(with_file(file, &args, &env).unwrap().allow_origin, ["https://d.example"]);
}

#[test]
fn a_switch_can_be_taken_back() {
    let store = "s3-endpoint = \"https://s3.example\"\nbucket = \"b\"\nvirtual-host = true\n";
    let style = |args: &[&str]| match with_file(store, args, &KEYS).unwrap().store {
        StoreConfig::S3 { style, .. } => format!("{style:?}"),
        _ => panic!(),
    };
    assert_eq!(style(&[]), "VirtualHost");
    assert_eq!(style(&["--virtual-host=false"]), "Path");
}

#[test]
fn the_environment_can_name_the_file_and_is_read_like_the_command_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("windlass.toml");
    std::fs::write(&path, "max-size = 5").unwrap();
    let env = [("WINDLASS_CONFIG", path.to_str().unwrap())];
    assert_eq!(config(&[], &env).unwrap().max_size, Some(5));
    refused(&[], &[("WINDLASS_MAX_SIZE", "lots")], "WINDLASS_MAX_SIZE: invalid value 'lots'");
    refused(&[], &[("WINDLASS_LISTEN", "nowhere")], "WINDLASS_LISTEN");
}

#[test]
fn a_file_that_cannot_be_followed_is_told_by_its_line() {
    let told = |text: &str| with_file(text, &[], &[]).unwrap_err();
    let unknown = told("max-size = 1\nmax-sise = 2\n");
    assert!(unknown.contains("line 2 (max-sise): unknown field `max-sise`."), "{unknown}");
    for odd in ["config = \"x\"", "secret = \"0123456789abcdef\"", "max_size = 1"] {
        assert!(told(odd).contains("line 1 ("), "{odd}");
    }
    let kind = told("listen = \"127.0.0.1:1\"\n\nmax-size = \"big\"\n");
    assert!(kind.contains("line 3 (max-size): invalid type: string \"big\", expected u64"), "{kind}");
    assert!(told("max-size = -1").contains("line 1 (max-size)"), "{}", told("max-size = -1"));
    assert!(told("max-size").contains("line 1"), "{}", told("max-size"));
    assert!(told("grant-seconds = 59").contains("--grant-seconds is not between 60"));
    assert!(told("bucket = \"b\"").contains("--bucket needs --s3-endpoint"));
    refused(&["--config", "/does/not/exist.toml"], &[], "--config /does/not/exist.toml cannot be read");
}

#[test]
fn a_secret_can_be_in_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret");
    std::fs::write(&path, "from a file, quite long\n").unwrap();
    let config = config(&["--secret-file", path.to_str().unwrap()], &[]).unwrap();
    let same = crate::Secret::from_text("from a file, quite long").unwrap();
    assert_eq!(config.secret.unwrap().derive("x"), same.derive("x"));
    refused(&["--secret-file", "/does/not/exist"], &[], "--secret-file /does/not/exist cannot be read");
    std::fs::write(&path, "short").unwrap();
    refused(&["--secret-file", path.to_str().unwrap()], &[], "--secret-file is too short");
}

#[test]
fn a_policy_is_checked_before_anything_starts() {
    let config = config(&["--allow-type", "image/*,text/csv", "--key-template", "in/{id}"], &[]).unwrap();
    assert_eq!(config.policy.types.len(), 2);
    assert_eq!(config.policy.key_template.prefix(), "in/");
    assert_eq!((config.policy.download, config.policy.allow_delete), (None, false));
    let given = self::config(&["--download-seconds", "60", "--allow-delete"], &[]).unwrap().policy;
    assert_eq!((given.download.unwrap().as_secs(), given.allow_delete), (60, true));
    assert!(!config.policy.require_checksum);
    assert!(self::config(&["--require-checksum"], &[]).unwrap().policy.require_checksum);
    refused(&["--download-seconds", "59"], &[], "--download-seconds is not between 60");
    refused(&["--allow-type", "*.png"], &[], "--allow-type is not a type");
    refused(&["--min-size", "2", "--max-size", "1"], &[], "--min-size is more than --max-size");
    refused(&["--key-template", "../{id}"], &[], "--key-template cannot be used");
    // The embedded store's file names are shorter than others' keys.
    let long = format!("{}/{{id}}/{{name}}", "x".repeat(100));
    refused(&["--key-template", &long], &[], "the store takes 127");
    let store = ["--s3-endpoint", "http://localhost:4566", "--bucket", "b", "--key-template", &long];
    assert!(self::config(&store, &KEYS).is_ok());
}

#[test]
fn a_stores_checksums_are_chosen_where_there_are_several() {
    let store = ["--s3-endpoint", "http://localhost:4566", "--bucket", "b"];
    let chosen = |name: &str| {
        let args = [&store[..], &["--s3-checksum", name]].concat();
        config(&args, &KEYS).map(|config| config.s3_checksum)
    };
    assert_eq!(config(&store, &KEYS).unwrap().s3_checksum, S3Checksum::Crc64nvme);
    assert_eq!(chosen("crc32c").unwrap(), S3Checksum::Crc32c);
    assert_eq!(chosen("none").unwrap(), S3Checksum::None);
    assert!(chosen("md5").is_err());
    refused(&["--s3-checksum", "crc32"], &[], "--s3-checksum needs --s3-endpoint");
    let none = [&store[..], &["--s3-checksum", "none", "--require-checksum"]].concat();
    refused(&none, &KEYS, "--require-checksum cannot be followed");
}

#[test]
fn nobody_uploads_until_it_is_said_who() {
    let told = |args: &[&str], env: &[(&str, &str)]| strict(args, env).unwrap_err();
    let none = told(&[], &[]);
    assert!(none.contains("not said who may upload") && none.contains("--allow-anonymous"), "{none}");
    assert!(matches!(strict(&["--allow-anonymous"], &[]).unwrap().auth, Auth::Anonymous));
    assert!(told(&["--allow-anonymous=false"], &[]).contains("not said who may upload"));
    let asked = strict(&["--auth-url", "https://app.example/me?x=1"], &[]).unwrap().auth;
    assert!(matches!(asked, Auth::Ask(url) if url.as_str() == "https://app.example/me?x=1"));
    assert!(told(&["--auth-url", "x"], &[]).contains("--auth-url is not an http"));
    assert!(told(&["--auth-url", "https://a.example", "--allow-anonymous"], &[]).contains("said twice"));
    let user = ["--allow-anonymous", "--key-template", "{user}/{id}"];
    assert!(told(&user, &[]).contains("--key-template has {user}"));
    assert!(told(&["--allow-anonymous", "--jwt-issuer", "x"], &[]).contains("--jwt-issuer is about tokens"));
}

#[test]
fn tokens_are_checked_by_rules() {
    let secret = [("WINDLASS_JWT_SECRET", "0123456789abcdef0123456789abcdef")];
    let Auth::Jwt(rules) = strict(&["--jwt-audience", "a,b"], &secret).unwrap().auth else { panic!() };
    assert_eq!((rules.audiences.len(), rules.user_claim.as_str()), (2, "sub"));
    assert!(matches!(rules.keys, JwtKeys::Shared(_)));
    let short = strict(&[], &[("WINDLASS_JWT_SECRET", "0123456789abcdef")]).unwrap_err();
    assert!(short.contains("WINDLASS_JWT_SECRET is too short"), "{short}");
    let jwks = ["--jwks-url", "https://id.example/keys"];
    let open = strict(&jwks, &[]).unwrap_err();
    assert!(open.contains("--jwks-url needs --jwt-issuer"), "{open}");
    let issuer = [&jwks[..], &["--jwt-issuer", "https://id.example"]].concat();
    assert!(strict(&issuer, &[]).is_ok());
    assert!(strict(&issuer, &secret).unwrap_err().contains("said twice"));
}

#[test]
fn a_limit_is_a_number_and_a_header_has_a_name() {
    let args = ["--rate-limit", "600", "--client-address-header", "X-Real-IP"];
    let limit = config(&args, &[]).unwrap().rate_limit.unwrap();
    assert_eq!((limit.per_minute.get(), limit.address_header.unwrap().as_str()), (600, "x-real-ip"));
    refused(&["--rate-limit", "0"], &[], "--rate-limit 0");
    refused(&args[2..], &[], "--client-address-header needs --rate-limit");
    refused(&["--rate-limit", "1", "--client-address-header", "a b"], &[], "is not the name of a header");
}

#[test]
fn a_webhook_is_signed_or_not_there() {
    let url = ["--webhook-url", "https://app.example/hook"];
    let key = ("WINDLASS_WEBHOOK_SECRET", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
    assert!(config(&url, &[key]).unwrap().webhook.is_some());
    refused(&url, &[], "--webhook-url needs --webhook-secret-file");
    refused(&url, &[(key.0, "secret")], "WINDLASS_WEBHOOK_SECRET is not whsec_");
    refused(&["--webhook-secret-file", "x"], &[], "--webhook-secret-file needs --webhook-url");
}

#[test]
fn logs_are_for_people_or_machines() {
    assert_eq!(config(&["--log-format", "json"], &[]).unwrap().log_format, LogFormat::Json);
    assert_eq!(with_file("log-format = \"json\"", &[], &[]).unwrap().log_format, LogFormat::Json);
    assert_eq!(config(&[], &[]).unwrap().log_format, LogFormat::Text);
    refused(&["--log-format", "xml"], &[], "--log-format");
    assert!(with_file("log-format = \"xml\"", &[], &[]).unwrap_err().contains("line 1 (log-format)"));
}

#[test]
fn a_sweep_takes_the_servers_settings_and_needs_nobody_to_be_let_in() {
    let sweep = |args: &[&str]| {
        let cli = Cli::try_parse_from([&["windlass-server", "sweep"], args].concat());
        let cli = cli.map_err(|error| error.to_string())?;
        let job = cli.into_job(|name| (name == "WINDLASS_KEY_TEMPLATE").then(|| "{user}/{id}".to_owned()));
        job.map_err(|error| error.to_string())
    };
    let Job::Sweep(config, Sweep { older_than, dry_run }) =
        sweep(&["--older-than", "7d", "--dry-run", "--data", "x"]).unwrap()
    else {
        panic!()
    };
    assert_eq!((older_than.as_secs(), dry_run), (604_800, true));
    assert!(config.policy.key_template.names_user());
    assert!(sweep(&[]).unwrap_err().contains("--older-than"));
    assert!(sweep(&["--older-than", "week"]).unwrap_err().contains("like 7d"));
    assert!(sweep(&["--older-than", "7d", "--bucket", "b"]).unwrap_err().contains("--bucket needs"));
}

/// The names of all settings.
fn names() -> Vec<String> {
    let command = <Cli as clap::CommandFactory>::command();
    let long = command.get_arguments().filter_map(clap::Arg::get_long);
    long.filter(|name| !["help", "version"].contains(name)).map(str::to_owned).collect()
}

#[test]
fn every_setting_is_written_down() {
    let text = include_str!("../../../docs/server.md");
    let names = names();
    assert!(names.len() > 35);
    for name in &names {
        assert!(text.lines().any(|line| line.starts_with(&format!("| `{name}` |"))), "{name}");
    }
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` |"));
    let rows = rows.map(|(name, _)| name).take_while(|name| !name.starts_with("windlass_"));
    for name in rows {
        assert!(names.iter().any(|one| one == name), "{name} is no setting");
    }
}

#[test]
fn the_example_file_is_one_that_the_server_takes() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/windlass.example.toml");
    let text = std::fs::read_to_string(path).unwrap();
    let config = strict(&["--config", path], &KEYS).unwrap();
    assert!(matches!(config.auth, Auth::Jwt(_)) && matches!(config.store, StoreConfig::S3 { .. }));
    assert_eq!(config.policy.key_template.prefix(), "uploads/");
    // What is commented out is right as well, and nothing is missing.
    let lines = text.lines().map(|line| line.strip_prefix("# ").unwrap_or(line));
    let is_setting = |line: &&str| line.split_once(" = ").is_some_and(|(name, _)| !name.contains(' '));
    let settings: Vec<_> = lines.filter(is_setting).collect();
    for line in &settings {
        toml::from_str::<Settings>(line).unwrap_or_else(|error| panic!("{line}: {error}"));
    }
    for name in names().iter().filter(|name| *name != "config") {
        assert!(settings.iter().any(|line| line.starts_with(&format!("{name} = "))), "{name}");
    }
}
