//! The arrows of a crate.

use crate::modules::{Modules, Resolved, imports, is_test};
use crate::shared::{Defined, Shared, defined};
use proc_macro2::{TokenStream, TokenTree};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use syn::visit::{self, Visit};
use syn::{Expr, Item, Visibility};

/// Why a file has an arrow to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// It names an item.
    Named,
    /// It calls a method of a shared type, and names nothing of the file.
    Called,
}

/// An arrow between two files.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Arrow {
    /// The file that uses the other.
    pub from: String,
    /// The file that is used.
    pub to: String,
    /// The reason for the arrow.
    pub reason: Reason,
}

type Found = (
    BTreeMap<(usize, usize), Reason>,
    BTreeSet<(usize, Vec<String>)>,
);

/// All arrows between different files, and the paths into other crates.
pub(crate) fn find(modules: &Modules, foreign: &[&str]) -> Found {
    let shared = Shared::find(modules);
    let mut arrows = BTreeMap::new();
    let mut named = BTreeSet::new();
    for (id, module) in modules.all.iter().enumerate() {
        let mut finder = Finder {
            modules,
            shared: &shared,
            foreign,
            module: id,
            own: None,
            depth: 0,
            local: HashMap::new(),
            arrows: &mut arrows,
            named: &mut named,
        };
        for item in &module.items {
            if matches!(item, Item::Mod(_)) {
                continue;
            }
            finder.local.clear();
            finder.visit_item(item);
        }
    }
    arrows.retain(|(from, to), _| from != to);
    (arrows, named)
}

struct Finder<'a> {
    modules: &'a Modules,
    shared: &'a Shared,
    foreign: &'a [&'a str],
    module: usize,
    /// The type of the `impl` block under visit.
    own: Option<Defined>,
    /// Depth of blocks around the visited place.
    depth: usize,
    /// Names that a `use` in a block defines, within the visited item.
    local: HashMap<String, Vec<String>>,
    arrows: &'a mut BTreeMap<(usize, usize), Reason>,
    named: &'a mut BTreeSet<(usize, Vec<String>)>,
}

impl Finder<'_> {
    fn arrow(&mut self, to: usize, reason: Reason) {
        let from = self.modules.all[self.module].file;
        let known = self.arrows.entry((from, to)).or_insert(reason);
        *known = (*known).min(reason);
    }

    fn path(&mut self, path: &[String]) {
        let file = self.modules.all[self.module].file;
        let full = match path.split_first() {
            Some((first, rest)) if self.local.contains_key(first) => {
                [&self.local[first], rest].concat()
            }
            _ => path.to_vec(),
        };
        let path = &full;
        if let Some(path) = self.modules.foreign(self.module, path, self.foreign) {
            self.named.insert((file, path));
            return;
        }
        let Some(Resolved::Item { module, name, rest }) = self.modules.resolve(self.module, path)
        else {
            return;
        };
        self.arrow(self.modules.all[module].file, Reason::Named);
        // `Type::method`, with the method in another file.
        if let Some(method) = rest.first()
            && let Some(file) = self.shared.file_of(&(module, name), method)
        {
            self.arrow(file, Reason::Called);
        }
    }

    fn tokens(&mut self, tokens: TokenStream) {
        let mut path: Vec<String> = Vec::new();
        let mut colons = 0;
        for token in tokens {
            match token {
                TokenTree::Ident(ident) => {
                    if colons != 2 {
                        self.flush(&mut path);
                    }
                    path.push(ident.to_string());
                    colons = 0;
                }
                TokenTree::Punct(punct) if punct.as_char() == ':' => colons += 1,
                TokenTree::Group(group) => {
                    self.flush(&mut path);
                    colons = 0;
                    self.tokens(group.stream());
                }
                TokenTree::Punct(_) | TokenTree::Literal(_) => {
                    self.flush(&mut path);
                    colons = 0;
                }
            }
        }
        self.flush(&mut path);
    }

    fn flush(&mut self, path: &mut Vec<String>) {
        if !path.is_empty() {
            self.path(path);
            path.clear();
        }
    }
}

/// The name of the receiver of a call: its last part.
fn receiver(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Path(path) => path.path.get_ident().map(ToString::to_string),
        Expr::Field(field) => match &field.member {
            syn::Member::Named(name) => Some(name.to_string()),
            syn::Member::Unnamed(_) => None,
        },
        Expr::MethodCall(call) if call.args.is_empty() => Some(call.method.to_string()),
        Expr::Paren(inner) => receiver(&inner.expr),
        Expr::Reference(inner) => receiver(&inner.expr),
        Expr::Unary(inner) => receiver(&inner.expr),
        _ => None,
    }
}

impl<'ast> Visit<'ast> for Finder<'_> {
    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        if !matches!(item.vis, Visibility::Inherited) {
            return;
        }
        for import in imports(&item.tree) {
            self.path(&import.path);
            if let Some(name) = import.name
                && self.depth > 0
            {
                self.local.insert(name, import.path);
            }
        }
    }

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        if !is_test(&item.attrs) {
            visit::visit_item_mod(self, item);
        }
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        let before = self.own.take();
        self.own = defined(self.modules, self.module, &item.self_ty);
        visit::visit_item_impl(self, item);
        self.own = before;
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let mut names: Vec<String> = path
            .segments
            .iter()
            .map(|segment| segment.ident.to_string())
            .collect();
        if names.first().is_some_and(|first| first == "Self") {
            if let (Some(own), Some(method)) = (&self.own, names.get(1))
                && let Some(file) = self.shared.file_of(own, method)
            {
                self.arrow(file, Reason::Called);
            }
            names.clear();
        }
        if !names.is_empty() {
            self.path(&names);
        }
        visit::visit_path(self, path);
    }

    fn visit_expr_method_call(&mut self, call: &'ast syn::ExprMethodCall) {
        let method = call.method.to_string();
        let file = match receiver(&call.receiver) {
            Some(name) if name == "self" => self
                .own
                .as_ref()
                .and_then(|own| self.shared.file_of(own, &method)),
            Some(name) => self.shared.called(&name, &method),
            None => None,
        };
        if let Some(file) = file {
            self.arrow(file, Reason::Called);
        }
        visit::visit_expr_method_call(self, call);
    }

    fn visit_macro(&mut self, item: &'ast syn::Macro) {
        self.tokens(item.tokens.clone());
        visit::visit_macro(self, item);
    }

    fn visit_block(&mut self, block: &'ast syn::Block) {
        self.depth += 1;
        visit::visit_block(self, block);
        self.depth -= 1;
    }

    fn visit_visibility(&mut self, _: &'ast Visibility) {}
}
