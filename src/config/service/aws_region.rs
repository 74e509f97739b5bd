//! Whether the host of an upstream is one of another region of AWS than the one that requests are signed for.

use crate::config::reader::value::Value;
use crate::config::{Host, UpstreamUrl};

/// Ends of the names of AWS's hosts.
const DOMAINS: [&str; 3] = [".amazonaws.com", ".amazonaws.com.cn", ".api.aws"];

/// Records a warning for each URL whose host names another region.
pub(super) fn warn_of_another(value: &Value<'_>, upstreams: &[UpstreamUrl], region: &str) {
    for url in upstreams {
        let Host::Name(host) = &url.host else { continue };
        if region_of(host).is_some_and(|named| named != region) {
            value.warn(
                "the host is one of another region than `region` in `auth`: AWS rejects a signature for another region",
            );
        }
    }
}

/// The region in the name of a host of AWS; `None` if it names none.
fn region_of(host: &str) -> Option<&str> {
    let name = DOMAINS.iter().find_map(|domain| host.strip_suffix(domain))?;
    name.rsplit('.').find(|label| is_region(label))
}

/// `eu-west-1`, `us-gov-east-1`: two letters, one or more words, a number.
fn is_region(label: &str) -> bool {
    let parts: Vec<_> = label.split('-').collect();
    let [start, words @ .., number] = parts.as_slice() else { return false };
    let is_word = |word: &&str| !word.is_empty() && word.chars().all(|c| c.is_ascii_lowercase());
    start.len() == 2
        && is_word(start)
        && !words.is_empty()
        && words.iter().all(is_word)
        && matches!(number.as_bytes(), [b'1'..=b'9'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn region_is_read_from_hosts_of_aws_only() {
        for (host, region) in [
            ("s3.eu-west-1.amazonaws.com", Some("eu-west-1")),
            ("bucket.s3.us-gov-east-1.amazonaws.com", Some("us-gov-east-1")),
            ("abc123.execute-api.ap-southeast-2.amazonaws.com", Some("ap-southeast-2")),
            ("my-us-east-1.s3.eu-west-1.amazonaws.com", Some("eu-west-1")),
            ("s3.cn-north-1.amazonaws.com.cn", Some("cn-north-1")),
            ("s3.amazonaws.com", None),
            ("sts.amazonaws.com", None),
            ("s3-1.amazonaws.com", None),
            ("s3.eu-west-1.example.com", None),
            ("localhost", None),
        ] {
            assert_eq!(region_of(host), region, "{host}");
        }
    }
}
