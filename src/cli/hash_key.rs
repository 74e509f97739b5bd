//! `sidekey hash-key`: a key for a caller, and the hash that the configuration has of it.

use std::io;
use std::process::ExitCode;

use ring::rand::{SecureRandom as _, SystemRandom};
use zeroize::Zeroizing;

use super::exit::EXIT_USAGE;
use crate::callers::key_hash_text;
use crate::secret::{hex, read_to_end};

/// Arguments of `sidekey hash-key`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Print the hash of a key from standard input, in place of a new key.
    #[arg(long)]
    stdin: bool,
}

/// Random bytes in a new key.
const KEY_BYTES: usize = 32;

/// Shortest key, in characters. SHA-256 is fast, so that a key which a person made up could be found by trying.
const MIN_LENGTH: usize = 32;

/// The number of different characters of a key at least.
const MIN_DIFFERENT: usize = 10;

/// Prints a key and its hash.
#[expect(clippy::print_stdout, clippy::print_stderr, reason = "this is what the command is for")]
pub(super) fn hash_key(args: &Args) -> ExitCode {
    let key = if args.stdin { from_input() } else { new_key() };
    match key {
        Ok(key) => {
            if !args.stdin {
                println!("key:    {}", *key);
            }
            println!("sha256: {}", key_hash_text(key.as_bytes()));
            ExitCode::SUCCESS
        }
        Err(message) => {
            eprintln!("{message}");
            ExitCode::from(EXIT_USAGE)
        }
    }
}

fn new_key() -> Result<Zeroizing<String>, String> {
    let mut bytes = Zeroizing::new([0; KEY_BYTES]);
    SystemRandom::new().fill(&mut *bytes).map_err(|_| "the system has no random numbers".to_owned())?;
    let digits = Zeroizing::new(hex(&*bytes));
    Ok(Zeroizing::new(format!("sidekey_{}", *digits)))
}

fn from_input() -> Result<Zeroizing<String>, String> {
    let read = read_to_end(&mut io::stdin().lock(), 0, 16 * 1024).map_err(|error| error.to_string())?;
    let bytes = read.ok_or("the key is longer than 16 KiB")?;
    let text = std::str::from_utf8(&bytes).map_err(|_| "the key is not text")?.trim();
    let different: std::collections::BTreeSet<_> = text.bytes().collect();
    if !text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b',') {
        return Err("a key has visible ASCII characters only, without spaces and commas".into());
    }
    if text.len() < MIN_LENGTH || different.len() < MIN_DIFFERENT {
        return Err(format!(
            "this key could be found by trying: a key is random, and has {MIN_LENGTH} characters at least. `sidekey hash-key` makes one"
        ));
    }
    Ok(Zeroizing::new(text.to_owned()))
}
