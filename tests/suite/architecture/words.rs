//! The words of a file's code: identifiers, calls, macros and texts, without comments and tests.

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Attribute, ExprMethodCall, Ident, ImplItemFn, Item, Lit, Macro, Path, UsePath, UseTree};

use super::program::{File, attributes, is_test, line_of};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Identifier,
    /// The method of a call, or the last segment of a path.
    Call,
    /// The last two segments of a path or an import, such as `fs::read`.
    Path,
    Macro,
    /// A word of a text.
    Text,
}

/// The places of the words of a file that a rule is about.
pub fn places(file: &File, is_meant: impl Fn(Kind, &str) -> bool) -> Vec<String> {
    let mut words = Words(Vec::new());
    words.visit_file(&file.ast);
    let meant = words.0.into_iter().filter(|(kind, word, _)| is_meant(*kind, word));
    meant.map(|(_, word, line)| format!("src/{}:{line}: {word}", file.path)).collect()
}

struct Words(Vec<(Kind, String, usize)>);

impl Words {
    fn add(&mut self, kind: Kind, word: &impl ToString, line: usize) {
        self.0.push((kind, word.to_string(), line));
    }

    fn add_text(&mut self, text: &str, line: usize) {
        for word in text.split(|c: char| !c.is_alphanumeric() && c != '_') {
            self.add(Kind::Text, &word, line);
        }
    }

    fn add_tokens(&mut self, tokens: TokenStream) {
        let tokens: Vec<_> = tokens.into_iter().collect();
        let is_punct = |token: Option<&TokenTree>, marks: &[char]| matches!(token, Some(TokenTree::Punct(punct)) if marks.contains(&punct.as_char()));
        for (index, token) in tokens.iter().enumerate() {
            let line = token.span().start().line;
            match token {
                TokenTree::Group(group) => self.add_tokens(group.stream()),
                TokenTree::Ident(ident) => {
                    self.add(Kind::Identifier, ident, line);
                    if let (Some(TokenTree::Ident(of)), true) = (
                        tokens.get(index.wrapping_sub(3)),
                        is_punct(tokens.get(index.wrapping_sub(1)), &[':']),
                    ) {
                        self.add(Kind::Path, &format!("{of}::{ident}"), line);
                    }
                    if is_punct(tokens.get(index.wrapping_sub(1)), &['.', ':']) {
                        self.add(Kind::Call, ident, line);
                    }
                    if is_punct(tokens.get(index + 1), &['!']) {
                        self.add(Kind::Macro, ident, line);
                    }
                }
                TokenTree::Literal(literal) => self.add_text(&literal.to_string(), line),
                TokenTree::Punct(_) => (),
            }
        }
    }
}

impl Visit<'_> for Words {
    fn visit_item(&mut self, item: &Item) {
        if !is_test(attributes(item)) {
            visit::visit_item(self, item);
        }
    }

    fn visit_impl_item_fn(&mut self, function: &ImplItemFn) {
        if !is_test(&function.attrs) {
            visit::visit_impl_item_fn(self, function);
        }
    }

    fn visit_ident(&mut self, ident: &Ident) {
        self.add(Kind::Identifier, ident, line_of(ident));
    }

    fn visit_expr_method_call(&mut self, call: &ExprMethodCall) {
        self.add(Kind::Call, &call.method, line_of(&call.method));
        visit::visit_expr_method_call(self, call);
    }

    fn visit_path(&mut self, path: &Path) {
        if let (Some(last), true) = (path.segments.last(), path.segments.len() > 1) {
            self.add(Kind::Call, &last.ident, line_of(&last.ident));
            let of = &path.segments[path.segments.len() - 2].ident;
            self.add(Kind::Path, &format!("{of}::{}", last.ident), line_of(&last.ident));
        }
        visit::visit_path(self, path);
    }

    fn visit_use_path(&mut self, import: &UsePath) {
        for item in imported(&import.tree) {
            self.add(Kind::Path, &format!("{}::{item}", import.ident), line_of(item));
        }
        visit::visit_use_path(self, import);
    }

    fn visit_macro(&mut self, invocation: &Macro) {
        if let Some(name) = invocation.path.segments.last() {
            self.add(Kind::Macro, &name.ident, line_of(&name.ident));
        }
        visit::visit_macro(self, invocation);
        self.add_tokens(invocation.tokens.clone());
    }

    fn visit_lit(&mut self, literal: &Lit) {
        if let Lit::Str(text) = literal {
            self.add_text(&text.value(), line_of(text));
        }
    }

    /// Documentation is an attribute.
    fn visit_attribute(&mut self, _: &Attribute) {}
}

/// The first identifiers of the trees below an import's path.
fn imported(tree: &UseTree) -> Vec<&Ident> {
    match tree {
        UseTree::Path(path) => vec![&path.ident],
        UseTree::Name(name) => vec![&name.ident],
        UseTree::Rename(rename) => vec![&rename.ident],
        UseTree::Glob(_) => Vec::new(),
        UseTree::Group(group) => group.items.iter().flat_map(imported).collect(),
    }
}
