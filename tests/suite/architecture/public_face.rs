//! What other programs see of the library: the program itself.

use std::path::Path;

use syn::{Attribute, Item, Visibility};

/// Whether an item is in a build without the feature `internals`, which is neither a test nor a fuzz target.
fn is_in_each_build(attributes: &[Attribute]) -> bool {
    let gates = ["feature=\"internals\"", "any(test,fuzzing)", "test"];
    !attributes.iter().any(|attribute| {
        let mut text = attribute.meta.require_list().map(|list| list.tokens.to_string()).unwrap_or_default();
        text.retain(|c| !c.is_whitespace());
        attribute.path().is_ident("cfg") && gates.contains(&text.as_str())
    })
}

/// The names of the public items of a file, if they are in each build.
fn public(file: &str) -> Vec<String> {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap();
    let mut found = Vec::new();
    for item in syn::parse_file(&text).unwrap().items {
        let (attributes, visibility, name) = match item {
            Item::Mod(item) => (item.attrs, item.vis, item.ident.to_string()),
            Item::Use(item) => (item.attrs, item.vis, imported(&item.tree)),
            _ => panic!("{file} has modules and imports alone"),
        };
        if matches!(visibility, Visibility::Public(_)) && is_in_each_build(&attributes) {
            found.push(name);
        }
    }
    found
}

/// What a `use` names, if it is one name.
fn imported(tree: &syn::UseTree) -> String {
    match tree {
        syn::UseTree::Path(path) => format!("{}::{}", path.ident, imported(&path.tree)),
        syn::UseTree::Name(name) => name.ident.to_string(),
        _ => "several".to_owned(),
    }
}

#[test]
fn public_face_is_the_program_alone() {
    assert_eq!(public("src/lib.rs"), ["cli"]);
    assert_eq!(public("src/cli/mod.rs"), ["command::main"]);
}
