//! Object keys: a random folder, and in it the file's name made safe.
//!
//! The random part keeps two uploads of one name apart and makes a key impossible to guess; the name is only for
//! people. Nothing in a name is a reason to refuse a file.

/// Bytes of a safe name at most.
///
/// The embedded store names a metadata file `.bucket-{}.object-{}.upload-{}.metadata.json` after the base64 of
/// bucket and key. A key is at most 20 + 1 + 80 bytes, which makes 135 in base64 and 219 in all, under the 255
/// that file systems take.
const LONGEST: usize = 80;

/// Bytes of an extension (with its dot) that is kept when a long name is cut.
const LONGEST_EXTENSION: usize = 16;

/// Characters of the random folder: 5 bits each, so 100 bits.
const RANDOM: usize = 20;

/// Letters that a person does not confuse, and that no file system folds together.
const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

/// Names that Windows keeps for devices, whatever the extension.
const DEVICES: [&str; 4] = ["con", "prn", "aux", "nul"];

/// A new key for a file of this name.
pub(crate) fn new_key(name: &str) -> Result<String, getrandom::Error> {
    let mut random = [0; RANDOM];
    getrandom::fill(&mut random)?;
    let folder: String = random.iter().map(|byte| char::from(ALPHABET[usize::from(byte % 32)])).collect();
    Ok(format!("{folder}/{}", safe_name(name)))
}

/// The name without everything that could make it more than a name.
pub(crate) fn safe_name(name: &str) -> String {
    let last = name.rsplit(['/', '\\']).find(|component| !component.is_empty()).unwrap_or_default();
    let plain: String = last.chars().filter(|&char| !is_dangerous(char)).collect();
    let plain = plain.trim_start_matches(is_edge).trim_end_matches(is_edge);
    let short = shorten(plain);
    if short.is_empty() {
        return "file".to_owned();
    }
    if is_device(&short) { format!("_{short}") } else { short }
}

/// Cuts at a character's border and keeps a short extension.
fn shorten(name: &str) -> String {
    if name.len() <= LONGEST {
        return name.to_owned();
    }
    let extension = name.rfind('.').map_or("", |dot| &name[dot..]);
    let extension = if extension.len() <= LONGEST_EXTENSION { extension } else { "" };
    let stem = &name[..name.floor_char_boundary(LONGEST - extension.len())];
    format!("{}{extension}", stem.trim_end_matches(is_edge))
}

/// A dot or a space: hidden files and `..` at the front, what Windows drops at the end.
fn is_edge(char: char) -> bool {
    char == '.' || char.is_whitespace()
}

fn is_device(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or_default().trim_end().to_ascii_lowercase();
    let port = ["com", "lpt"].iter().find_map(|prefix| stem.strip_prefix(prefix)).unwrap_or_default();
    DEVICES.contains(&stem.as_str()) || matches!(port.as_bytes(), [b'1'..=b'9'])
}

/// Controls, what browsers' and shells' paths are made of, and the format characters that make a name look like
/// another one (bidirectional overrides, invisible ones, tags), and what has no meaning outside its own system
/// (private use, noncharacters).
fn is_dangerous(char: char) -> bool {
    char.is_control()
        || matches!(char, '/' | '\\' | ':' | '*' | '?' | '"' | '<' | '>' | '|')
        || matches!(char,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{e000}'..='\u{f8ff}' | '\u{fdd0}'..='\u{fdef}' | '\u{fffe}'..='\u{ffff}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(name: &str, safe: &str) {
        assert_eq!(safe_name(name), safe);
    }

    #[test]
    fn an_ordinary_name_stays() {
        for name in ["report.pdf", "Ünïcödé 日本語.txt", "🚢.tar.gz", "it's 100%.doc", "-rf", "a b"]
        {
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
        let cut = safe_name(&format!("{}.mp4", "x".repeat(1000)));
        assert_eq!((cut.len(), &cut[76..]), (80, ".mp4"));
        let cut = safe_name(&"🚢".repeat(1000));
        assert_eq!(cut, "🚢".repeat(20));
        let cut = safe_name(&format!("a.{}", "x".repeat(1000)));
        assert_eq!(cut.len(), 80);
        assert_eq!(safe_name(&format!("{}ü.txt", "x".repeat(75))), format!("{}.txt", "x".repeat(75)));
    }

    #[test]
    fn the_embedded_stores_longest_file_name_fits_a_file_system() {
        let key = new_key(&"x".repeat(1000)).unwrap();
        assert_eq!(key.len(), RANDOM + 1 + LONGEST);
        let base64 = |len: usize| (len * 4).div_ceil(3);
        let uuid = 36;
        let fixed = ".bucket-.object-.upload-.metadata.json".len();
        assert!(fixed + base64("uploads".len()) + base64(key.len()) + uuid < 255);
    }

    #[test]
    fn keys_do_not_repeat() {
        let keys: std::collections::HashSet<_> = (0..1000).map(|_| new_key("a").unwrap()).collect();
        assert_eq!(keys.len(), 1000);
    }
}
