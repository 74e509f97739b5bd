//! When the certificates expire that Sidekey presents: those of listeners, client certificates, and the CA of
//! interception. They are read at the start and after each reload of files, for the metric that an alert
//! watches.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tokio::sync::watch;

use crate::config::{Config, OAuth2, Tls};
use crate::metrics::CertificateMetrics;
use crate::secret::read_file;

/// Size of the largest certificate file that is read.
const MAX_BYTES: usize = 4 * 1024 * 1024;

/// The files, as configured, whose first certificate is presented to callers, upstreams or token endpoints.
pub fn files(config: &Config) -> BTreeSet<PathBuf> {
    let listeners = config.listen.iter().chain(config.services.iter().flat_map(|service| &service.listen));
    let of_listeners = listeners.filter_map(|listener| listener.tls.as_ref()).map(|tls| &tls.cert_file);
    let of_clients = config.services.iter().flat_map(|service| {
        let endpoint = service.auth.all_settings::<OAuth2>().filter_map(|oauth2| client(&oauth2.tls));
        client(&service.tls).into_iter().chain(endpoint)
    });
    let of_stores = config.secret_stores.iter().filter_map(|store| client(&store.server.tls));
    let of_intercept = config.intercept.iter().map(|intercept| &intercept.ca_cert_file);
    of_listeners.chain(of_clients).chain(of_stores).chain(of_intercept).cloned().collect()
}

fn client(tls: &Tls) -> Option<&PathBuf> {
    tls.client.as_ref().map(|client| &client.cert_file)
}

/// Keeps the metric up to date until the sender of `files` is dropped. The sender must send when other files,
/// or new content of a file, are in use. A file that cannot be read keeps its date, because its previous
/// content is still in use.
pub async fn follow(mut files: watch::Receiver<BTreeSet<PathBuf>>, metrics: CertificateMetrics) {
    let mut known = BTreeMap::new();
    loop {
        let now = files.borrow_and_update().clone();
        // Disks can be slow, and network file systems can hang.
        if let Ok(ends) = tokio::task::spawn_blocking(move || read(&now, known)).await {
            metrics.set(&ends);
            known = ends;
        } else {
            known = BTreeMap::new();
        }
        if files.changed().await.is_err() {
            return;
        }
    }
}

/// Reads the date of each file; `known` has the previous dates. Errors are ignored here: the user of a file
/// reports them.
fn read(files: &BTreeSet<PathBuf>, mut known: BTreeMap<String, f64>) -> BTreeMap<String, f64> {
    let of_file = |file: &PathBuf| {
        let name = file.to_string_lossy().into_owned();
        let not_after = first_not_after(file).or_else(|| known.remove(&name))?;
        Some((name, not_after))
    };
    files.iter().filter_map(of_file).collect()
}

/// The `notAfter` of a PEM file's first certificate, as Unix time in seconds.
fn first_not_after(file: &Path) -> Option<f64> {
    let content = read_file(file, MAX_BYTES).ok()?;
    not_after(&CertificateDer::from_pem_slice(&content).ok()?)
}

/// The `notAfter` (RFC 5280 §4.1.2.5) of a certificate in DER, as Unix time in seconds.
pub(crate) fn not_after(certificate: &[u8]) -> Option<f64> {
    let (_, certificate) = x509_parser::parse_x509_certificate(certificate).ok()?;
    #[expect(clippy::cast_precision_loss, reason = "exact until long after the year 9999")]
    Some(certificate.validity().not_after.timestamp() as f64)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use prometheus::{Registry, TextEncoder};
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;
    use crate::metrics::Metrics;

    /// 2040-01-01 and 2050-01-01 as Unix time: UTCTime and GeneralizedTime (RFC 5280 §4.1.2.5).
    const ENDS: [(i32, f64); 2] = [(2040, 2_208_988_800.0), (2050, 2_524_608_000.0)];

    fn pem(year: i32) -> String {
        let mut params = CertificateParams::new(["a.example".to_owned()]).unwrap();
        params.not_after = date_time_ymd(year, 1, 1);
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().pem()
    }

    #[test]
    fn not_after_reads_the_first_certificate_only() {
        let dir = tempfile::tempdir().unwrap();
        let of = |content: &str| {
            let file = dir.path().join("file");
            std::fs::write(&file, content).unwrap();
            first_not_after(&file)
        };
        for (year, expected) in ENDS {
            assert_eq!(of(&pem(year)), Some(expected));
        }
        let key = KeyPair::generate().unwrap().serialize_pem();
        assert_eq!(of(&(key.clone() + &pem(2040) + &pem(2050))), Some(ENDS[0].1));
        let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        for garbage in ["", "no PEM", &key, broken, &(broken.to_owned() + &pem(2040)), &pem(2040)[..200]] {
            assert_eq!(of(garbage), None, "{garbage}");
        }
        assert_eq!(first_not_after(dir.path()), None);
        assert_eq!(first_not_after(&dir.path().join("missing")), None);
    }

    #[tokio::test]
    async fn metric_follows_files_and_configuration() {
        let registry = Registry::new();
        let metrics = Metrics::new(&registry).unwrap().certificates();
        let dir = tempfile::tempdir().unwrap();
        let [a, b] = ["a.pem", "b.pem"].map(|name| dir.path().join(name));
        std::fs::write(&a, pem(2040)).unwrap();
        std::fs::write(&b, pem(2050)).unwrap();
        let series = || {
            let text = TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
            let ours =
                text.lines().filter(|line| line.starts_with("sidekey_certificate_expiry_timestamp_seconds{"));
            ours.map(|line| line.rsplit_once('/').unwrap().1.to_owned()).collect::<Vec<_>>()
        };
        let (sender, receiver) = watch::channel(BTreeSet::from([a.clone(), b.clone()]));
        let following = tokio::spawn(follow(receiver, metrics));
        let seen = async |expected: &[&str]| {
            while series() != expected {
                tokio::task::yield_now().await;
            }
        };
        // Each of these waits forever if the metric does not follow.
        seen(&["a.pem\"} 2208988800", "b.pem\"} 2524608000"]).await;
        std::fs::write(&a, pem(2050)).unwrap();
        std::fs::write(&b, "garbage").unwrap();
        sender.send_modify(|_| ());
        seen(&["a.pem\"} 2524608000", "b.pem\"} 2524608000"]).await;
        std::fs::write(&b, pem(2040)).unwrap();
        sender.send_modify(|_| ());
        seen(&["a.pem\"} 2524608000", "b.pem\"} 2208988800"]).await;
        sender.send_replace(BTreeSet::from([b]));
        seen(&["b.pem\"} 2208988800"]).await;
        drop(sender);
        following.await.unwrap();
    }
}
