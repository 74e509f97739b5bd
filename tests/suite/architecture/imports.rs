//! The paths in a file: imports, and paths within the code.

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{
    Attribute, Expr, Field, ImplItem, Item, ItemMod, ItemUse, Macro, Stmt, TraitItem, UseTree, VisRestricted,
};

use super::program::{File, ModulePath, attributes, is_private, is_test, line_of};

/// A path that may lead to another file.
#[derive(Debug, Clone)]
pub struct Import {
    /// The module that the path is in.
    pub scope: ModulePath,
    pub path: Vec<String>,
    pub line: usize,
    /// It is in a `use`, and not in the code.
    pub is_use: bool,
    /// A `use` that is visible outside its module.
    pub is_reexport: bool,
    /// A `use` that ends with `*`; the path is that of the module.
    pub is_glob: bool,
    /// The name that a `use` brings into scope.
    pub name: String,
}

impl Import {
    /// Whether the path says itself that it leads to this crate.
    pub fn is_internal(&self) -> bool {
        ["crate", "self", "super", "sidekey"].contains(&self.path[0].as_str())
    }

    /// The top-level module that an absolute or relative path names.
    pub fn top_level_module(&self) -> Option<String> {
        let mut module = match self.path[0].as_str() {
            "crate" | "sidekey" => Vec::new(),
            "self" | "super" => self.scope.clone(),
            _ => return None,
        };
        for segment in &self.path {
            match segment.as_str() {
                "crate" | "sidekey" | "self" => (),
                "super" => drop(module.pop()),
                name => module.push(name.to_owned()),
            }
        }
        module.into_iter().next()
    }
}

/// Every path in a file, without what exists in tests only.
pub fn of(file: &File) -> Vec<Import> {
    let mut collector = Collector { scope: file.module.clone(), found: Vec::new() };
    collector.visit_file(&file.ast);
    collector.found
}

/// The paths of one `use`.
pub fn of_use(item: &ItemUse, scope: &[String]) -> Vec<Import> {
    let mut found = Vec::new();
    if item.leading_colon.is_none() {
        flatten(&item.tree, &mut Vec::new(), &mut |path, name, is_glob, line| {
            found.push(Import {
                scope: scope.to_vec(),
                path,
                line,
                is_use: true,
                is_reexport: !is_private(&item.vis),
                is_glob,
                name,
            });
        });
    }
    found
}

fn flatten(
    tree: &UseTree,
    prefix: &mut Vec<String>,
    found: &mut impl FnMut(Vec<String>, String, bool, usize),
) {
    let mut leaf = |prefix: &[String], ident: &syn::Ident, name: &syn::Ident| {
        // `a::{self}` is `a`.
        let mut path = prefix.to_vec();
        if ident != "self" || prefix.is_empty() {
            path.push(ident.to_string());
        }
        let name = if name == "self" { path.last().unwrap().clone() } else { name.to_string() };
        found(path, name, false, line_of(ident));
    };
    match tree {
        UseTree::Path(path) => {
            prefix.push(path.ident.to_string());
            flatten(&path.tree, prefix, found);
            prefix.pop();
        }
        UseTree::Name(name) => leaf(prefix, &name.ident, &name.ident),
        UseTree::Rename(rename) => leaf(prefix, &rename.ident, &rename.rename),
        UseTree::Glob(glob) => found(prefix.clone(), "*".into(), true, line_of(glob)),
        UseTree::Group(group) => {
            for tree in &group.items {
                flatten(tree, prefix, found);
            }
        }
    }
}

struct Collector {
    scope: ModulePath,
    found: Vec<Import>,
}

impl Collector {
    fn add(&mut self, path: Vec<String>, line: usize) {
        let scope = self.scope.clone();
        let name = String::new();
        self.found.push(Import {
            scope,
            path,
            line,
            is_use: false,
            is_reexport: false,
            is_glob: false,
            name,
        });
    }
}

impl Visit<'_> for Collector {
    fn visit_item(&mut self, item: &Item) {
        if !is_test(attributes(item)) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_mod(&mut self, module: &ItemMod) {
        self.scope.push(module.ident.to_string());
        visit::visit_item_mod(self, module);
        self.scope.pop();
    }

    fn visit_item_use(&mut self, item: &ItemUse) {
        self.found.extend(of_use(item, &self.scope));
    }

    fn visit_path(&mut self, path: &syn::Path) {
        if path.leading_colon.is_none() {
            let segments: Vec<_> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
            self.add(segments, line_of(path));
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, invocation: &Macro) {
        visit::visit_macro(self, invocation);
        paths_in(&invocation.tokens, &mut |path, line| self.add(path, line));
    }

    fn visit_impl_item(&mut self, item: &ImplItem) {
        let attributes = match item {
            ImplItem::Const(item) => &item.attrs,
            ImplItem::Fn(item) => &item.attrs,
            ImplItem::Type(item) => &item.attrs,
            _ => return visit::visit_impl_item(self, item),
        };
        if !is_test(attributes) {
            visit::visit_impl_item(self, item);
        }
    }

    fn visit_trait_item(&mut self, item: &TraitItem) {
        let TraitItem::Fn(function) = item else { return visit::visit_trait_item(self, item) };
        if !is_test(&function.attrs) {
            visit::visit_trait_item(self, item);
        }
    }

    fn visit_field(&mut self, field: &Field) {
        if !is_test(&field.attrs) {
            visit::visit_field(self, field);
        }
    }

    fn visit_stmt(&mut self, statement: &Stmt) {
        let attributes = match statement {
            Stmt::Local(local) => &local.attrs,
            Stmt::Macro(invocation) => &invocation.attrs,
            Stmt::Expr(Expr::Block(expression), _) => &expression.attrs,
            Stmt::Expr(Expr::Call(expression), _) => &expression.attrs,
            Stmt::Expr(Expr::If(expression), _) => &expression.attrs,
            Stmt::Expr(Expr::MethodCall(expression), _) => &expression.attrs,
            _ => return visit::visit_stmt(self, statement),
        };
        if !is_test(attributes) {
            visit::visit_stmt(self, statement);
        }
    }

    /// Attributes name macros and options of derives.
    fn visit_attribute(&mut self, _: &Attribute) {}

    /// `pub(super)` is no import.
    fn visit_vis_restricted(&mut self, _: &VisRestricted) {}
}

/// The paths of two or more segments in the tokens of a macro, which are not parsed.
fn paths_in(tokens: &TokenStream, found: &mut impl FnMut(Vec<String>, usize)) {
    let (mut path, mut colons, mut line): (Vec<String>, usize, usize) = (Vec::new(), 0, 0);
    let mut end = |path: &mut Vec<String>, line: usize| {
        if path.len() > 1 {
            found(std::mem::take(path), line);
        }
        path.clear();
    };
    let mut groups = Vec::new();
    for token in tokens.clone() {
        match token {
            TokenTree::Ident(ident) => {
                if colons != 2 || path.is_empty() {
                    end(&mut path, line);
                    line = ident.span().start().line;
                }
                path.push(ident.to_string());
                colons = 0;
            }
            TokenTree::Punct(punct) if punct.as_char() == ':' => colons += 1,
            TokenTree::Group(group) => {
                end(&mut path, line);
                colons = 0;
                groups.push(group.stream());
            }
            TokenTree::Punct(_) | TokenTree::Literal(_) => {
                end(&mut path, line);
                colons = 0;
            }
        }
    }
    end(&mut path, line);
    for group in groups {
        paths_in(&group, found);
    }
}
