//! Reads `tls` toward a server: how the server is verified, and the client certificate.

use std::path::PathBuf;

use rustls::pki_types::ServerName;

use super::files::{TlsFiles, UnusableFile};
use super::model::{ClientCertificate, Tls, TlsVersion};
use crate::config::exposure::Content;
use crate::config::host;
use crate::config::host::Host;
use crate::config::reader::table::{Definition, Format, Key, Keys};
use crate::config::reader::value::Value;
use crate::config::watched_files::FileKind;

/// The format of `tls` toward a server.
pub(crate) const TLS: Format = Format::Defined(&Definition {
    name: "tls",
    description: "TLS toward a server.",
    format: Format::Keys(&[KEYS]),
});

const KEYS: Keys = &[
    Key::optional(
        "ca_file",
        Format::Text,
        "PEM file: certificates that replace the machine's roots: of CAs, or of the server itself.",
    ),
    Key::optional("cert_file", Format::Text, "PEM file: a client certificate (mTLS), leaf first."),
    Key::optional("key_file", Format::Text, "PEM file: its private key; may be the same file."),
    Key::optional(
        "server_name",
        Format::Text,
        "Name to send (SNI) and to verify, instead of the URL's host; for upstreams only.",
    ),
    Key::optional("min_version", Format::Words(&VERSIONS), "Oldest TLS version, in quotes.").or("1.2"),
    Key::optional("insecure_skip_verify", Format::Bool, "Any certificate is accepted for any name.")
        .or("false"),
];

const VERSIONS: [(&str, TlsVersion); 2] = [("1.2", TlsVersion::Tls12), ("1.3", TlsVersion::Tls13)];

/// Reads `tls` toward a token endpoint. The name in its URL is always the one that is verified.
pub(crate) fn of_token_endpoint(value: &Value<'_>, https: Option<bool>) -> Tls {
    let mut tls = read(value, https);
    if tls.server_name.take().is_some()
        && let Some(mut mapping) = value.mapping()
        && let Some(value) = mapping.optional("server_name")
    {
        value.error(
            "a token endpoint is verified by the host of its URL; remove this key and use the name there",
        );
    }
    tls
}

/// Reads `tls` of a URL. `https`: whether the scheme is `https`; `None` if the URL is invalid.
pub(crate) fn read(value: &Value<'_>, https: Option<bool>) -> Tls {
    if https == Some(false) {
        value.error("`tls` has no effect for an `http://` URL; use `https://`, or remove `tls`");
    }
    let Some(mut mapping) = value.mapping() else { return Tls::default() };
    let ca = mapping.optional("ca_file");
    let (cert, key) = (mapping.optional("cert_file"), mapping.optional("key_file"));
    let server_name = mapping.optional("server_name").and_then(|value| value.parse(server_name));
    let min_version = mapping.optional("min_version").and_then(|value| min_version(&value));
    let skip = mapping.optional("insecure_skip_verify");
    let insecure_skip_verify = skip.as_ref().and_then(Value::boolean).unwrap_or_default();
    for (present, other, missing) in [(&cert, &key, "key_file"), (&key, &cert, "cert_file")] {
        if let (Some(present), false) = (present, mapping.has(missing)) {
            debug_assert!(other.is_none());
            present.error(format!("a client certificate needs both files; `{missing}` is missing"));
        }
    }
    mapping.reject_unknown_keys();
    if let Some(skip) = skip.filter(|_| insecure_skip_verify) {
        if let Some(ca) = &ca {
            ca.error("`ca_file` has no effect with `insecure_skip_verify`; remove one of them");
        }
        skip.warn(
            "THE SERVER IS NOT VERIFIED: an attacker on the network receives the credential of every request; \
             use `ca_file` to trust your own certificate",
        );
    }
    let path = |value: &Option<Value<'_>>| value.as_ref().and_then(|value| value.parse(path));
    let client = match (path(&cert), path(&key)) {
        (Some(cert_file), Some(key_file)) => Some(ClientCertificate { cert_file, key_file }),
        _ => None,
    };
    let tls = Tls {
        ca_file: path(&ca),
        client,
        server_name,
        min_version: min_version.unwrap_or_default(),
        insecure_skip_verify,
    };
    for file in files(&tls) {
        value.watch(file, FileKind::Certificate);
        let is_key = tls.client.as_ref().is_some_and(|client| client.key_file == *file);
        value.warn_if_exposed(file, if is_key { Content::Secret } else { Content::Trusted });
    }
    if !value.reads_files() {
        return tls;
    }
    for error in unusable(&tls) {
        let place = match error.key {
            "ca_file" => &ca,
            "cert_file" => &cert,
            _ => &key,
        };
        place.as_ref().unwrap_or(value).error(error.text());
    }
    if let (Some(ca), Ok(files)) = (&ca, TlsFiles::read(&Tls { client: None, ..tls.clone() })) {
        for warning in files.unverifiable() {
            ca.warn(warning);
        }
    }
    tls
}

fn files(tls: &Tls) -> impl Iterator<Item = &PathBuf> {
    let client = tls.client.iter().flat_map(|client| [&client.cert_file, &client.key_file]);
    tls.ca_file.iter().chain(client)
}

/// The errors of the files: at most one for the CA certificates and one for the client certificate.
fn unusable(tls: &Tls) -> Vec<UnusableFile> {
    let roots = Tls { ca_file: tls.ca_file.clone(), ..Tls::default() };
    let client = Tls { client: tls.client.clone(), ..Tls::default() };
    let provider = rustls::crypto::ring::default_provider();
    let roots = TlsFiles::read(&roots).and_then(|files| files.trusted(&roots).map(drop));
    let client = TlsFiles::read(&client).and_then(|files| files.client(&client, &provider).map(drop));
    [roots, client].into_iter().filter_map(Result::err).collect()
}

fn min_version(value: &Value<'_>) -> Option<TlsVersion> {
    if value.is_number() {
        value.error("expected text, found a number; put it in quotes: \"1.2\" or \"1.3\"");
        return None;
    }
    value.one_of(&VERSIONS)
}

fn path(text: &str) -> Result<PathBuf, String> {
    if text.is_empty() || text.contains('\0') {
        Err("not a valid path".into())
    } else {
        Ok(PathBuf::from(text))
    }
}

fn server_name(text: &str) -> Result<String, String> {
    let name = host::parse(text)?;
    let name = match name {
        Host::Name(name) => name,
        Host::Ip(ip) => ip.to_string(),
    };
    match ServerName::try_from(name.as_str()) {
        Ok(_) => Ok(name),
        Err(_) => Err("TLS cannot verify this name".into()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn server_name_must_be_verifiable() {
        assert_eq!(server_name("API.example.com"), Ok("api.example.com".into()));
        assert_eq!(server_name("127.0.0.1"), Ok("127.0.0.1".into()));
        assert!(server_name("https://api.example.com").is_err());
        assert!(server_name("").is_err());
    }
}
