//! Errors of AWS's services, and what each means for the one who operates Sidekey.

use crate::credential::UpstreamErrors;

const SIGNATURE: &str = "the secret access key is not the one of the id, or something between here and AWS changes the request: a proxy \
    that rewrites the path or `Host`.";
const NO_KEY: &str = "AWS knows no such access key: compare its id, and look whether it was deleted or deactivated. The id of a \
    temporary key needs its `session_token`.";
const SCOPE: &str = "`region` or `service` is not the one of the bucket or the API. The body of the response names the one that it \
    expects: see it by `curl` through Sidekey.";
const ENDED: &str = "the session of the key has ended: a temporary key must be replaced before. `credentials: { from: … }` does that.";
const TOKEN: &str = "`session_token` is not the one of the key.";
const DENIED: &str = "the signature was accepted, and its identity may not do this: compare its policies, those of the resource and of \
    the organization, and the path (`/` of S3 lists buckets, which needs `s3:ListAllMyBuckets`).";

/// The codes, as S3 and the services with XML write them, and those with JSON.
pub(in crate::credential) const UPSTREAM_ERRORS: UpstreamErrors = &[
    ("Credential should be scoped to", SCOPE),
    ("SignatureDoesNotMatch", SIGNATURE),
    ("InvalidSignatureException", SIGNATURE),
    ("InvalidAccessKeyId", NO_KEY),
    ("UnrecognizedClientException", NO_KEY),
    ("InvalidClientTokenId", NO_KEY),
    ("AuthorizationHeaderMalformed", SCOPE),
    ("AuthorizationQueryParametersError", SCOPE),
    ("PermanentRedirect", "the bucket is in another region: correct `region`, and the host in `upstream`."),
    ("RequestTimeTooSkewed", "the clock of this machine is wrong: check its time synchronisation (NTP)."),
    ("ExpiredToken", ENDED),
    ("ExpiredTokenException", ENDED),
    ("InvalidToken", TOKEN),
    ("AccessDenied", DENIED),
    ("AccessDeniedException", DENIED),
];
