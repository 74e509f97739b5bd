//! A second, plain reader of `Link`: the algorithm of RFC 8288 §B.2, to the letter, for comparison.

/// A `Link` value in pieces.
#[derive(Default)]
pub(super) struct PlainLink {
    /// The targets of its links.
    pub(super) targets: Vec<String>,
    /// Everything else up to the end of the last link.
    pub(super) around: String,
    /// What follows the first part that is not well-formed, without what is in angle brackets.
    pub(super) rest: String,
}

impl PlainLink {
    pub(super) fn read(value: &str) -> Self {
        let characters: Vec<char> = value.chars().collect();
        let (mut at, mut link) = (0, Self::default());
        loop {
            let start = skip(&characters, at, |c| matches!(c, ' ' | '\t' | ','));
            let end = skip(&characters, start, |c| c != '>');
            if characters.get(start) != Some(&'<') || end == characters.len() {
                break;
            }
            link.targets.push(characters[start + 1..end].iter().collect());
            link.around.extend(&characters[at..=start]);
            at = end_of_parameters(&characters, end + 1);
            link.around.extend(&characters[end..at]);
        }
        let mut is_inside = false;
        for c in &characters[at..] {
            is_inside = is_inside && *c != '>';
            if !is_inside {
                link.rest.push(*c);
            }
            is_inside |= *c == '<';
        }
        link
    }
}

/// The first position at or after `at` whose character is not of this kind.
fn skip(characters: &[char], at: usize, is: impl Fn(char) -> bool) -> usize {
    at + characters[at..].iter().take_while(|c| is(**c)).count()
}

fn end_of_parameters(characters: &[char], mut at: usize) -> usize {
    let skip = |at, is: fn(char) -> bool| skip(characters, at, is);
    let blanks = |at| skip(at, |c| matches!(c, ' ' | '\t'));
    loop {
        at = blanks(at);
        if characters.get(at) != Some(&';') {
            return at;
        }
        at = blanks(at + 1);
        at = blanks(skip(at, |c| !matches!(c, ' ' | '\t' | '=' | ';' | ',')));
        if characters.get(at) != Some(&'=') {
            continue;
        }
        at = blanks(at + 1);
        if characters.get(at) != Some(&'"') {
            at = skip(at, |c| !matches!(c, ';' | ','));
            continue;
        }
        at += 1;
        loop {
            at = skip(at, |c| !matches!(c, '"' | '\\'));
            match characters.get(at) {
                Some('"') => break at += 1,
                Some(_) => at = characters.len().min(at + 2),
                None => break,
            }
        }
    }
}
