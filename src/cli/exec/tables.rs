//! Which variables name a proxy, a file with CAs, a base URL or a key. Adding one is a line here, and one in docs/EXEC.md.

/// Variables with the proxy of `https:` URLs.
pub(super) const HTTPS_PROXIES: &[&str] = &["HTTPS_PROXY", "https_proxy"];
/// Variables with the proxy of `http:` URLs. curl reads the one in lower case only, and CGI programs must not read the other.
pub(super) const HTTP_PROXIES: &[&str] = &["HTTP_PROXY", "http_proxy"];
/// Variables with the proxy of every other URL.
pub(super) const OTHER_PROXIES: &[&str] = &["ALL_PROXY", "all_proxy"];
/// Variables with the hosts that are called without a proxy.
pub(super) const NO_PROXIES: &[&str] = &["NO_PROXY", "no_proxy"];
/// This machine, as these variables spell it.
pub(super) const LOCAL_HOSTS: &[&str] = &["localhost", "127.0.0.1", "::1"];

/// Variables with a file of CAs that are trusted besides those of the machine.
pub(super) const ADDING_CA_FILES: &[&str] = &[
    // Node
    "NODE_EXTRA_CA_CERTS",
    // Deno
    "DENO_CERT",
];

/// Variables with a file of CAs that are trusted instead of those of the machine.
pub(super) const REPLACING_CA_FILES: &[&str] = &[
    // OpenSSL, Go, Ruby, Python's ssl and httpx, uv, and programs in Rust
    "SSL_CERT_FILE",
    // Python's requests, and pip
    "REQUESTS_CA_BUNDLE",
    "PIP_CERT",
    "CURL_CA_BUNDLE",
    "GIT_SSL_CAINFO",
    // AWS: CLI and boto3
    "AWS_CA_BUNDLE",
    // Google Cloud's CLI
    "CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE",
    // gRPC's C core: Python, Ruby, PHP
    "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH",
    // Cargo
    "CARGO_HTTP_CAINFO",
    // Programs from Nix
    "NIX_SSL_CERT_FILE",
    // Ruby's Bundler
    "BUNDLE_SSL_CA_CERT",
    // Perl's LWP
    "PERL_LWP_SSL_CA_FILE",
];

/// What a library reads from the environment for one API.
pub(super) struct Sdk {
    /// The variable with its base URL, if it reads one.
    pub(super) base_url: Option<&'static str>,
    /// The base URL without that variable, or the API's address. `None` if there is no default.
    pub(super) default: Option<&'static str>,
    /// Variables without one of which it refuses to start.
    pub(super) keys: &'static [&'static str],
}

const fn sdk(base_url: &'static str, default: &'static str, keys: &'static [&'static str]) -> Sdk {
    Sdk { base_url: Some(base_url), default: Some(default), keys }
}

/// The libraries that are known. Those of AWS are not here: they sign the address that they call, so that they work by the proxy
/// and not by a base URL.
pub(super) const SDKS: &[Sdk] = &[
    sdk("OPENAI_BASE_URL", "https://api.openai.com/v1", &["OPENAI_API_KEY"]),
    sdk("ANTHROPIC_BASE_URL", "https://api.anthropic.com", &["ANTHROPIC_API_KEY"]),
    Sdk { base_url: Some("AZURE_OPENAI_ENDPOINT"), default: None, keys: &["AZURE_OPENAI_API_KEY"] },
    sdk("GOOGLE_GEMINI_BASE_URL", "https://generativelanguage.googleapis.com", &["GEMINI_API_KEY"]),
    sdk("GROQ_BASE_URL", "https://api.groq.com", &["GROQ_API_KEY"]),
    sdk("CO_API_URL", "https://api.cohere.com", &["CO_API_KEY"]),
    sdk("TOGETHER_BASE_URL", "https://api.together.xyz/v1", &["TOGETHER_API_KEY"]),
    sdk("REPLICATE_API_BASE_URL", "https://api.replicate.com", &["REPLICATE_API_TOKEN"]),
    sdk("HF_ENDPOINT", "https://huggingface.co", &[]),
    sdk("GITHUB_API_URL", "https://api.github.com", &["GITHUB_TOKEN", "GH_TOKEN"]),
    Sdk { base_url: None, default: Some("https://api.mistral.ai"), keys: &["MISTRAL_API_KEY"] },
];

/// What stands in a key variable instead of a key. Sidekey replaces it in every request.
pub(super) const PLACEHOLDER: &str = "sidekey-placeholder";
