//! A command that prints the token of the other platform, as Google's libraries run one (AIP-4117, "Executable-sourced credentials").
//!
//! The file of the federation names it, and a file alone starts no program: a variable of the environment must allow it.
//! `output_file`, in which libraries look for a token first, is not read: the command is run for each exchange.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::Deserialize;
use serde_json::Value as Json;
use url::Url;
use zeroize::Zeroizing;

use crate::credential::process;
use crate::oauth2::sanitize;
use crate::secret::{Fetched, SecretSource, SecretText, SourceError, WatchHint};

/// The variable that allows commands, if it is `1`.
pub(super) const ALLOWED_BY: &str = "GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES";

/// Milliseconds after which the command is killed: the default, the shortest and the longest.
const TIMEOUT: (u64, u64, u64) = (30_000, 5000, 120_000);

/// The version of the answer.
const VERSION: u64 = 1;

const SAML: &str = "urn:ietf:params:oauth:token-type:saml2";
const ID_TOKENS: [&str; 2] =
    ["urn:ietf:params:oauth:token-type:id_token", "urn:ietf:params:oauth:token-type:jwt"];

/// What the token is for. The command is told.
pub(super) struct Purpose<'a> {
    /// The pool and its provider.
    pub(super) audience: &'a str,
    pub(super) token_type: &'a str,
    /// Where a token of a service account is requested.
    pub(super) impersonation: Option<&'a Url>,
}

/// A command of the file, which may be run.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(in crate::credential) struct SubjectCommand {
    program: String,
    arguments: Vec<String>,
    /// Variables beside those of this process.
    environment: Vec<(&'static str, String)>,
    /// Time after which it is killed.
    timeout: Duration,
}

impl SubjectCommand {
    /// The command of `credential_source.executable`. An error has nothing of it.
    pub(super) fn new(executable: &Json, purpose: &Purpose<'_>) -> Result<Self, String> {
        let command = executable.get("command").and_then(Json::as_str).unwrap_or_default();
        if command.contains(['"', '\'', '\\', '\0']) {
            return Err("`credential_source.executable.command` has a quotation mark or a backslash, which Google's libraries \
                        read in different ways: name a script that needs none"
                .into());
        }
        let mut words = command.split_whitespace().map(str::to_owned);
        let program = words.next().filter(|program| program.starts_with('/'));
        let program = program.ok_or(
            "`credential_source.executable.command` does not begin with the absolute path of a program",
        )?;
        let (default, shortest, longest) = TIMEOUT;
        let timeout = executable.get("timeout_millis").map_or(Some(default), Json::as_u64);
        let timeout = timeout.filter(|timeout| (shortest..=longest).contains(timeout)).ok_or_else(|| {
            format!("`credential_source.executable.timeout_millis` is from {shortest} to {longest}")
        })?;
        let Purpose { audience, token_type, impersonation } = *purpose;
        let account = impersonation.and_then(|url| url.path().rsplit('/').next()?.split(':').next());
        let environment = [
            ("GOOGLE_EXTERNAL_ACCOUNT_AUDIENCE", Some(audience)),
            ("GOOGLE_EXTERNAL_ACCOUNT_TOKEN_TYPE", Some(token_type)),
            ("GOOGLE_EXTERNAL_ACCOUNT_INTERACTIVE", Some("0")),
            ("GOOGLE_EXTERNAL_ACCOUNT_IMPERSONATED_EMAIL", account),
        ];
        let environment = environment.into_iter().filter_map(|(name, value)| Some((name, value?.to_owned())));
        Ok(Self {
            program,
            arguments: words.collect(),
            environment: environment.collect(),
            timeout: Duration::from_millis(timeout),
        })
    }

    /// The program, and what may be files that it reads.
    pub(super) fn files(&self) -> impl Iterator<Item = PathBuf> {
        std::iter::once(&self.program).chain(&self.arguments).map(PathBuf::from)
    }

    fn token(&self) -> Result<SecretText, CommandError> {
        let Self { program, arguments, environment, timeout } = self;
        let output = process::output(program, arguments, environment, *timeout)?;
        let answer: Answer = serde_json::from_slice(&output).map_err(|_| CommandError::NotJson)?;
        answer.token(SystemTime::now())
    }
}

/// The output of a command. Its fields beyond `success` depend on that.
#[derive(Deserialize)]
struct Answer {
    version: u64,
    success: bool,
    token_type: Option<String>,
    id_token: Option<Zeroizing<String>>,
    saml_response: Option<Zeroizing<String>>,
    /// Seconds since 1970.
    expiration_time: Option<u64>,
    code: Option<String>,
    message: Option<String>,
}

impl Answer {
    fn token(self, now: SystemTime) -> Result<SecretText, CommandError> {
        if self.version != VERSION {
            return Err(CommandError::Version);
        }
        if !self.success {
            let safe = |text: Option<String>| sanitize(text.as_deref().unwrap_or("unknown"));
            return Err(CommandError::Reported { code: safe(self.code), message: safe(self.message) });
        }
        let end = self.expiration_time.map(Duration::from_secs);
        if end.is_some_and(|end| SystemTime::UNIX_EPOCH.checked_add(end).is_none_or(|end| end <= now)) {
            return Err(CommandError::Expired);
        }
        let (token, member) = match self.token_type.as_deref() {
            Some(SAML) => (self.saml_response, "saml_response"),
            Some(kind) if ID_TOKENS.contains(&kind) => (self.id_token, "id_token"),
            _ => return Err(CommandError::TokenType),
        };
        let token = token.filter(|token| !token.is_empty()).ok_or(CommandError::Missing(member))?;
        Ok(SecretText::verbatim(token))
    }
}

/// Why a command gave no token. The text has nothing of the output but what it reports of a failure.
#[derive(Debug, thiserror::Error)]
enum CommandError {
    #[error(transparent)]
    Process(#[from] process::ProcessError),
    #[error("the command did not write a JSON object with `version` and `success`")]
    NotJson,
    #[error("the `version` that the command wrote is not {VERSION}")]
    Version,
    #[error("the command reports {code}: {message}")]
    Reported { code: String, message: String },
    #[error("the token that the command wrote has expired already")]
    Expired,
    #[error("the `token_type` that the command wrote is none of an ID token, a JWT or SAML 2.0")]
    TokenType,
    #[error("the command wrote no `{0}`")]
    Missing(&'static str),
}

impl SecretSource for SubjectCommand {
    fn fetch(&self) -> Result<Fetched, SourceError> {
        let token = self.token().map_err(|error| SourceError::new(error.to_string()))?;
        Ok(Fetched::lasting(token))
    }

    fn watch(&self) -> WatchHint {
        WatchHint::Constant
    }
}

/// Without the arguments, because one may be a password.
impl fmt::Debug for SubjectCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "command {}", Path::new(&self.program).display())
    }
}

impl fmt::Display for SubjectCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the output of the command")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::*;

    fn token(answer: &Json) -> Result<String, String> {
        let answer: Answer = serde_json::from_value(answer.clone()).map_err(|_| "not JSON".to_owned())?;
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1000);
        let token = answer.token(now).map_err(|error| error.to_string())?;
        Ok(token.expose().to_owned())
    }

    #[test]
    fn answer_has_the_token_of_its_type() {
        let answer = |kind: &str, member: &str| json!({ "version": 1, "success": true, "token_type": kind, member: "t" });
        for kind in ID_TOKENS {
            assert_eq!(token(&answer(kind, "id_token")).as_deref(), Ok("t"));
            assert_eq!(token(&answer(kind, "saml_response")).unwrap_err(), "the command wrote no `id_token`");
        }
        assert_eq!(token(&answer(SAML, "saml_response")).as_deref(), Ok("t"));
        assert_eq!(token(&answer(SAML, "id_token")).unwrap_err(), "the command wrote no `saml_response`");
        assert!(token(&answer("access_token", "id_token")).unwrap_err().contains("`token_type`"));
        let mut ending = answer(SAML, "saml_response");
        for (end, is_good) in [(1001, true), (1000, false), (0, false), (u64::MAX, false)] {
            ending["expiration_time"] = json!(end);
            assert_eq!(token(&ending).is_ok(), is_good, "{end}");
        }
    }

    #[test]
    fn failure_that_the_command_reports_is_shown_on_one_line() {
        let answer =
            json!({ "version": 1, "success": false, "code": "401", "message": "Caller not\nauthorized" });
        assert_eq!(token(&answer).unwrap_err(), "the command reports 401: Caller not?authorized");
        let answer = json!({ "version": 1, "success": false, "id_token": "CANARY" });
        assert_eq!(token(&answer).unwrap_err(), "the command reports unknown: unknown");
        for (answer, said) in [
            (json!({ "version": 2, "success": true }), "`version`"),
            (json!({ "success": true }), "not JSON"),
            (json!({ "version": 1 }), "not JSON"),
            (json!({ "version": 1, "success": "true" }), "not JSON"),
        ] {
            assert!(token(&answer).unwrap_err().contains(said), "{answer}");
        }
    }

    #[test]
    fn command_is_told_what_the_token_is_for() {
        let account =
            Url::parse("https://iam.example/v1/projects/-/serviceAccounts/a@b.example:generateAccessToken");
        let account = account.unwrap();
        let purpose = Purpose { audience: "//pool", token_type: SAML, impersonation: Some(&account) };
        let of = |executable: &Json| SubjectCommand::new(executable, &purpose);
        let command = of(&json!({ "command": "/bin/a  --b c", "timeout_millis": 5000 })).unwrap();
        assert_eq!(
            (command.program.as_str(), &command.arguments[..]),
            ("/bin/a", &["--b", "c"].map(str::to_owned)[..])
        );
        assert_eq!(command.timeout, Duration::from_secs(5));
        let told = command.environment.iter().map(|(name, value)| format!("{}={value}", &name[24..]));
        let told: Vec<_> = told.collect();
        let expected = [
            "AUDIENCE=//pool",
            "TOKEN_TYPE=urn:ietf:params:oauth:token-type:saml2",
            "INTERACTIVE=0",
            "IMPERSONATED_EMAIL=a@b.example",
        ];
        assert_eq!(told, expected);
        assert_eq!(of(&json!({ "command": "/bin/a" })).unwrap().timeout, Duration::from_secs(30));
        for executable in [
            json!({}),
            json!({ "command": "" }),
            json!({ "command": "CANARY" }),
            json!({ "command": "./CANARY" }),
            json!({ "command": "/bin/sh -c 'CANARY a'" }),
            json!({ "command": ["/bin/CANARY"] }),
            json!({ "command": "/bin/CANARY", "timeout_millis": 4999 }),
            json!({ "command": "/bin/CANARY", "timeout_millis": 120_001 }),
            json!({ "command": "/bin/CANARY", "timeout_millis": "5000" }),
        ] {
            let error = of(&executable).unwrap_err();
            assert!(error.contains("`credential_source.executable.") && !error.contains("CANARY"), "{error}");
        }
    }
}
