//! The program's sources, parsed: files, modules, and the names that each module has.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use proc_macro2::{TokenStream, TokenTree};
use syn::spanned::Spanned;
use syn::{Attribute, Item, Visibility};

use super::imports;

const ITEM_KEYWORDS: [&str; 8] = ["const", "enum", "fn", "static", "struct", "trait", "type", "union"];

/// The path of a module: `["proxy", "wire"]`. The library's root is empty.
pub type ModulePath = Vec<String>;

/// A source file.
pub struct File {
    /// Below `src/`.
    pub path: String,
    pub module: ModulePath,
    pub ast: syn::File,
}

/// All files that are compiled without `cfg(test)`.
pub struct Program {
    pub files: Vec<File>,
    modules: HashMap<ModulePath, Module>,
}

/// What a module declares.
struct Module {
    file: usize,
    names: HashMap<String, Vec<Name>>,
    globs: Vec<ModulePath>,
}

enum Name {
    Module,
    Item,
    /// An import, by its path.
    Import(Vec<String>),
}

/// What a path leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    Module(ModulePath),
    /// An item, by the index of the file that defines it.
    Item(usize),
}

/// An import that leads from one file to another.
#[derive(Debug, Clone)]
pub struct Edge {
    pub from: usize,
    pub to: usize,
    pub line: usize,
    /// The path as written.
    pub path: String,
    /// The top-level module that the path names, if it is absolute.
    pub names: Option<String>,
}

impl Program {
    /// The program itself.
    pub fn sidekey() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let mut paths = Vec::new();
        walk(&root, &mut paths);
        let read = |path: &PathBuf| {
            let name = path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
            (name, fs::read_to_string(path).unwrap())
        };
        let program = Self::parse(paths.iter().map(read).collect());
        assert!(program.files.len() > 50, "the sources are found");
        program
    }

    /// Sources given as text, by their paths below `src/`.
    pub fn of(sources: &[(&str, &str)]) -> Self {
        Self::parse(sources.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect())
    }

    fn parse(mut sources: HashMap<String, String>) -> Self {
        let mut program = Self { files: Vec::new(), modules: HashMap::new() };
        for (root, module) in [("lib.rs", vec![]), ("main.rs", vec!["main".to_owned()])] {
            if sources.contains_key(root) {
                program.add(root, module, &mut sources);
            }
        }
        for index in 0..program.files.len() {
            // Imports within functions, for the paths that begin with their names.
            for import in imports::of(&program.files[index]).into_iter().filter(|import| import.is_use) {
                let names = &mut program.modules.get_mut(&import.scope).unwrap().names;
                names.entry(import.name).or_insert_with(|| vec![Name::Import(import.path)]);
            }
        }
        program
    }

    /// Adds a file and the files of the modules that it declares.
    fn add(&mut self, path: &str, module: ModulePath, sources: &mut HashMap<String, String>) {
        let text = sources.remove(path).expect("a source that was not added before");
        let ast = syn::parse_file(&text).unwrap_or_else(|error| panic!("src/{path}: {error}"));
        let mut declared = Vec::new();
        self.declare(&ast.items, &module, &mut declared);
        self.files.push(File { path: path.to_owned(), module, ast });
        let folder = match path.rsplit_once('/') {
            Some((folder, "mod.rs")) => format!("{folder}/"),
            None if ["lib.rs", "main.rs"].contains(&path) => String::new(),
            _ => format!("{}/", path.strip_suffix(".rs").unwrap()),
        };
        for child in declared {
            let name = child.last().unwrap();
            let [flat, nested] = [format!("{folder}{name}.rs"), format!("{folder}{name}/mod.rs")];
            let found = if sources.contains_key(&flat) { flat } else { nested };
            assert!(sources.contains_key(&found), "src/{path} declares `mod {name}`, which has no file");
            self.add(&found, child, sources);
        }
    }

    /// Records the names of a module; `declared` receives the modules that have their own files.
    fn declare(&mut self, items: &[Item], module: &[String], declared: &mut Vec<ModulePath>) {
        let mut names: HashMap<String, Vec<Name>> = HashMap::new();
        let mut globs = Vec::new();
        for item in items.iter().filter(|item| !is_test(attributes(item))) {
            match item {
                Item::Mod(child) => {
                    names.entry(child.ident.to_string()).or_default().push(Name::Module);
                    let path = [module, &[child.ident.to_string()]].concat();
                    match &child.content {
                        Some((_, items)) => self.declare(items, &path, declared),
                        // A module may be declared twice, for two features.
                        None if declared.contains(&path) => {}
                        None => declared.push(path),
                    }
                }
                Item::Use(item) => {
                    for import in imports::of_use(item, module) {
                        if import.is_glob {
                            globs.push(import.path);
                        } else {
                            names.entry(import.name).or_default().push(Name::Import(import.path));
                        }
                    }
                }
                item => {
                    for name in names_of(item) {
                        names.entry(name).or_default().push(Name::Item);
                    }
                }
            }
        }
        self.modules.insert(module.to_vec(), Module { file: self.files.len(), names, globs });
    }

    /// Every import from one file to another, and the internal paths that lead nowhere.
    ///
    /// A module that lists its children does not depend on them: `mod x;` and `pub use x::Y` are no edges.
    pub fn edges(&self) -> (Vec<Edge>, Vec<String>) {
        let (mut edges, mut unresolved) = (Vec::new(), Vec::new());
        for (from, file) in self.files.iter().enumerate() {
            let is_contents = file.is_table_of_contents();
            for import in imports::of(file) {
                let targets = self.resolve(&import.scope, &import.path);
                let path = import.path.join("::");
                if targets.is_empty() && import.is_internal() {
                    unresolved.push(format!("src/{}:{}: {path}", file.path, import.line));
                }
                for to in targets.iter().map(|target| self.file_of(target)) {
                    let is_below = self.files[to].module.starts_with(&file.module);
                    let lists_child = is_below && import.is_use && (import.is_reexport || is_contents);
                    if to != from && !lists_child {
                        let names = import.top_level_module();
                        edges.push(Edge { from, to, line: import.line, path: path.clone(), names });
                    }
                }
            }
        }
        (edges, unresolved)
    }

    fn file_of(&self, target: &Target) -> usize {
        match target {
            Target::Module(path) => self.modules[path].file,
            Target::Item(file) => *file,
        }
    }

    /// What a path leads to, as seen from a module; nothing if it leads out of the program.
    pub fn resolve(&self, scope: &[String], path: &[String]) -> Vec<Target> {
        self.follow(scope, path, &mut Vec::new())
    }

    fn follow(&self, scope: &[String], path: &[String], seen: &mut Vec<(ModulePath, String)>) -> Vec<Target> {
        let is_main = scope.first().is_some_and(|first| first == "main");
        let mut rest = path;
        let mut module = match path.first().map(String::as_str) {
            Some("crate") if is_main => vec!["main".to_owned()],
            Some("crate") => Vec::new(),
            Some("sidekey") if is_main => Vec::new(),
            Some("self" | "super") => scope.to_vec(),
            _ => return self.descend(scope, path, seen),
        };
        if rest[0] != "super" {
            rest = &rest[1..];
        }
        while rest.first().is_some_and(|first| first == "super") {
            module.pop();
            rest = &rest[1..];
        }
        if rest.is_empty() { vec![Target::Module(module)] } else { self.descend(&module, rest, seen) }
    }

    /// Follows a path whose first segment is a name of a module.
    fn descend(
        &self,
        module: &[String],
        path: &[String],
        seen: &mut Vec<(ModulePath, String)>,
    ) -> Vec<Target> {
        let mut found = Vec::new();
        for target in self.look_up(module, &path[0], seen) {
            match target {
                Target::Module(inner) if path.len() > 1 => {
                    found.extend(self.descend(&inner, &path[1..], seen));
                }
                target => found.push(target),
            }
        }
        found
    }

    fn look_up(&self, module: &[String], name: &str, seen: &mut Vec<(ModulePath, String)>) -> Vec<Target> {
        let key = (module.to_vec(), name.to_owned());
        let Some(found) = self.modules.get(module).filter(|_| !seen.contains(&key)) else {
            return Vec::new();
        };
        seen.push(key);
        let mut targets = Vec::new();
        for declared in found.names.get(name).into_iter().flatten() {
            match declared {
                Name::Module => targets.push(Target::Module([module, &[name.to_owned()]].concat())),
                Name::Item => targets.push(Target::Item(found.file)),
                Name::Import(path) => targets.extend(self.follow(module, path, seen)),
            }
        }
        if targets.is_empty() {
            for glob in &found.globs {
                for target in self.follow(module, glob, seen) {
                    if let Target::Module(inner) = target {
                        targets.extend(self.look_up(&inner, name, seen));
                    }
                }
            }
        }
        seen.pop();
        targets
    }
}

impl File {
    /// The top-level module: `proxy`, or `lib` for the root.
    pub fn top(&self) -> &str {
        self.module.first().map_or("lib", String::as_str)
    }

    /// Whether the file has nothing but module declarations and imports.
    pub fn is_table_of_contents(&self) -> bool {
        self.ast.items.iter().filter(|item| !is_test(attributes(item))).all(|item| match item {
            Item::Mod(module) => module.content.is_none(),
            Item::Use(_) => true,
            _ => false,
        })
    }
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// Whether an item exists in tests only.
pub fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let condition = attribute.meta.require_list().map(|list| list.tokens.to_string()).unwrap_or_default();
        let is_cfg_test = condition == "test" || condition.starts_with("all (test");
        attribute.path().is_ident("test") || attribute.path().is_ident("cfg") && is_cfg_test
    })
}

pub fn is_private(visibility: &Visibility) -> bool {
    matches!(visibility, Visibility::Inherited)
}

/// The line of a piece of syntax.
pub fn line_of(syntax: &impl Spanned) -> usize {
    syntax.span().start().line
}

pub fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::ExternCrate(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::ForeignMod(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::TraitAlias(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Union(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

/// The names that an item declares; those of a macro include the items that it expands to.
fn names_of(item: &Item) -> Vec<String> {
    let name = match item {
        Item::Const(item) => &item.ident,
        Item::Enum(item) => &item.ident,
        Item::Fn(item) => &item.sig.ident,
        Item::Macro(item) => {
            let mut names: Vec<_> = item.ident.iter().map(ToString::to_string).collect();
            expanded_names(&item.mac.tokens, &mut names);
            return names;
        }
        Item::Static(item) => &item.ident,
        Item::Struct(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::TraitAlias(item) => &item.ident,
        Item::Type(item) => &item.ident,
        Item::Union(item) => &item.ident,
        _ => return Vec::new(),
    };
    vec![name.to_string()]
}

/// The names after keywords such as `struct` in the tokens of a macro.
fn expanded_names(tokens: &TokenStream, names: &mut Vec<String>) {
    let mut is_declared = false;
    for token in tokens.clone() {
        match &token {
            TokenTree::Ident(ident) if is_declared => names.push(ident.to_string()),
            TokenTree::Group(group) => expanded_names(&group.stream(), names),
            _ => (),
        }
        is_declared =
            matches!(&token, TokenTree::Ident(ident) if ITEM_KEYWORDS.iter().any(|word| ident == word));
    }
}
