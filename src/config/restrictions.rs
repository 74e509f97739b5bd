//! What the process is to be restricted to. It is read without the rest of the configuration, because commands that print secrets are
//! run while that is read: they are restricted from the first time on.

use std::path::{Path, PathBuf};

use super::file::FILE;
use super::hardening;
use super::hardening::Hardening;
use super::manage;
use super::reader::document;
use super::reader::report::Report;
use super::reader::table::Format;
use super::reader::tree::{Kind, Node};
use super::reader::value::Value;
use super::readers::Readers;
use super::source;
use super::source::member;
use crate::secret::SecretCache;

/// How the process is hardened, and what it writes to.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Restrictions {
    /// `hardening`.
    pub hardening: Hardening,
    /// `state.dir`.
    pub state_dir: Option<PathBuf>,
    /// The paths of Unix sockets: of listeners, of the admin listener, and of upgrades.
    pub sockets: Vec<PathBuf>,
    /// The file of `audit`.
    pub audit: Option<PathBuf>,
    /// `admin.manage`.
    pub manage: Option<PathBuf>,
}

impl Restrictions {
    /// Reads them from a file. An error in the file is not reported here; reading the whole configuration reports it.
    pub fn read(path: &Path, readers: Readers) -> Self {
        let text = document::read_file(path).ok();
        text.and_then(|text| Self::parse(&text, path, readers)).unwrap_or_default()
    }

    fn parse(text: &str, path: &Path, readers: Readers) -> Option<Self> {
        let (secrets, environment) = (SecretCache::default(), |name: &str| std::env::var_os(name));
        let report = Report::new(&environment, &secrets);
        let file = report.add_file("");
        let mut root = document::parse(text, file, "").ok()?;
        source::resolve_main(&mut root, &report);
        let folder = path.parent().unwrap_or(Path::new(""));
        let included = source::included(&root, folder, Some(path), None, &report);
        let mut mapping = Value::root(&root, &report, Format::Keys(FILE), readers.sources).mapping()?;
        let hardening = mapping.optional("hardening").and_then(|value| hardening::read(&value));
        let state_dir = member(&root, "state").and_then(|state| member(state, "dir")).and_then(content);
        let upgrade_sock = member(&root, "upgrade_sock").and_then(content);
        let audit = member(&root, "audit").and_then(|audit| member(audit, "path")).and_then(content);
        let audit = audit.filter(|path| path.starts_with('/')).map(PathBuf::from);
        let roots = std::iter::once(&root).chain(included.iter().filter_map(|file| file.root.as_ref().ok()));
        let services = roots.flat_map(|root| match member(root, "services").map(|services| &services.kind) {
            Some(Kind::Map(services)) => services.as_slice(),
            _ => &[],
        });
        let own = services.filter_map(|(_, service)| member(service, "listen"));
        let mut sockets: Vec<_> = upgrade_sock.map(PathBuf::from).into_iter().collect();
        for node in own.chain(member(&root, "listen")).chain(member(&root, "admin")) {
            collect_sockets(node, &mut sockets);
        }
        let state_dir = state_dir.map(PathBuf::from);
        let manage = manage::node(&root).and_then(content).map(|path| folder.join(path));
        Some(Self { hardening: hardening.unwrap_or_default(), state_dir, sockets, audit, manage })
    }
}

/// The paths of all texts `unix:PATH` in a node. It may be an address, a list, or a mapping with more keys.
fn collect_sockets(node: &Node, into: &mut Vec<PathBuf>) {
    match &node.kind {
        Kind::Text { value, .. } => into.extend(value.strip_prefix("unix:").map(PathBuf::from)),
        Kind::List(nodes) => nodes.iter().for_each(|node| collect_sockets(node, into)),
        Kind::Map(entries) => entries.iter().for_each(|(_, node)| collect_sockets(node, into)),
        _ => {}
    }
}

fn content(node: &Node) -> Option<&str> {
    match &node.kind {
        Kind::Text { value, .. } => Some(value),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn parse(text: &str) -> Option<Restrictions> {
        Restrictions::parse(text, Path::new("/etc/sidekey/services.yaml"), crate::credential::READERS)
    }

    #[test]
    fn restrictions_have_every_path_that_is_written_to() {
        let text = "
listen: [127.0.0.1:0, 'unix:/a/one', { address: unix:/b/two, tls: { cert_file: /x, key_file: /y } }]
admin: { listen: unix:/c/three, token: { exec: [touch, /must-not-run] }, manage: services.d }
upgrade_sock: /d/four
state: { dir: /e, key: { exec: [touch, /must-not-run] } }
hardening: { writable: [/f, /g] }
services: { a: { upstream: https://a.example, listen: 'unix:/h/five', auth: { type: bearer, token: unix:/no } } }
";
        let found = parse(text).unwrap();
        let path = |text: &&str| PathBuf::from(text);
        let sockets: Vec<_> =
            ["/d/four", "/h/five", "/a/one", "/b/two", "/c/three"].iter().map(path).collect();
        assert_eq!(found.sockets, sockets);
        assert_eq!(found.state_dir, Some("/e".into()));
        assert_eq!(found.manage, Some("/etc/sidekey/services.d".into()));
        let hardening = Hardening { enabled: true, writable: ["/f", "/g"].iter().map(path).collect() };
        assert_eq!(found.hardening, hardening);
        assert!(!Path::new("/must-not-run").exists());
    }

    #[test]
    fn file_with_errors_is_restricted_as_by_default() {
        assert_eq!(parse("services: {}").unwrap(), Restrictions::default());
        assert!(!parse("hardening: none").unwrap().hardening.enabled);
        assert!(parse("hardening: maybe").unwrap().hardening.enabled);
        assert!(parse("a: [").is_none());
    }
}
