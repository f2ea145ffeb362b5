//! Names, keys and templates.

use proptest::prelude::*;

use super::*;

#[track_caller]
fn check(name: &str, safe: &str) {
    assert_eq!(safe_name(name, LONGEST), safe);
}

#[test]
fn an_ordinary_name_stays() {
    for name in ["report.pdf", "Ünïcödé 日本語.txt", "🚢.tar.gz", "it's 100%.doc", "-rf", "a b"] {
        check(name, name);
    }
}

#[test]
fn a_path_loses_its_folders() {
    check("../../etc/passwd", "passwd");
    check("..\\..\\boot.ini", "boot.ini");
    check("C:\\Users\\me\\a.txt", "a.txt");
    check("folder/", "folder");
    check("a/b\\c/d.txt", "d.txt");
    check("%2e%2e%2fetc%2fpasswd", "%2e%2e%2fetc%2fpasswd");
}

#[test]
fn nothing_left_is_called_file() {
    for name in ["", ".", "..", "...", "/", "\\", "../..", "\0", "???", " . ", "\u{202e}"] {
        check(name, "file");
    }
}

#[test]
fn dangerous_characters_go() {
    check("a\"b'c<d>.txt", "ab'cd.txt");
    check("invoice\u{202e}fdp.exe", "invoicefdp.exe");
    check("zero\u{200b}width\u{feff}.png", "zerowidth.png");
    check("line\r\nbreak\u{7f}\u{85}.txt", "linebreak.txt");
    check("apple\u{f8ff}\u{fdd0}.txt", "apple.txt");
    check(".bashrc", "bashrc");
    check("what?*.txt", "what.txt");
    check("trailing. . ", "trailing");
}

#[test]
fn devices_of_windows_get_a_prefix() {
    check("CON", "_CON");
    check("nul.txt", "_nul.txt");
    check("com1.tar.gz", "_com1.tar.gz");
    check("LPT9", "_LPT9");
    check("com0", "com0");
    check("company.txt", "company.txt");
    check("comx", "comx");
}

#[test]
fn a_long_name_is_cut_between_characters_and_keeps_its_extension() {
    let cut = safe_name(&format!("{}.mp4", "x".repeat(1000)), LONGEST);
    assert_eq!((cut.len(), &cut[76..]), (80, ".mp4"));
    let cut = safe_name(&"🚢".repeat(1000), LONGEST);
    assert_eq!(cut, "🚢".repeat(20));
    let cut = safe_name(&format!("a.{}", "x".repeat(1000)), LONGEST);
    assert_eq!(cut.len(), 80);
    assert_eq!(safe_name(&format!("{}ü.txt", "x".repeat(75)), LONGEST), format!("{}.txt", "x".repeat(75)));
}

#[test]
fn the_embedded_stores_longest_file_name_fits_a_file_system() {
    let key = "x".repeat(LONGEST_EMBEDDED);
    let base64 = |len: usize| (len * 4).div_ceil(3);
    let uuid = 36;
    let fixed = ".bucket-.object-.upload-.metadata.json".len();
    assert!(fixed + base64("uploads".len()) + base64(key.len()) + uuid < 255);
}

#[test]
fn keys_do_not_repeat() {
    let keys: std::collections::HashSet<_> = (0..1000).map(|_| key("{id}/{name}", "a", None)).collect();
    assert_eq!(keys.len(), 1000);
}

fn parse(text: &str) -> Result<KeyTemplate, String> {
    KeyTemplate::parse(text, LONGEST_EMBEDDED).map_err(|error| error.to_string())
}

/// A key of this template, made on 25 November 2026.
fn key(template: &str, name: &str, user: Option<&str>) -> String {
    let now: Timestamp = "2026-11-25T23:59:59Z".parse().unwrap();
    let file = Described { name, path: "" };
    parse(template).unwrap().new_key(file, user, now, &Batch::new().unwrap()).unwrap()
}

/// A key of `{path}/{id}/{name}` below `up`, up to its id.
fn folders_of(path: &str) -> String {
    let template = parse("up/{path}/{id}/{name}").unwrap();
    let file = Described { name: "film.mp4", path };
    let key = template.new_key(file, None, Timestamp::UNIX_EPOCH, &Batch::new().unwrap()).unwrap();
    assert!(key.len() <= LONGEST_EMBEDDED && template.could_have_made(&key), "{key}");
    let (folders, name) = key.rsplit_once('/').unwrap();
    assert_eq!(name, "film.mp4");
    folders[..folders.len() - RANDOM].to_owned()
}

#[test]
fn a_template_is_filled_in() {
    let made = key("up/{user}/{year}/{month}/{day}/{id}-{name}", "a b.txt", Some("u-1"));
    let (folder, name) = made.rsplit_once('/').unwrap();
    assert_eq!(folder, "up/u-1/2026/11/25");
    assert!(name.ends_with("-a b.txt") && is_id(&name[..RANDOM]), "{name}");
    assert!(key("{date}/{id}", "a.txt", None).starts_with("2026-11-25/"));
    assert_eq!(KeyTemplate::default(), parse("{id}/{name}").unwrap());
}

#[test]
fn a_template_that_leads_elsewhere_or_nowhere_is_refused() {
    for (text, words) in [
        ("", "needs {id} once"),
        ("{name}", "needs {id} once"),
        ("{id}/{id}", "needs {id} once"),
        ("{id}/{name}{name}", "{name} at most once"),
        ("/{id}", "a folder without a name"),
        ("{id}/", "a folder without a name"),
        ("a//{id}", "a folder without a name"),
        ("../{id}", "called . or .."),
        ("a/./{id}", "called . or .."),
        ("{path}-{id}", "{path} stands in it once"),
        ("{id}/{path}", "{path} stands in it once"),
        ("{path}", "needs {id} once"),
        ("{path}/a/{path}/{id}", "{path} stands in it once"),
        ("{path}//{id}", "a folder without a name"),
        ("{id}/{size}", "its placeholders are"),
        ("{id", "its placeholders are"),
        ("id}/{id}", "its placeholders are"),
        ("a b/{id}", "other characters"),
        ("a%2e%2e/{id}", "other characters"),
        ("a\\{id}", "other characters"),
    ] {
        let error = parse(text).unwrap_err();
        assert!(error.contains(words), "{text}: {error}");
    }
    assert!(
        parse(&format!("{}/{{id}}/{{name}}", "x".repeat(90))).unwrap_err().contains("the store takes 127")
    );
    assert!(KeyTemplate::parse(&format!("{}/{{id}}/{{name}}", "x".repeat(90)), LONGEST_ELSEWHERE).is_ok());
}

#[test]
fn folders_of_a_page_are_folders_and_nothing_else() {
    for (path, folders) in [
        ("", "up/"),
        ("film.mp4", "up/"),
        ("holiday/film.mp4", "up/holiday/"),
        ("holiday/2026/film.mp4", "up/holiday/2026/"),
        ("C:\\holi day\\film.mp4", "up/C/holi day/"),
        ("/../.././a//b/./film.mp4", "up/a/b/"),
        (".git/nul/..hidden/x", "up/git/_nul/hidden/"),
        ("???/\u{202e}/a/x", "up/a/"),
        ("a/", "up/a/"),
    ] {
        assert_eq!(folders_of(path), folders, "{path}");
    }
    // What does not fit is left out from the deepest on.
    assert_eq!(folders_of(&format!("a/{}/x", "b".repeat(200))), "up/a/");
    assert!(folders_of(&"folder/".repeat(200)).len() <= "up/".len() + LONGEST_EMBEDDED);
    assert_eq!(safe_path("/../holi\u{202e}day\\./film.mp4"), "holiday/film.mp4");
    let sentence = parse(&format!("{}/{{path}}/{{id}}/{{name}}", "x".repeat(60))).unwrap_err();
    assert!(sentence.contains("the store takes 127"), "{sentence}");
}

#[test]
fn no_two_users_share_a_folder() {
    let users =
        ["a", "A", "a/b", "b", "a b", "..", ".", "", "~a", "ä", "a%2fb", "u@example.com", &"x".repeat(65)];
    let folders: std::collections::HashSet<_> = users.iter().map(|user| safe_user(user)).collect();
    assert_eq!(folders.len(), users.len());
    assert_eq!((safe_user("u@example.com").as_str(), safe_user("a/b").len()), ("u@example.com", 33));
}

#[test]
fn only_what_the_template_makes_is_ours() {
    let ours = |template: &str, key: &str| parse(template).unwrap().could_have_made(key);
    let id = "abcdefghijkmnpqrstuv";
    assert!(ours("{id}/{name}", &format!("{id}/a.txt")) && ours("up/{user}/{id}", &format!("up/me/{id}")));
    assert!(ours("{name}-{id}/x", &format!("a-{id}/x")) && !ours("{name}-{id}/x", &format!("a-{id}/y")));
    assert!(ours("{date}/{id}-{name}", &format!("2026-11-25/{id}-x.y")));
    for foreign in ["backup/a.txt", "a", "", &format!("{id}/a/b"), id, &format!("x{id}/a")] {
        assert!(!ours("{id}/{name}", foreign), "{foreign}");
    }
    for key in [format!("up/{id}/a"), format!("up/x/{id}/a"), format!("up/x/y/{id}/a")] {
        assert!(ours("up/{path}/{id}/{name}", &key), "{key}");
    }
    assert!(!ours("up/{path}/{id}/{name}", &format!("up/x/{id}/y/a")));
    assert!(!ours("up/{id}", &format!("down/{id}")) && !ours("up/{id}", &format!("up/{id}/x")));
    assert_eq!((parse("up/{id}").unwrap().prefix(), parse("{id}").unwrap().prefix()), ("up/", ""));
}

proptest! {
    #[test]
    fn no_path_leaves_its_place(path in "[a./\\\\\\x00 ü]{0,200}") {
        let folders = folders_of(&path);
        let segments: Vec<_> = folders.trim_end_matches('/').split('/').collect();
        prop_assert!(folders.starts_with("up/") && folders.ends_with('/'));
        prop_assert!(segments.iter().all(|one| !matches!(*one, "" | "." | "..")), "{}", folders);
    }

    #[test]
    fn no_key_leaves_its_prefix(name: String, user: String) {
        let template = "up/{user}/{date}/{id}/{name}";
        let made = key(template, &name, Some(&user));
        prop_assert!(made.starts_with("up/") && made.len() <= LONGEST_EMBEDDED, "{}", made);
        let segments: Vec<_> = made.split('/').collect();
        prop_assert_eq!(segments.len(), 5);
        prop_assert!(segments.iter().all(|one| !matches!(*one, "" | "." | "..")), "{}", made);
        prop_assert!(parse(template).unwrap().could_have_made(&made));
    }
}

#[test]
fn the_keys_of_a_batch_begin_alike_and_no_others_do() {
    let (batch, other) = (Batch::new().unwrap(), Batch::new().unwrap());
    let template = parse("up/{date}/{id}/{name}").unwrap();
    let file = Described { name: "a.txt", path: "" };
    let key = |batch: &Batch| template.new_key(file, None, Timestamp::now(), batch).unwrap();
    let (first, second, third) = (key(&batch), key(&batch), key(&other));
    let prefix = batch.prefix_of(&first).unwrap();
    assert!(second.starts_with(prefix) && first != second && !third.starts_with(prefix));
    assert_eq!(prefix.len(), "up/2026-11-25/".len() + RANDOM / 2);
    assert_eq!(batch.prefix_of(&third), None);
}
