//! Object keys: by a template, with a random part in it and the file's name made safe.
//!
//! The random part keeps two uploads of one name apart and makes a key impossible to guess; the name is only for
//! people. Nothing in a name is a reason to refuse a file.

use std::fmt;

use jiff::Timestamp;
use sha2::{Digest, Sha256};

/// Bytes of a key that the embedded store takes at most.
///
/// It names a metadata file `.bucket-{}.object-{}.upload-{}.metadata.json` after the base64 of bucket and key, and file
/// systems take names of 255 bytes.
pub(crate) const LONGEST_EMBEDDED: usize = 127;

/// Bytes of a key that every other store takes.
pub(crate) const LONGEST_ELSEWHERE: usize = 1024;

/// Bytes of a safe name at most.
pub(crate) const LONGEST: usize = 80;

/// Bytes of a safe name for which a template has to leave room.
const SHORTEST: usize = 24;

/// Bytes of the page's folders in a key at most.
const LONGEST_PATH: usize = 512;

/// Bytes of them for which a template has to leave room.
const SHORTEST_PATH: usize = 32;

/// Bytes of a user in a key at most.
const LONGEST_USER: usize = 64;

/// Bytes of an extension (with its dot) that is kept when a long name is cut.
const LONGEST_EXTENSION: usize = 16;

/// Characters of the random folder: 5 bits each, so 100 bits.
const RANDOM: usize = 20;

/// Letters that a person does not confuse, and that no file system folds together.
const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

/// Names that Windows keeps for devices, whatever the extension.
const DEVICES: [&str; 4] = ["con", "prn", "aux", "nul"];

/// How keys are made: literal text with placeholders in braces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyTemplate {
    pieces: Vec<Piece>,
    /// Bytes that are left for the name.
    name_room: usize,
    /// Bytes that are left for the page's folders.
    path_room: usize,
}

/// The file that a key is for, as its page describes it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Described<'a> {
    pub(crate) name: &'a str,
    /// Where it lay in a folder that somebody chose, with its name; may be empty.
    pub(crate) path: &'a str,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    /// Without braces.
    Text(String),
    User,
    Date(&'static str),
    /// The page's folders, each with the slash after it.
    Path,
    Id,
    Name,
}

impl Piece {
    fn named(name: &str) -> Option<Self> {
        match name {
            "user" => Some(Self::User),
            "date" => Some(Self::Date("%Y-%m-%d")),
            "year" => Some(Self::Date("%Y")),
            "month" => Some(Self::Date("%m")),
            "day" => Some(Self::Date("%d")),
            "path" => Some(Self::Path),
            "id" => Some(Self::Id),
            "name" => Some(Self::Name),
            _ => None,
        }
    }

    /// Bytes at most, but for the path and the name.
    fn longest(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::User => LONGEST_USER,
            Self::Date("%Y-%m-%d") => 10,
            Self::Date("%Y") => 4,
            Self::Date(_) => 2,
            Self::Id => RANDOM,
            Self::Path | Self::Name => 0,
        }
    }
}

impl Default for KeyTemplate {
    /// `{id}/{name}`.
    fn default() -> Self {
        let pieces = vec![Piece::Id, Piece::Text("/".to_owned()), Piece::Name];
        Self { pieces, name_room: LONGEST, path_room: 0 }
    }
}

/// Why a text is no template; says what to change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemplateError(String);

impl fmt::Display for TemplateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for TemplateError {}

impl KeyTemplate {
    /// Reads a template of folders and placeholders (`{user}`, `{date}`, `{year}`, `{month}`, `{day}`, `{path}`, `{id}`,
    /// `{name}`) whose keys have `longest` bytes at most.
    pub fn parse(text: &str, longest: usize) -> Result<Self, TemplateError> {
        let wrong = |why: &str| Err(TemplateError(why.to_owned()));
        let pieces = pieces(text)?;
        let count = |piece: &Piece| pieces.iter().filter(|one| *one == piece).count();
        if count(&Piece::Id) != 1 || count(&Piece::Name) > 1 {
            return wrong(
                "it needs {id} once, which keeps two files of one name apart, and {name} at most once",
            );
        }
        let segments = || text.split('/');
        let is_last = segments().next_back().is_some_and(|last| last.contains("{path}"));
        let joined = segments().any(|one| one.contains("{path}") && one != "{path}");
        if is_last || joined || count(&Piece::Path) > 1 {
            return wrong("{path} stands in it once at most, as a folder of its own and not at the end");
        }
        if segments().any(|segment| matches!(segment, "" | "." | "..")) {
            return wrong("it has a folder without a name, or one that is called . or ..");
        }
        let fixed: usize = pieces.iter().map(Piece::longest).sum();
        let least = |piece: &Piece, bytes| if count(piece) > 0 { bytes } else { 0 };
        let path_least = least(&Piece::Path, SHORTEST_PATH);
        let needed = fixed + path_least + least(&Piece::Name, SHORTEST);
        if needed > longest {
            return wrong(&format!("its keys could have {needed} bytes, and the store takes {longest}"));
        }
        let name_room = (longest - fixed - path_least).min(LONGEST);
        let path_room = (longest - fixed - least(&Piece::Name, name_room)).min(LONGEST_PATH);
        let path_room = least(&Piece::Path, path_room);
        Ok(Self { pieces, name_room, path_room })
    }

    /// A new key for a file.
    pub(crate) fn new_key(
        &self,
        file: Described<'_>,
        user: Option<&str>,
        now: Timestamp,
        batch: &Batch,
    ) -> Result<String, getrandom::Error> {
        let mut key = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => key.push_str(text),
                Piece::User => key.push_str(&safe_user(user.unwrap_or_default())),
                Piece::Date(format) => key.push_str(&now.strftime(format).to_string()),
                Piece::Path => key.push_str(&folders(file.path, self.path_room)),
                Piece::Id => key.push_str(&batch.id()?),
                Piece::Name => key.push_str(&safe_name(file.name, self.name_room)),
            }
        }
        Ok(key)
    }

    /// Whether keys tell whose they are.
    pub(crate) fn names_user(&self) -> bool {
        self.pieces.contains(&Piece::User)
    }

    /// What all keys begin with.
    pub(crate) fn prefix(&self) -> &str {
        match self.pieces.first() {
            Some(Piece::Text(text)) => text,
            _ => "",
        }
    }

    /// Whether this template could have made the key; what others keep in the same bucket is not ours to touch.
    pub(crate) fn could_have_made(&self, key: &str) -> bool {
        fits(&self.pieces, key)
    }
}

fn fits(pieces: &[Piece], key: &str) -> bool {
    let Some((piece, rest)) = pieces.split_first() else { return key.is_empty() };
    match piece {
        Piece::Text(text) => key.strip_prefix(text.as_str()).is_some_and(|key| fits(rest, key)),
        Piece::Id => key.split_at_checked(RANDOM).is_some_and(|(id, key)| is_id(id) && fits(rest, key)),
        Piece::Date(_) => key.split_at_checked(piece.longest()).is_some_and(|(_, key)| fits(rest, key)),
        // Any number of folders.
        Piece::Path => {
            let ends = key.match_indices('/').filter_map(|(at, _)| key.get(at + 1..));
            std::iter::once(key).chain(ends).any(|key| fits(rest, key))
        }
        // Of any length, within their folder.
        Piece::User | Piece::Name => {
            let folder = key.find('/').unwrap_or(key.len());
            (1..=folder).any(|at| key.get(at..).is_some_and(|key| fits(rest, key)))
        }
    }
}

fn pieces(text: &str) -> Result<Vec<Piece>, TemplateError> {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"/-_.=@+~".contains(&b);
    let mut pieces = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (plain, after) = rest.split_at(rest.find(['{', '}']).unwrap_or(rest.len()));
        if !plain.bytes().all(is_plain) {
            let why =
                "it has other characters than letters, digits, / - _ . = @ + ~ and placeholders in braces";
            return Err(TemplateError(why.to_owned()));
        }
        if !plain.is_empty() {
            pieces.push(Piece::Text(plain.to_owned()));
        }
        if after.is_empty() {
            break;
        }
        let named = after.strip_prefix('{').and_then(|inside| inside.split_once('}'));
        let Some((piece, after)) = named.and_then(|(name, rest)| Some((Piece::named(name)?, rest))) else {
            let why = "its placeholders are {user}, {date}, {year}, {month}, {day}, {path}, {id} and {name}";
            return Err(TemplateError(why.to_owned()));
        };
        // Without folders there is no slash after them either.
        rest = if piece == Piece::Path { after.strip_prefix('/').unwrap_or(after) } else { after };
        pieces.push(piece);
    }
    Ok(pieces)
}

/// What the ids of one call's files begin with, so that one signature can be for all of their keys and no others. Each
/// ends in as many random characters of its own: who knows one key cannot guess the next.
#[derive(Debug)]
pub(crate) struct Batch(String);

impl Batch {
    pub(crate) fn new() -> Result<Self, getrandom::Error> {
        random().map(Self)
    }

    fn id(&self) -> Result<String, getrandom::Error> {
        Ok(format!("{}{}", self.0, random()?))
    }

    /// The beginning of a key up to where only this file's own part follows.
    pub(crate) fn prefix_of<'a>(&self, key: &'a str) -> Option<&'a str> {
        key.get(..key.find(&self.0)? + self.0.len())
    }
}

/// Half an id.
fn random() -> Result<String, getrandom::Error> {
    let mut random = [0; RANDOM / 2];
    getrandom::fill(&mut random)?;
    Ok(random.iter().map(|byte| char::from(ALPHABET[usize::from(byte % 32)])).collect())
}

fn is_id(text: &str) -> bool {
    text.bytes().all(|byte| ALPHABET.contains(&byte))
}

/// A user as a folder's name: as it is where that is harmless, else a hash of it. No two users get the same one.
fn safe_user(user: &str) -> String {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.@+".contains(&b);
    let fits = (1..=LONGEST_USER).contains(&user.len()) && !user.starts_with('.');
    if fits && user.bytes().all(is_plain) {
        return user.to_owned();
    }
    let hash = Sha256::digest(user);
    let letters: String = hash.iter().map(|byte| char::from(ALPHABET[usize::from(byte % 32)])).collect();
    format!("~{letters}")
}

/// The folders of a path without its last segment, made safe and each with a slash after it, in `longest` bytes: the deepest
/// are left out where it is too long.
fn folders(path: &str, longest: usize) -> String {
    let mut folders = String::new();
    let path = path.rsplit_once(['/', '\\']).map_or("", |(folders, _)| folders);
    for folder in path.split(['/', '\\']).filter_map(|folder| safe_segment(folder, LONGEST)) {
        if folders.len() + folder.len() + 1 > longest {
            break;
        }
        folders.extend([&*folder, "/"]);
    }
    folders
}

/// A path as a page tells it, of safe names alone.
pub(crate) fn safe_path(path: &str) -> String {
    let segments: Vec<_> = path.split(['/', '\\']).filter_map(|one| safe_segment(one, usize::MAX)).collect();
    segments.join("/")
}

/// The name without everything that could make it more than a name, in `longest` bytes.
pub(crate) fn safe_name(name: &str, longest: usize) -> String {
    let last = name.rsplit(['/', '\\']).find(|component| !component.is_empty()).unwrap_or_default();
    safe_segment(last, longest).unwrap_or_else(|| "file".to_owned())
}

/// The same of what has no slash; `None` where nothing is left.
fn safe_segment(last: &str, longest: usize) -> Option<String> {
    let plain: String = last.chars().filter(|&char| !is_dangerous(char)).collect();
    let plain = plain.trim_start_matches(is_edge).trim_end_matches(is_edge);
    let short = shorten(plain, longest);
    if short.is_empty() {
        return None;
    }
    Some(if is_device(&short) { format!("_{}", shorten(&short, longest - 1)) } else { short })
}

/// Cuts at a character's border and keeps a short extension.
fn shorten(name: &str, longest: usize) -> String {
    if name.len() <= longest {
        return name.to_owned();
    }
    let extension = name.rfind('.').map_or("", |dot| &name[dot..]);
    let extension = if extension.len() <= LONGEST_EXTENSION { extension } else { "" };
    let stem = &name[..name.floor_char_boundary(longest - extension.len())];
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
mod tests;
