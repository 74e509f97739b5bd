//! One rule: methods and a pattern.

use std::fmt;

use super::methods::Methods;
use super::path::{CanonicalPath, FoldedPath};
use super::pattern::{InvalidPattern, Pattern};
use super::ready::READY;

/// A rule of `allow` or `deny`.
#[derive(Debug, Clone)]
pub struct Rule {
    methods: Methods,
    pattern: Pattern,
    /// The rule as the configuration writes it, for messages.
    text: String,
    /// Its line in the configuration.
    line: usize,
    /// The file that it stands in.
    file: String,
}

/// Rules are equal if they decide alike and read alike, wherever they stand: a line that is added above changes no service.
impl PartialEq for Rule {
    fn eq(&self, other: &Self) -> bool {
        let Self { methods, pattern, text, line: _, file: _ } = other;
        (&self.methods, &self.pattern, &self.text) == (methods, pattern, text)
    }
}

impl Eq for Rule {}

/// Why a text is no rule.
#[derive(Debug, PartialEq, Eq)]
pub enum InvalidRule {
    /// Neither a pattern, nor methods and a pattern, nor a name.
    Form,
    /// The methods.
    Methods,
    /// The pattern.
    Pattern(InvalidPattern),
    /// Not `package.Service/Method`.
    Grpc,
}

impl fmt::Display for InvalidRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Form => {
                let names: Vec<_> = READY.iter().map(|(name, ..)| format!("`{name}`")).collect();
                write!(
                    f,
                    "not a rule; a rule is `/path/**`, `GET,POST /path/*`, or one of {}",
                    names.join(", ")
                )
            }
            Self::Methods => f.write_str("methods are written in capital letters, such as `GET`; `*` is any"),
            Self::Pattern(invalid) => invalid.fmt(f),
            Self::Grpc => f.write_str(
                "a gRPC method is written `package.Service/Method`; `*` stands for any characters of a part",
            ),
        }
    }
}

impl Rule {
    /// Parses a rule in one text: `/path/**`, `GET,POST /path/*`, or the name of a rule that is ready.
    ///
    /// # Errors
    ///
    /// If it is none of these.
    pub fn parse(text: &str, line: usize) -> Result<Self, InvalidRule> {
        if let Some((_, methods, _)) = READY.iter().find(|(name, ..)| *name == text) {
            let methods = Methods::parse(methods).ok_or(InvalidRule::Methods)?;
            return Ok(Self {
                methods,
                pattern: Pattern::any(),
                text: text.to_owned(),
                line,
                file: String::new(),
            });
        }
        let (methods, path) = match text.rsplit_once(' ') {
            Some((methods, path)) => (Methods::parse(methods.trim()).ok_or(InvalidRule::Methods)?, path),
            None if text.starts_with('/') => (Methods::Any, text),
            None => return Err(InvalidRule::Form),
        };
        let pattern = Pattern::parse(path).map_err(InvalidRule::Pattern)?;
        Ok(Self { methods, pattern, text: text.to_owned(), line, file: String::new() })
    }

    /// A rule of methods and a path; none of one of them means any.
    ///
    /// # Errors
    ///
    /// If one of them is invalid.
    pub fn of_parts(methods: &[&str], path: Option<&str>, line: usize) -> Result<Self, InvalidRule> {
        let pattern =
            path.map_or_else(|| Ok(Pattern::any()), Pattern::parse).map_err(InvalidRule::Pattern)?;
        let text = format!(
            "{} {}",
            if methods.is_empty() { "*".into() } else { methods.join(",") },
            path.unwrap_or("/**")
        );
        let methods = match methods {
            [] | ["*"] => Methods::Any,
            names => Methods::of(names.iter().copied()).ok_or(InvalidRule::Methods)?,
        };
        Ok(Self { methods, pattern, text, line, file: String::new() })
    }

    /// A rule of a gRPC method: `package.Service/Method`, which is a `POST` of that path.
    ///
    /// # Errors
    ///
    /// If it is none.
    pub fn of_grpc(method: &str, line: usize) -> Result<Self, InvalidRule> {
        let is_part = |part: &str| !part.is_empty() && !part.contains("**");
        let is_method = method
            .split_once('/')
            .is_some_and(|(service, name)| is_part(service) && is_part(name) && !name.contains('/'));
        if !is_method {
            return Err(InvalidRule::Grpc);
        }
        let rule = Self::of_parts(&["POST"], Some(&format!("/{method}")), line)?;
        Ok(Self { text: format!("grpc {method}"), ..rule })
    }

    /// The rule as the configuration writes it.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The same rule, in this file.
    #[must_use]
    pub fn in_file(self, file: &str) -> Self {
        Self { file: file.to_owned(), ..self }
    }

    /// The file that it stands in.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// Its line in that file.
    pub fn line(&self) -> usize {
        self.line
    }

    #[inline]
    pub(super) fn has_methods(&self) -> bool {
        self.methods != Methods::Any
    }

    #[inline]
    pub(super) fn has_path(&self) -> bool {
        !self.pattern.is_any()
    }

    /// Whether it allows a request. Without a path it must match every one.
    #[inline]
    pub(super) fn allows(&self, method: &str, is_websocket: bool, path: Option<&CanonicalPath<'_>>) -> bool {
        self.methods.matches(method, is_websocket)
            && path.map_or(self.pattern.is_any(), |path| self.pattern.matches(path))
    }

    /// Whether it denies a request.
    #[inline]
    pub(super) fn denies(&self, method: &str, is_websocket: bool, path: Option<&FoldedPath<'_>>) -> bool {
        self.methods.matches_loosely(method, is_websocket)
            && path.map_or(self.pattern.is_any(), |path| self.pattern.matches_loosely(path))
    }
}
