use super::*;

const TOKEN: &str = "0123456789abcdef-admin";

fn rules(token: bool, read_requires_token: bool, is_unix: bool) -> AccessRules {
    let token = token.then(|| Secret::new(TOKEN.into()).unwrap());
    let hosts = vec!["admin.internal".into()];
    AccessRules {
        token,
        read_requires_token,
        metrics_require_token: read_requires_token,
        hosts,
        is_unix,
        manage: None,
    }
}

fn head(fields: &[(&'static str, &str)]) -> HeaderMap {
    let mut head = HeaderMap::new();
    for (name, value) in fields {
        head.append(*name, value.parse().unwrap());
    }
    head
}

fn status(result: Result<(), Problem>) -> u16 {
    result.map_or_else(|problem| problem.status.as_u16(), |()| 200)
}

#[test]
fn host_must_be_own_name() {
    let open = rules(false, false, false);
    let page = |host: &str| status(open.read(&head(&[("host", host)])));
    for host in [
        "127.0.0.1:9090",
        "127.0.0.1",
        "[::1]:9090",
        "localhost:9090",
        "LOCALHOST",
        "admin.internal:80",
        "Admin.Internal.",
        "localhost.:9090",
        "10.1.2.3:1",
    ] {
        assert_eq!(page(host), 200, "{host}");
    }
    for host in [
        "evil.example:9090",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "127.0.0.1@evil.example",
        "evil.example@127.0.0.1",
        "[::1].evil.example",
        "sub.admin.internal",
        "",
    ] {
        assert_eq!(page(host), 403, "{host}");
    }
    assert_eq!(status(open.read(&head(&[]))), 403);
    assert_eq!(status(open.read(&head(&[("host", "localhost"), ("host", "evil.example")]))), 403);
}

#[test]
fn write_requires_token_or_unix_socket() {
    let with = |authorization: Option<&str>| {
        let mut fields = vec![("host", "localhost"), ("content-type", "application/json; charset=utf-8")];
        fields.extend(authorization.map(|value| ("authorization", value)));
        head(&fields)
    };
    let right = format!("Bearer {TOKEN}");
    let closed = rules(true, false, false);
    assert_eq!(status(closed.write(&with(Some(&right)))), 200);
    assert_eq!(status(closed.write(&with(Some(&format!("bearer {TOKEN}"))))), 200);
    for wrong in [
        "Bearer",
        "Bearer ",
        "Bearer x",
        TOKEN,
        &right[..right.len() - 1],
        &format!("{right}x"),
        "Basic eDp5",
    ] {
        assert_eq!(status(closed.write(&with(Some(wrong)))), 401, "{wrong}");
    }
    assert_eq!(status(closed.write(&with(None))), 401);
    assert_eq!(status(rules(true, false, true).write(&with(None))), 401, "a configured token is required");
    assert_eq!(status(rules(false, false, true).write(&with(None))), 200);
    assert_eq!(status(rules(false, false, false).write(&with(Some(&right)))), 403);
}

#[test]
fn write_must_be_json_and_same_origin() {
    let unix = rules(false, false, true);
    let with = |fields: &[(&'static str, &str)]| {
        let mut all = vec![("host", "127.0.0.1:9090")];
        all.extend_from_slice(fields);
        status(unix.write(&head(&all)))
    };
    let json = ("content-type", "application/json");
    assert_eq!(with(&[json]), 200);
    assert_eq!(with(&[json, ("origin", "http://127.0.0.1:9090"), ("sec-fetch-site", "same-origin")]), 200);
    for foreign in [
        ("origin", "http://evil.example"),
        ("origin", "http://127.0.0.1:8080"),
        ("origin", "http://127.0.0.1"),
        ("origin", "null"),
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
    ] {
        assert_eq!(with(&[json, foreign]), 403, "{foreign:?}");
    }
    assert_eq!(with(&[json, ("origin", "http://127.0.0.1:9090"), ("origin", "http://evil.example")]), 403);
    for form in [
        "application/x-www-form-urlencoded",
        "text/plain",
        "multipart/form-data",
        "text/plain; application/json",
    ] {
        assert_eq!(with(&[("content-type", form)]), 415, "{form}");
    }
    assert_eq!(with(&[]), 415);
}

#[test]
fn quit_requires_loopback_or_token() {
    let quit = |rules: &AccessRules, peer: Option<&str>, more: &[(&'static str, &str)]| {
        let fields: Vec<_> = [("host", "127.0.0.1:9090")].into_iter().chain(more.iter().copied()).collect();
        status(rules.quit(&head(&fields), peer.map(|peer| peer.parse().unwrap())))
    };
    let bearer = format!("Bearer {TOKEN}");
    let (with_token, without, unix) =
        (rules(true, false, false), rules(false, false, false), rules(false, false, true));
    for peer in ["127.0.0.1", "127.1.2.3", "::1", "::ffff:127.0.0.1"] {
        assert_eq!(quit(&with_token, Some(peer), &[]), 200, "{peer}");
    }
    for peer in [Some("10.1.2.3"), Some("::ffff:10.1.2.3"), Some("0.0.0.0"), None] {
        assert_eq!(quit(&with_token, peer, &[]), 401, "{peer:?}");
        assert_eq!(quit(&with_token, peer, &[("authorization", &bearer)]), 200, "{peer:?}");
        assert_eq!(quit(&without, peer, &[("authorization", &bearer)]), 401, "{peer:?}");
    }
    assert_eq!(quit(&unix, None, &[]), 200);
    assert_eq!(quit(&without, Some("127.0.0.1"), &[("origin", "http://evil.example")]), 403);
    assert_eq!(status(without.quit(&head(&[("host", "evil.example")]), Some(([127, 0, 0, 1]).into()))), 403);
}

#[test]
fn replaced_rules_keep_the_kind_of_listener() {
    let with = |listen: ListenAddress, token: Option<&str>| config::Admin {
        token: token.map(|token| Secret::new(token.into()).unwrap()),
        ..config::Admin::at(listen)
    };
    let address = || ListenAddress::Tcp(([127, 0, 0, 1], 9090).into());
    let json = [("host", "localhost"), ("content-type", "application/json")];
    let write = |policy: &AccessPolicy, token: &str| {
        let bearer = format!("Bearer {token}");
        let fields: Vec<_> = json.into_iter().chain([("authorization", bearer.as_str())]).collect();
        status(policy.rules().write(&head(&fields)))
    };
    let policy = AccessPolicy::new(&with(address(), Some("the-first-admin-token")));
    assert_eq!(write(&policy, "the-first-admin-token"), 200);
    policy.replace(&with(address(), Some("the-second-admin-token")));
    assert_eq!(write(&policy, "the-first-admin-token"), 401);
    assert_eq!(write(&policy, "the-second-admin-token"), 200);
    // It is bound after a restart only.
    policy.replace(&with(ListenAddress::Unix("/run/admin.sock".into()), None));
    assert_eq!(status(policy.rules().write(&head(&json))), 403);
}

#[test]
fn managed_folder_is_withdrawn_at_once_and_granted_at_a_start() {
    let with = |folder: Option<&str>| config::Admin {
        token: Some(Secret::new(TOKEN.into()).unwrap()),
        manage: folder.map(Into::into),
        ..config::Admin::at(ListenAddress::Tcp(([127, 0, 0, 1], 9090).into()))
    };
    let policy = AccessPolicy::new(&with(Some("/a")));
    let folder = || policy.rules().managed_folder().map(|folder| folder.path);
    assert_eq!(folder(), Some("/a".into()));
    policy.replace(&with(Some("/a")));
    assert_eq!(folder(), Some("/a".into()));
    for other in [Some("/b"), None] {
        policy.replace(&with(other));
        assert_eq!(folder(), None);
    }
    policy.replace(&with(Some("/a")));
    assert_eq!(folder(), None);
    let without_token = config::Admin { token: None, ..with(Some("/a")) };
    assert_eq!(AccessPolicy::new(&without_token).rules().managed_folder(), None);
}

#[test]
fn read_may_require_token() {
    let asked = head(&[("host", "localhost")]);
    let right = head(&[("host", "localhost"), ("authorization", &format!("Bearer {TOKEN}"))]);
    let (open, closed) = (rules(true, false, false), rules(true, true, false));
    assert_eq!((status(open.read(&asked)), status(open.metrics(&asked))), (200, 200));
    assert_eq!((status(closed.read(&asked)), status(closed.metrics(&asked))), (401, 401));
    assert_eq!(status(closed.page(&asked)), 200, "the page holds no state");
    assert_eq!((status(closed.read(&right)), status(closed.metrics(&right))), (200, 200));
}
