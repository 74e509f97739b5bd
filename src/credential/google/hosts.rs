//! Google's own servers, by their URLs.

use url::{Host, Url};

/// Parses the URL of one of Google's services, such as `sts`: `https://`, at a host of Google's for this service.
///
/// # Errors
///
/// What is wrong, as the end of a sentence.
pub(super) fn of_google(text: &str, service: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|_| "is no URL".to_owned())?;
    if url.scheme() != "https" {
        return Err("is not `https://`".into());
    }
    let is_plain = url.username().is_empty() && url.password().is_none() && url.port().is_none();
    let is_of_google = match url.host() {
        Some(Host::Domain(host)) => is_host(host, service),
        _ => false,
    };
    if !is_plain || !is_of_google || url.query().is_some() || url.fragment().is_some() {
        return Err(format!("is not at a host of Google's for `{service}`"));
    }
    Ok(url)
}

/// Whether it is a host of the service: the global one, that of a region, or that of a private endpoint.
fn is_host(host: &str, service: &str) -> bool {
    let Some(name) = host.strip_suffix(".googleapis.com") else { return false };
    let is_label = |text: &str| {
        !text.is_empty() && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    let labels: Vec<_> = name.split('.').collect();
    match labels.as_slice() {
        // sts.googleapis.com, REGION-sts.googleapis.com
        [one] => {
            *one == service
                || one
                    .strip_suffix(service)
                    .is_some_and(|rest| rest.len() > 1 && rest.ends_with('-') && is_label(rest))
        }
        // REGION.sts.googleapis.com, sts.mtls.googleapis.com, sts-NAME.p.googleapis.com
        [first, second] => {
            (*second == service && is_label(first))
                || (*first == service && *second == "mtls")
                || (*second == "p"
                    && first
                        .strip_prefix(service)
                        .and_then(|rest| rest.strip_prefix('-'))
                        .is_some_and(is_label))
        }
        // sts.REGION.rep.googleapis.com
        [first, region, "rep"] => *first == service && is_label(region),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_of_google_are_known() {
        for host in [
            "sts.googleapis.com",
            "us-east1-sts.googleapis.com",
            "us-east1.sts.googleapis.com",
            "sts.mtls.googleapis.com",
            "sts.europe-west3.rep.googleapis.com",
            "sts-psc.p.googleapis.com",
        ] {
            assert!(of_google(&format!("https://{host}/v1/token"), "sts").is_ok(), "{host}");
        }
        for url in [
            "http://sts.googleapis.com/v1/token",
            "https://sts.googleapis.com.evil.example/v1/token",
            "https://evil.example/sts.googleapis.com",
            "https://evilsts.googleapis.com/",
            "https://-sts.googleapis.com/",
            "https://storage.googleapis.com/bucket",
            "https://sts.evil.googleapis.com/",
            "https://a.b.sts.googleapis.com/",
            "https://sts-.p.googleapis.com/",
            "https://sts.googleapis.com@evil.example/",
            "https://u@sts.googleapis.com/",
            "https://sts.googleapis.com:8443/",
            "https://sts.googleapis.com/?next=https://evil.example",
            "https://169.254.169.254/",
            "https://xn--sts-.googleapis.com/",
            "//sts.googleapis.com",
            "",
        ] {
            assert!(of_google(url, "sts").is_err(), "{url}");
        }
        assert!(of_google("https://sts.googleapis.com/", "iamcredentials").is_err());
    }
}
