//! Links and mentions in a text.

use std::ops::Range;

use linkify::{LinkFinder, LinkKind};

const MAILTO: &str = "mailto:";

/// A part of a text that is a link or a mention.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// Its bytes in the text.
    pub range: Range<usize>,
    /// What it is.
    pub kind: SpanKind,
}

/// What a part of a text is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SpanKind {
    /// A link.
    Link {
        /// What it opens.
        url: String,
    },
    /// A mention of the user.
    MentionMe,
    /// A mention of somebody else.
    Mention,
}

/// The names by which the user can be mentioned.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MyNames {
    names: Vec<String>,
}

impl MyNames {
    /// From the unique name and the display name.
    #[must_use]
    pub fn new(username: &str, nickname: &str) -> Self {
        let mut names: Vec<String> =
            [username, nickname].iter().map(|name| name.trim().to_lowercase()).collect();
        names.retain(|name| !name.is_empty());
        // The longer name first: "@Ada L." is not "@Ada" followed by something.
        names.sort_by_key(|name| std::cmp::Reverse(name.len()));
        names.dedup();
        Self { names }
    }

    /// Whether a text mentions the user.
    #[must_use]
    pub fn mentioned_in(&self, text: &str) -> bool {
        text.contains('@') && mentions(text, self).any(|span| span.kind == SpanKind::MentionMe)
    }
}

/// The links and mentions of a text, in order and without overlap.
#[must_use]
pub fn spans(text: &str, me: &MyNames) -> Vec<Span> {
    let mut spans: Vec<Span> = if text.contains([':', '@']) { links(text) } else { Vec::new() };
    if text.contains('@') {
        for mention in mentions(text, me) {
            let free = spans.iter().all(|span| {
                span.range.end <= mention.range.start || mention.range.end <= span.range.start
            });
            if free {
                spans.push(mention);
            }
        }
    }
    spans.sort_by_key(|span| span.range.start);
    spans
}

/// The part of a link that says where it leads: the host, or the mail address.
#[must_use]
pub fn real_host(url: &str) -> String {
    if let Some(address) = url.strip_prefix(MAILTO) {
        return address.split('?').next().unwrap_or(address).to_owned();
    }
    let after_scheme = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = after_scheme.split(['/', '?', '#', '\\']).next().unwrap_or(after_scheme);
    // What precedes an @ is a user name: the oldest trick to hide a host.
    authority.rsplit('@').next().unwrap_or(authority).to_owned()
}

fn links(text: &str) -> Vec<Span> {
    let mut finder = LinkFinder::new();
    finder.kinds(&[LinkKind::Url, LinkKind::Email]);
    let found = finder.links(text).filter_map(|link| {
        let (mut start, target) = (link.start(), link.as_str());
        let url = if *link.kind() == LinkKind::Email {
            let scheme_before = text.get(..start)?.ends_with(MAILTO);
            start -= if scheme_before { MAILTO.len() } else { 0 };
            format!("{MAILTO}{target}")
        } else {
            let scheme = target.split(':').next()?.to_ascii_lowercase();
            matches!(scheme.as_str(), "http" | "https").then(|| target.to_owned())?
        };
        Some(Span { range: start..link.end(), kind: SpanKind::Link { url } })
    });
    found.collect()
}

fn mentions<'t>(text: &'t str, me: &'t MyNames) -> impl Iterator<Item = Span> + 't {
    text.match_indices('@').filter_map(move |(at, _)| {
        let before = text.get(..at)?.chars().next_back();
        if before.is_some_and(char::is_alphanumeric) {
            return None;
        }
        let rest = text.get(at + 1..)?;
        let mine = me.names.iter().find_map(|name| prefix_len(rest, name));
        if let Some(len) = mine {
            return Some(Span { range: at..at + 1 + len, kind: SpanKind::MentionMe });
        }
        let is_name = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
        let len: usize = rest.chars().take_while(|c| is_name(*c)).map(char::len_utf8).sum();
        let name = rest.get(..len)?.trim_end_matches('.');
        (!name.is_empty()).then(|| Span { range: at..at + 1 + name.len(), kind: SpanKind::Mention })
    })
}

/// How many bytes of `text` spell `name` in any case, if nothing follows that continues a word.
fn prefix_len(text: &str, name: &str) -> Option<usize> {
    let mut wanted = name.chars();
    let mut len = 0;
    let mut chars = text.chars();
    while let Some(expected) = wanted.next() {
        let c = chars.next()?;
        let mut lower = c.to_lowercase();
        if lower.next() != Some(expected) {
            return None;
        }
        for expansion in lower {
            if wanted.next() != Some(expansion) {
                return None;
            }
        }
        len += c.len_utf8();
    }
    let goes_on = chars.next().is_some_and(|c| c.is_alphanumeric() || matches!(c, '-' | '_'));
    (!goes_on).then_some(len)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<(String, SpanKind)> {
        let me = MyNames::new("ada", "Ada L.");
        let spans = spans(text, &me);
        spans
            .into_iter()
            .map(|span| (text.get(span.range).unwrap().to_owned(), span.kind))
            .collect()
    }

    fn link(url: &str) -> SpanKind {
        SpanKind::Link { url: url.into() }
    }

    #[test]
    fn only_three_schemes_are_links() {
        assert_eq!(
            found("see https://a.example/x?y, or mailto:a@b.example."),
            [
                ("https://a.example/x?y".into(), link("https://a.example/x?y")),
                ("mailto:a@b.example".into(), link("mailto:a@b.example")),
            ]
        );
        assert_eq!(found("javascript:alert(1) file:///etc/passwd ftp://x.example"), []);
    }

    #[test]
    fn either_name_in_any_case_mentions_the_user() {
        assert_eq!(found("hi @Ada L. and @ADA!").len(), 2);
        assert!(found("@ada").iter().all(|(_, kind)| *kind == SpanKind::MentionMe));
        assert_eq!(found("@adam"), [("@adam".into(), SpanKind::Mention)]);
        assert_eq!(
            found("me@ada.example"),
            [("me@ada.example".into(), link("mailto:me@ada.example"))]
        );
        assert_eq!(found("@ @@ @."), []);
    }

    #[test]
    fn the_real_host_cannot_hide() {
        assert_eq!(real_host("https://bank.example@evil.example/login"), "evil.example");
        assert_eq!(real_host("https://evil.example\\@bank.example"), "evil.example");
        assert_eq!(real_host("mailto:a@b.example?subject=x"), "a@b.example");
    }
}
