//! A profile in a shared credentials file (`~/.aws/credentials`).

use zeroize::Zeroizing;

/// The keys of a profile, as the file has them. An empty value counts as none.
#[derive(Default)]
pub(super) struct Profile {
    pub(super) access_key_id: Option<Zeroizing<String>>,
    pub(super) secret_access_key: Option<Zeroizing<String>>,
    pub(super) session_token: Option<Zeroizing<String>>,
    /// A key of the profile that names another way to get keys.
    pub(super) other: Option<&'static str>,
}

/// Ways to get keys that a profile may name, and that Sidekey does not follow.
const OTHERS: [&str; 6] = [
    "role_arn",
    "source_profile",
    "credential_source",
    "credential_process",
    "web_identity_token_file",
    "sso_session",
];

/// Finds a profile; `None` if the file does not have it. Later lines win, as in AWS's SDKs.
pub(super) fn find(text: &str, name: &str) -> Option<Profile> {
    let mut found: Option<Profile> = None;
    let mut is_inside = false;
    for line in text.lines() {
        let line = line.trim();
        if let Some(section) = line.strip_prefix('[') {
            let section = section.split(']').next().unwrap_or_default().trim();
            // Files of the configuration (`~/.aws/config`) write `[profile name]`.
            let section = section.strip_prefix("profile ").unwrap_or(section).trim();
            is_inside = section == name;
            if is_inside {
                found.get_or_insert_default();
            }
            continue;
        }
        if !is_inside || line.starts_with(['#', ';']) {
            continue;
        }
        let (Some((key, value)), Some(profile)) = (line.split_once('='), &mut found) else { continue };
        let (key, value) = (key.trim().to_ascii_lowercase(), value.trim());
        let value =
            Some(value).filter(|value| !value.is_empty()).map(|value| Zeroizing::new(value.to_owned()));
        match key.as_str() {
            "aws_access_key_id" => profile.access_key_id = value,
            "aws_secret_access_key" => profile.secret_access_key = value,
            "aws_session_token" | "aws_security_token" => profile.session_token = value,
            key => profile.other = OTHERS.into_iter().find(|other| *other == key).or(profile.other),
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "# comment\n[default]\naws_access_key_id = AKIA1\naws_secret_access_key=s1\n\n[ other ]\n\
                        AWS_ACCESS_KEY_ID=AKIA2\naws_secret_access_key = a=b/c+d\naws_session_token = t2\nregion = x\n\
                        [profile named]\nrole_arn = arn:aws:iam::1:role/r\n; aws_access_key_id = no\naws_secret_access_key =\n";

    fn parts(name: &str) -> Option<[Option<String>; 3]> {
        let profile = find(FILE, name)?;
        let text = |value: Option<Zeroizing<String>>| value.map(|value| value.to_string());
        Some([text(profile.access_key_id), text(profile.secret_access_key), text(profile.session_token)])
    }

    #[test]
    fn profile_is_found_by_its_name() {
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(parts("default"), Some([some("AKIA1"), some("s1"), None]));
        assert_eq!(parts("other"), Some([some("AKIA2"), some("a=b/c+d"), some("t2")]));
        assert_eq!(parts("named"), Some([None, None, None]));
        assert_eq!(find(FILE, "named").unwrap().other, Some("role_arn"));
        assert_eq!(parts("missing"), None);
    }
}
