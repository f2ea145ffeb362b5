//! Foreign text, in few functions: each of the standard library's searchers would be up to a hundredth of the whole wasm.

/// Characters that are shown of foreign text at most.
const SHOWN: usize = 200;

/// The pieces between the characters that are ends.
pub fn split(text: &str, is_end: fn(char) -> bool) -> impl Iterator<Item = &str> {
    text.split(is_end)
}

/// Makes foreign text fit to be shown: one line, at most 200 characters, no link and nothing that reorders text.
pub fn scrub(text: &str) -> String {
    let mut shown = String::new();
    let mut left = SHOWN;
    for word in split(text, is_space).filter(|word| !word.is_empty()) {
        let is_link = ["://", "X-Amz-", "X-Goog-", "sig="].iter().any(|mark| contains(word, mark));
        let space = if shown.is_empty() { "" } else { " " };
        for c in space.chars().chain(if is_link { "[link]" } else { word }.chars()) {
            if c.is_control() || is_bidi_control(c) {
                continue;
            }
            if left == 0 {
                shown.push('…');
                return shown;
            }
            left -= 1;
            shown.push(c);
        }
    }
    shown
}

/// White space, line ends among it. Not the whole table of Unicode: it would be paid in the wasm.
const fn is_space(c: char) -> bool {
    c.is_ascii_whitespace() || matches!(c, '\u{a0}' | '\u{2028}' | '\u{2029}')
}

/// As `str::contains`, without its searcher.
fn contains(text: &str, part: &str) -> bool {
    text.as_bytes().windows(part.len()).any(|at| at == part.as_bytes())
}

/// Characters that change the direction of the text around them (Unicode `Bidi_Control`).
pub const fn is_bidi_control(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}
