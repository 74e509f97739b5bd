//! The documentation as a site: complete, every link holds, its search finds keys, and it fits on a phone.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::artefacts::root;
use crate::harness::{Browser, Process, Request, TIMEOUT, assert_eventually, free_port, tool};
use crate::suite::deploy::image::succeed;

/// A site below a temporary folder, made from the documents.
fn site() -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let (_, said) =
        succeed(Command::new(root().join("scripts/docs")).arg(dir.path()).env_remove("SITE_REPOSITORY"));
    assert!(!said.contains("WARN") && !said.contains("ERROR"), "{said}");
    let html = dir.path().join("html");
    (dir, html)
}

/// All pages below a folder.
fn pages(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut found = Vec::new();
    for path in entries {
        if path.is_dir() {
            found.extend(pages(&path));
        } else if path.extension().is_some_and(|ending| ending == "html") {
            found.push(path);
        }
    }
    found
}

/// The values of an attribute in a page.
fn values<'a>(html: &'a str, attribute: &str) -> impl Iterator<Item = &'a str> {
    let start = format!(" {attribute}=\"");
    html.match_indices(&start)
        .map(|(at, found)| html[at + found.len()..].split('"').next().unwrap())
        .collect::<Vec<_>>()
        .into_iter()
}

#[test]
fn site_has_every_part_and_no_broken_link() {
    let (_dir, html) = site();
    for page in [
        "index",
        "docs/TUTORIAL",
        "docs/INSTALL",
        "docs/providers/github",
        "docs/providers/entra",
        "docs/KEYS",
        "docs/METRICS",
        "docs/LOGS",
        "docs/ADMIN_API",
        "docs/EXIT_CODES",
        "docs/SECURITY",
        "docs/ARCHITECTURE",
        "docs/KUBERNETES",
    ] {
        assert!(html.join(format!("{page}.html")).is_file(), "{page}");
    }
    let texts: BTreeMap<_, _> = pages(&html)
        .into_iter()
        .map(|path| {
            let text = fs::read_to_string(&path).unwrap();
            (path, text)
        })
        .collect();
    let anchors: BTreeMap<_, BTreeSet<_>> =
        texts.iter().map(|(path, text)| (path.clone(), values(text, "id").collect())).collect();
    let (mut broken, mut count) = (BTreeSet::new(), 0);
    // print.html has all pages, and toc.html is a frame of each.
    for (path, text) in
        texts.iter().filter(|(path, _)| !path.ends_with("print.html") && !path.ends_with("404.html"))
    {
        for link in values(text, "href")
            .chain(values(text, "src"))
            .filter(|link| !link.contains(':') && !link.is_empty())
        {
            count += 1;
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let to = if file.is_empty() { path.clone() } else { path.parent().unwrap().join(file) };
            let to = to.canonicalize().unwrap_or(to);
            let has_anchor =
                anchor.is_empty() || anchors.get(&to).is_some_and(|known| known.contains(anchor));
            if !to.is_file() || !has_anchor {
                broken.insert(format!("{}: {link}", path.strip_prefix(&html).unwrap().display()));
            }
        }
        let elsewhere = values(text, "src").find(|source| source.contains("//"));
        assert_eq!(elsewhere, None, "{} loads something from elsewhere", path.display());
    }
    assert!(broken.is_empty(), "{broken:#?}");
    assert!(count > 1000, "{count} links were looked at");
}

#[tokio::test]
async fn site_is_searched_and_read_on_desktop_and_phone() {
    let (_dir, html) = site();
    let port = free_port();
    let mut server = Command::new(tool("python3"));
    server.args(["-m", "http.server", "--bind", "127.0.0.1", &port.to_string(), "--directory"]).arg(&html);
    let _server = Process::spawn("http.server", &mut server);
    let url = |page: &str| format!("http://127.0.0.1:{port}/{page}");
    let answers = async || Request::get(url("index.html")).try_send().await.is_ok();
    assert_eventually(TIMEOUT, "the site is served", answers).await;

    let mut browser = Browser::start();
    let pages = ["index", "docs/TUTORIAL", "docs/CONFIGURATION", "docs/KEYS", "docs/providers/entra"];
    for (page, width) in pages.iter().flat_map(|page| [(page, 1280), (page, 390)]) {
        browser.open(&url(&format!("{page}.html")), width, false).await;
        browser.wait("document.querySelector('main h1') !== null").await;
        let excess = browser.eval("document.documentElement.scrollWidth - window.innerWidth").await;
        assert!(excess.as_i64().unwrap() <= 0, "{page} is {excess} px wider than a window of {width}");
        assert_eq!(browser.messages().await, [""; 0], "{page}");
    }
    // A key is found by its name.
    browser.open(&url("index.html"), 1280, false).await;
    browser.press("s").await;
    browser
        .wait("document.activeElement.id === 'mdbook-searchbar' || document.activeElement.id === 'searchbar'")
        .await;
    browser.type_text("refresh_on").await;
    browser.wait("document.querySelectorAll('#mdbook-searchresults a, #searchresults a').length > 0").await;
    let first = "document.querySelector('#mdbook-searchresults a, #searchresults a').getAttribute('href')";
    let first = browser.eval(first).await;
    assert!(first.as_str().unwrap().contains("refresh_on"), "{first}");
}
