//! The property of manifests: a text that gets the sidecar does not get it again, and is restored byte for byte. A text without a
//! result is an error with a line of the text.
//!
//! The first byte of an input says which settings are used, and the others are the text.

use crate::inject::text::{Outcome, inject, uninject};
use crate::inject::{NativeSidecar, ProxyEnv, Settings};

/// Checks the property on a text.
pub fn manifest(input: &[u8]) {
    let Some((choice, text)) = input.split_first() else { return };
    let Ok(text) = std::str::from_utf8(text) else { return };
    let settings = Settings {
        proxy_env: if choice & 1 == 0 { ProxyEnv::Off } else { ProxyEnv::All },
        native_sidecar: if choice & 2 == 0 { NativeSidecar::Auto } else { NativeSidecar::Never },
        only_if_enabled: choice & 4 != 0,
        ..Settings::default()
    };
    let injected = match inject(text, &settings) {
        Ok(injected) => injected,
        Err(error) => {
            // YAML 1.1 has five line breaks.
            let lines = text.split(['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}']).count();
            assert!((1..=lines + 1).contains(&error.line), "{error} in {lines} lines");
            return;
        }
    };
    if !injected.objects.iter().any(|object| object.outcome == Outcome::Injected) {
        assert_eq!(injected.text, text);
        return;
    }
    let again = inject(&injected.text, &settings).expect("what was injected is read again");
    assert_eq!(again.text, injected.text);
    // A text may have objects that were injected before.
    let first = uninject(text).map(|restored| restored.text);
    let restored = uninject(&injected.text).expect("what was injected is restored").text;
    assert_eq!(Ok(restored), first);
}
