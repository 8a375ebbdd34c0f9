//! The name of this computer, which tells the owner which device is which.

use std::net::IpAddr;

/// The longest label that the login node accepts, in characters.
const LABEL_CHARS_MAX: usize = 48;

/// The computer's name as a device label, or `None` if it has no meaningful name.
pub(crate) fn device_label() -> Option<String> {
    label_of(&gethostname::gethostname().to_string_lossy())
}

/// The host part of a name, without characters that cannot be shown.
fn label_of(host: &str) -> Option<String> {
    let is_address = host.parse::<IpAddr>().is_ok();
    let short = if is_address { host } else { host.split('.').next().unwrap_or_default() };
    let is_plain = |c: &char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | ':');
    let label: String = short.chars().filter(is_plain).take(LABEL_CHARS_MAX).collect();
    (!label.is_empty() && label != "localhost").then_some(label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_short_plain_and_says_something() {
        let label = |host: &str| label_of(host).unwrap_or_default();
        assert_eq!(label("grace-laptop.lab.example.org"), "grace-laptop");
        assert_eq!(label("Büro_2"), "Büro_2");
        assert_eq!(label("evil\u{1b}[2J\u{202E}\nhost\u{FFFD}"), "evil2Jhost");
        assert_eq!(label("10.0.0.5"), "10.0.0.5");
        assert_eq!(label(&"x".repeat(64)).len(), LABEL_CHARS_MAX);
        for nothing in ["", "localhost", "localhost.localdomain", "\u{7}", "."] {
            assert_eq!(label_of(nothing), None, "{nothing:?}");
        }
    }
}
