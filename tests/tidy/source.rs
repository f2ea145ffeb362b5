//! Reads Rust just far enough to tell code from prose and tests from the rest.

/// `text` with every comment, string and character literal replaced by spaces, byte for byte, so that offsets and
/// lines stay the same.
pub(crate) fn code(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let end = skip(bytes, at);
        for byte in &mut out[at..end] {
            if *byte != b'\n' {
                *byte = b' ';
            }
        }
        at = end.max(at + 1);
    }
    String::from_utf8(out).expect("whole literals were blanked")
}

/// The code without its tests: without items under `#[cfg(test)]`.
pub(crate) fn without_tests(text: &str) -> String {
    let mut code = code(text);
    while let Some(start) = code.find("#[cfg(test)]") {
        let end = item_end(&code, start);
        let blank: String = code[start..end].chars().map(|c| if c == '\n' { '\n' } else { ' ' }).collect();
        code.replace_range(start..end, &" ".repeat(end - start));
        // Line breaks are kept for the line numbers of what follows; a blank of another length is not ASCII.
        if blank.len() == end - start {
            code.replace_range(start..end, &blank);
        }
    }
    code
}

/// Modules that are declared under `#[cfg(test)]` and live in files of their own.
pub(crate) fn test_modules(text: &str) -> Vec<String> {
    let code = code(text);
    let declared = code.split("#[cfg(test)]").skip(1).filter_map(|rest| {
        let name = rest.trim_start().strip_prefix("mod ")?;
        Some(name.split_once(';')?.0.trim().to_owned())
    });
    declared.filter(|name| name.chars().all(|c| c.is_alphanumeric() || c == '_')).collect()
}

/// Where the item that starts at `start`, an attribute, ends: at its closing brace, or at `;` if none opens.
fn item_end(code: &str, start: usize) -> usize {
    let mut depth = 0_usize;
    for (offset, c) in code[start..].char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 1 => return start + offset + 1,
            '}' => depth = depth.saturating_sub(1),
            ';' if depth == 0 => return start + offset + 1,
            _ => {}
        }
    }
    code.len()
}

/// The end of the comment or literal that begins at `at`, or `at` where none begins.
fn skip(bytes: &[u8], at: usize) -> usize {
    let rest = &bytes[at..];
    let after_name = at > 0 && (bytes[at - 1].is_ascii_alphanumeric() || bytes[at - 1] == b'_');
    match rest {
        [b'/', b'/', ..] => at + rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len()),
        [b'/', b'*', ..] => block_comment(bytes, at),
        [b'r', b'"' | b'#', ..] if !after_name => raw_string(bytes, at),
        [b'b', b'r', b'"' | b'#', ..] if !after_name => raw_string(bytes, at + 1),
        [b'"', ..] => quoted(bytes, at),
        [b'\'', ..] => character(bytes, at),
        _ => at,
    }
}

fn block_comment(bytes: &[u8], start: usize) -> usize {
    let mut depth = 0_usize;
    let mut at = start;
    while at + 1 < bytes.len() {
        match &bytes[at..at + 2] {
            b"/*" => depth += 1,
            b"*/" if depth == 1 => return at + 2,
            b"*/" => depth -= 1,
            _ => {
                at += 1;
                continue;
            }
        }
        at += 2;
    }
    bytes.len()
}

/// `at` is the `r`. A raw identifier, `r#name`, is no string.
fn raw_string(bytes: &[u8], at: usize) -> usize {
    let hashes = bytes[at + 1..].iter().take_while(|byte| **byte == b'#').count();
    let open = at + 1 + hashes;
    if bytes.get(open) != Some(&b'"') {
        return at;
    }
    let close: Vec<u8> = std::iter::once(b'"').chain(std::iter::repeat_n(b'#', hashes)).collect();
    let body = &bytes[open + 1..];
    let length = body.windows(close.len()).position(|window| window == close);
    length.map_or(bytes.len(), |length| open + 1 + length + close.len())
}

fn quoted(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

/// A character literal, or the quote of a lifetime, which is left alone.
fn character(bytes: &[u8], at: usize) -> usize {
    let rest = std::str::from_utf8(&bytes[at + 1..]).unwrap_or_default();
    let mut chars = rest.char_indices();
    match chars.next() {
        Some((_, '\\')) => rest[2..].find('\'').map_or(at, |length| at + 1 + 2 + length + 1),
        Some(_) => match chars.next() {
            Some((width, '\'')) => at + 1 + width + 1,
            _ => at,
        },
        None => at,
    }
}

#[test]
fn prose_is_not_code() {
    let text =
        "a(\"x.unwrap()\"); // .unwrap()\nlet c = '\"'; /* a /* b */ .unwrap() */ r#\"\" .unwrap()\"#; 'a: b";
    let code = code(text);
    assert_eq!(code.len(), text.len());
    assert!(!code.contains("unwrap"), "{code}");
    assert!(code.ends_with("'a: b"), "{code}");
}

#[test]
fn tests_are_left_out() {
    let text = "fn a() {}\n#[cfg(test)]\nmod tests {\n fn b() { c.unwrap(); }\n}\nfn d() {}\n";
    let code = without_tests(text);
    assert!(!code.contains("unwrap") && code.contains("fn d"), "{code}");
    assert_eq!(code.matches('\n').count(), text.matches('\n').count());
    assert_eq!(test_modules("#[cfg(test)]\nmod tests;\nmod other;"), ["tests"]);
}
