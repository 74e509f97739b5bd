//! What a signature covers (RFC 9421 §2): names of components as they are configured, and their values in a request.

use std::borrow::Cow;

use http::HeaderName;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use sfv::{BareItem, Item, Parser, SerializeValue};

use super::field::{self, Form};
use crate::credential::{OutboundRequest, Unsignable};

/// One component.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Component {
    /// The identifier, as in `Signature-Input`: `"@query-param";name="a"`.
    pub(super) identifier: String,
    part: Part,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Part {
    Method,
    TargetUri,
    Authority,
    Scheme,
    RequestTarget,
    Path,
    Query,
    /// A parameter by its encoded name.
    QueryParam(String),
    /// A header field by its name in lower case.
    Field(String, Form),
}

/// The derived components of requests (RFC 9421 §2.2), but `@query-param`.
const DERIVED: [(&str, Part); 7] = [
    ("@method", Part::Method),
    ("@target-uri", Part::TargetUri),
    ("@authority", Part::Authority),
    ("@scheme", Part::Scheme),
    ("@request-target", Part::RequestTarget),
    ("@path", Part::Path),
    ("@query", Part::Query),
];

/// What is encoded in `@query-param`: the form set, with spaces as `%20` (RFC 9421 §2.2.8).
const FORM: &AsciiSet = &NON_ALPHANUMERIC.remove(b'*').remove(b'-').remove(b'.').remove(b'_');

/// The field that Sidekey computes of the body (RFC 9530).
pub(super) const CONTENT_DIGEST: &str = "content-digest";

const TWICE: &str = "The signature of the service covers a query parameter that this request has twice, which has no signature \
     (RFC 9421 §2.2.8); nothing was forwarded.";

impl Component {
    /// Parses a component as it is configured: the identifier, whose name needs no quotes.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let (name, parameters) = text.split_at(text.find(';').unwrap_or(text.len()));
        let name = name.trim().trim_matches('"');
        let item = Parser::parse_item(format!("\"{name}\"{parameters}").as_bytes());
        let mut item = item.map_err(|why| format!("not a component (RFC 9421 §2): {why}"))?;
        for (parameter, why) in [
            ("req", "`req` is for signatures of responses, and Sidekey signs requests"),
            ("tr", "`tr` is for trailers, which come after the signature was sent"),
        ] {
            if item.params.contains_key(parameter) {
                return Err(why.into());
            }
        }
        let part = match name {
            "@signature-params" => return Err("always covered; leave it out".into()),
            "@status" => return Err("only responses have it, and Sidekey signs requests".into()),
            "@query-param" => query_param(&mut item)?,
            derived if derived.starts_with('@') => {
                if !item.params.is_empty() {
                    return Err(format!("`{derived}` has no parameters"));
                }
                let known = DERIVED.iter().find(|(name, _)| *name == derived);
                let names = || DERIVED.map(|(name, _)| name).join(", ");
                known.map(|(_, part)| part.clone()).ok_or_else(|| {
                    format!(
                        "unknown; allowed: {}, @query-param;name=\"…\", and names of header fields",
                        names()
                    )
                })?
            }
            field => {
                let name = HeaderName::try_from(field).map_err(|_| "not the name of a header field")?;
                field::check(name.as_str())?;
                item.bare_item = BareItem::String(name.as_str().to_owned());
                Part::Field(name.as_str().to_owned(), Form::of(name.as_str(), &item.params)?)
            }
        };
        let identifier = item.serialize_value().map_err(str::to_owned)?;
        Ok(Self { identifier, part })
    }

    /// Whether it is the digest of the body.
    pub(super) fn is_content_digest(&self) -> bool {
        matches!(&self.part, Part::Field(name, _) if name == CONTENT_DIGEST)
    }

    /// The value in a request; `None` if the request does not have it. `content_digest` takes the place of the caller's field.
    pub(super) fn value<'r>(
        &self,
        request: &'r OutboundRequest<'_>,
        content_digest: Option<&'r str>,
    ) -> Result<Option<Cow<'r, str>>, Unsignable> {
        let query = request.query.as_deref();
        Ok(Some(match &self.part {
            Part::Method => request.method.into(),
            Part::TargetUri => format!("{}{}", request.origin, request.target()).into(),
            Part::Authority => authority(request).into(),
            Part::Scheme => request.origin.split_once(':').map_or("", |(scheme, _)| scheme).into(),
            Part::RequestTarget => request.target(),
            Part::Path => request.full_path(),
            Part::Query => format!("?{}", query.unwrap_or_default()).into(),
            Part::QueryParam(name) => return parameter(query.unwrap_or_default(), name),
            Part::Field(name, form) => {
                let computed = content_digest.filter(|_| name == CONTENT_DIGEST);
                let computed = computed.map(str::as_bytes);
                let lines = request.fields.iter().filter(|field| field.name.eq_ignore_ascii_case(name));
                let lines: Vec<&[u8]> = match computed {
                    Some(value) => vec![value],
                    None => lines.map(|field| field.value.trim_ascii()).collect(),
                };
                return if lines.is_empty() {
                    Ok(None)
                } else {
                    form.value(&lines).map(|value| value.map(Cow::Owned))
                };
            }
        }))
    }
}

/// `@query-param`, whose parameter `name` is encoded as in the query.
fn query_param(item: &mut Item) -> Result<Part, String> {
    let name = item.params.get("name").and_then(BareItem::as_str);
    let name = name.filter(|_| item.params.len() == 1).ok_or("write `@query-param;name=\"NAME\"`")?;
    let decoded: Vec<u8> = percent_encoding::percent_decode_str(name).collect();
    let name = percent_encode(&decoded, FORM).to_string();
    item.params.insert("name".into(), BareItem::String(name.clone()));
    Ok(Part::QueryParam(name))
}

/// The value of the parameter of this encoded name.
fn parameter<'r>(query: &str, name: &str) -> Result<Option<Cow<'r, str>>, Unsignable> {
    let mut found = None;
    for (key, value) in form_urlencoded::parse(query.as_bytes()) {
        if percent_encode(key.as_bytes(), FORM).to_string() == name {
            let value = percent_encode(value.as_bytes(), FORM).to_string();
            if found.replace(Cow::Owned(value)).is_some() {
                return Err(Unsignable::Refused(TWICE));
            }
        }
    }
    Ok(found)
}

/// `@authority`: in lower case, without the port that the scheme has (RFC 9421 §2.2.3).
fn authority(request: &OutboundRequest<'_>) -> String {
    let authority = request.authority.to_ascii_lowercase();
    let default = if request.origin.starts_with("https:") { ":443" } else { ":80" };
    authority.strip_suffix(default).map(str::to_owned).unwrap_or(authority)
}
