//! Text of elements in the answers of STS, which are flat XML without attributes of interest.

/// The text of the first element of this name, without entities; `None` if there is none.
pub(super) fn text(xml: &str, element: &str) -> Option<String> {
    let (open, close) = (format!("<{element}>"), format!("</{element}>"));
    let (_, rest) = xml.split_once(&open)?;
    let (text, _) = rest.split_once(&close)?;
    if text.contains('<') {
        return None;
    }
    let mut out = text.trim().to_owned();
    for (entity, character) in
        [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&amp;", "&")]
    {
        out = out.replace(entity, character);
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_an_element_is_found() {
        let xml = "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Sender</Type>\n\
                   <Code>AccessDenied</Code><Message>a &amp;lt; b</Message></Error></ErrorResponse>";
        assert_eq!(text(xml, "Code").as_deref(), Some("AccessDenied"));
        assert_eq!(text(xml, "Message").as_deref(), Some("a &lt; b"));
        for element in ["Error", "Cod", "RequestId"] {
            assert_eq!(text(xml, element), None, "{element}");
        }
        assert_eq!(text("<Code>cut", "Code"), None);
    }
}
