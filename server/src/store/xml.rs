//! The little XML that stores answer with: flat, without attributes or comments, and with texts that need no parser.

/// The text between the first `<tag>` or `<tag attributes>` and its end.
pub(super) fn text<'a>(body: &'a str, tag: &str) -> Option<&'a str> {
    let mut rest = body;
    loop {
        let (_, after) = rest.split_once(&format!("<{tag}"))?;
        // Not the beginning of a longer name.
        if let Some(inside) =
            after.strip_prefix('>').or_else(|| Some(after.strip_prefix(' ')?.split_once('>')?.1))
        {
            return inside.split_once(&format!("</{tag}>")).map(|(inside, _)| inside);
        }
        rest = after;
    }
}

/// The texts of all elements of this name.
pub(super) fn each<'a>(body: &'a str, tag: &str) -> impl Iterator<Item = &'a str> {
    let (start, end) = (format!("<{tag}>"), format!("</{tag}>"));
    let mut rest = body;
    std::iter::from_fn(move || {
        let (inside, after) = rest.split_once(&start)?.1.split_once(&end)?;
        rest = after;
        Some(inside)
    })
}

/// A text with its five entities resolved.
pub(super) fn plain(text: &str) -> String {
    text.replace("&quot;", "\"")
        .replace("&apos;", "'")
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&amp;", "&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_is_there_and_nothing_else() {
        let body =
            "<List x='y'><Parts/><Part><N>1</N></Part><Part><N>2</N><E>&quot;a&quot;</E></Part></List>";
        assert_eq!(text(body, "List").map(str::len), Some(body.len() - "<List x='y'></List>".len()));
        assert_eq!(
            each(body, "Part").map(|part| text(part, "N")).collect::<Vec<_>>(),
            [Some("1"), Some("2")]
        );
        assert_eq!(text(body, "E").map(plain).as_deref(), Some("\"a\""));
        assert_eq!(
            (text(body, "Lis"), text(body, "M"), text("<N>1", "N"), each("", "N").next()),
            (None, None, None, None)
        );
    }
}
