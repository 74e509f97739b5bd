//! What the scripts return. A store is not trusted to return what it should.

use redis::Value;
use tokio::time::Instant;

use crate::config::{Host, StoreServer};
use crate::fleet::store::{StoreError, Stored, View};
use crate::refresh::ClockReading;

/// Largest record and failure that is read.
const MAX_BYTES: usize = 1024 * 1024;

/// The error of a reply that no script returns.
pub(super) fn unexpected() -> StoreError {
    StoreError("it answered with something else than expected".into())
}

/// A whole number.
pub(super) fn number(value: &Value) -> Result<u64, StoreError> {
    match value {
        Value::Int(number) => u64::try_from(*number).map_err(|_| unexpected()),
        _ => Err(unexpected()),
    }
}

/// The entries of a list.
pub(super) fn list(value: Value) -> Result<Vec<Value>, StoreError> {
    match value {
        Value::Array(entries) => Ok(entries),
        _ => Err(unexpected()),
    }
}

fn bytes(value: Value) -> Result<Vec<u8>, StoreError> {
    match value {
        Value::BulkString(bytes) if bytes.len() <= MAX_BYTES => Ok(bytes),
        _ => Err(unexpected()),
    }
}

fn text(value: Value) -> Result<String, StoreError> {
    String::from_utf8(bytes(value)?).map_err(|_| unexpected())
}

/// The number of a name; `None` for -1.
fn name(value: &Value) -> Result<Option<usize>, StoreError> {
    match value {
        Value::Int(-1) => Ok(None),
        Value::Int(number) => usize::try_from(*number).map(Some).map_err(|_| unexpected()),
        _ => Err(unexpected()),
    }
}

/// The view of a record. `asked` is when the store was asked.
pub(super) fn view(value: Value, asked: ClockReading) -> Result<View, StoreError> {
    let answered = Instant::now();
    let entries: [Value; 7] = list(value)?.try_into().map_err(|_| unexpected())?;
    let [now, of_record, generation, sealed, of_failure, failure, spender] = entries;
    let (generation, sealed) = (text(generation)?, bytes(sealed)?);
    let record = name(&of_record)?.map(|name| Stored { name, generation, sealed });
    let failure = bytes(failure)?;
    let failure = name(&of_failure)?.map(|name| (name, failure));
    let spender = Some(text(spender)?).filter(|spender| !spender.is_empty());
    Ok(View { now: number(&now)?, asked, answered, record, failure, spender })
}

/// The server of a reply. Without a host it is the machine of `asked`.
pub(super) fn server_of(host: &Value, port: &Value, asked: Option<&StoreServer>) -> Option<StoreServer> {
    let text = |value: &Value| match value {
        Value::BulkString(bytes) => String::from_utf8(bytes.clone()).ok(),
        Value::SimpleString(text) => Some(text.clone()),
        Value::Int(number) => Some(number.to_string()),
        _ => None,
    };
    let host = text(host);
    server_named(host.as_deref().unwrap_or_default(), &text(port)?, asked)
}

/// The server of this host and port. Without a host it is the machine of `asked`.
pub(super) fn server_named(host: &str, port: &str, asked: Option<&StoreServer>) -> Option<StoreServer> {
    let host = match host {
        "" | "?" => asked?.host.clone(),
        host => host.parse().map(Host::Ip).ok().or_else(|| Host::canonical(host))?,
    };
    let port = port.parse().ok().filter(|port| *port != 0)?;
    Some(StoreServer { host, port })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(changed: Option<(usize, Value)>) -> Value {
        let bulk = |text: &str| Value::BulkString(text.as_bytes().to_vec());
        let mut entries =
            vec![Value::Int(5), Value::Int(0), bulk("7"), bulk("v"), Value::Int(-1), bulk(""), bulk("")];
        if let Some((at, value)) = changed {
            entries[at] = value;
        }
        Value::Array(entries)
    }

    #[test]
    fn view_is_read_from_the_reply_of_a_script() {
        let read = view(reply(None), ClockReading::now()).unwrap();
        assert_eq!((read.now, read.generation()), (5, "7"));
        assert_eq!((read.failure, read.spender), (None, None));
    }

    #[test]
    fn reply_of_another_form_is_an_error() {
        let huge = Value::BulkString(vec![0; MAX_BYTES + 1]);
        for (at, value) in [
            (0, Value::Nil),
            (0, Value::Int(-5)),
            (1, Value::Int(-2)),
            (2, Value::Int(1)),
            (2, Value::BulkString(vec![0xff])),
            (3, Value::Nil),
            (3, huge),
            (6, Value::Okay),
        ] {
            assert!(view(reply(Some((at, value))), ClockReading::now()).is_err(), "{at}");
        }
        assert!(view(Value::Okay, ClockReading::now()).is_err());
        assert!(view(Value::Array(vec![Value::Int(1)]), ClockReading::now()).is_err());
    }

    #[test]
    fn server_of_another_form_is_none() {
        let text = |text: &str| Value::BulkString(text.as_bytes().to_vec());
        assert_eq!(
            server_of(&text("10.0.0.1"), &text("6379"), None),
            Some(StoreServer { host: Host::Ip([10, 0, 0, 1].into()), port: 6379 })
        );
        for (host, port) in
            [("", "1"), ("10.0.0.1", "0"), ("10.0.0.1", "x"), ("a b", "1"), ("10.0.0.1", "65536")]
        {
            assert_eq!(server_of(&text(host), &text(port), None), None, "{host}:{port}");
        }
    }
}
