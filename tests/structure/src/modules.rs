//! The modules of a crate, and which file defines a name.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use syn::{Attribute, File, Item, UseTree, Visibility};

/// A module: a file, or a block in one.
pub(crate) struct Module {
    pub(crate) path: Vec<String>,
    pub(crate) file: usize,
    pub(crate) parent: Option<usize>,
    pub(crate) names: HashMap<String, Vec<Named>>,
    pub(crate) globs: Vec<Vec<String>>,
    pub(crate) items: Vec<Item>,
    /// Whether the module and all modules around it are `pub`.
    pub(crate) public: bool,
}

/// Meaning of a name in a module.
#[derive(Debug, Clone)]
pub(crate) enum Named {
    Module(usize),
    /// An item that this module defines.
    Here,
    /// Another name for this path, as seen from this module.
    Alias(Vec<String>),
}

/// All modules of a crate.
pub(crate) struct Modules {
    pub(crate) files: Vec<String>,
    pub(crate) all: Vec<Module>,
}

/// A `use`, flattened.
#[derive(Debug, Clone)]
pub(crate) struct Import {
    pub(crate) path: Vec<String>,
    pub(crate) name: Option<String>,
}

/// Whether an item is compiled for tests only.
pub(crate) fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let Ok(list) = attribute.meta.require_list() else {
            return false;
        };
        list.path.is_ident("cfg") && {
            let text = list.tokens.to_string().replace(' ', "");
            text == "test" || text.starts_with("all(test")
        }
    })
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

/// Name and visibility of an item that has them.
pub(crate) fn name_of(item: &Item) -> Option<(String, &Visibility)> {
    let (ident, vis) = match item {
        Item::Const(item) => (&item.ident, &item.vis),
        Item::Enum(item) => (&item.ident, &item.vis),
        Item::Fn(item) => (&item.sig.ident, &item.vis),
        Item::Static(item) => (&item.ident, &item.vis),
        Item::Struct(item) => (&item.ident, &item.vis),
        Item::Trait(item) => (&item.ident, &item.vis),
        Item::Type(item) => (&item.ident, &item.vis),
        _ => return None,
    };
    Some((ident.to_string(), vis))
}

/// The leaves of a `use` tree.
pub(crate) fn imports(tree: &UseTree) -> Vec<Import> {
    let mut out = Vec::new();
    flatten(tree, &mut Vec::new(), &mut out);
    out
}

fn flatten(tree: &UseTree, before: &mut Vec<String>, out: &mut Vec<Import>) {
    match tree {
        UseTree::Path(path) => {
            before.push(path.ident.to_string());
            flatten(&path.tree, before, out);
            before.pop();
        }
        UseTree::Name(name) => {
            let name = name.ident.to_string();
            let mut path = before.clone();
            let own = match name == "self" {
                true => before.last().cloned(),
                false => {
                    path.push(name.clone());
                    Some(name)
                }
            };
            out.push(Import { path, name: own });
        }
        UseTree::Rename(rename) => {
            let mut path = before.clone();
            if rename.ident != "self" {
                path.push(rename.ident.to_string());
            }
            out.push(Import {
                path,
                name: Some(rename.rename.to_string()),
            });
        }
        UseTree::Glob(_) => out.push(Import {
            path: before.clone(),
            name: None,
        }),
        UseTree::Group(group) => {
            for tree in &group.items {
                flatten(tree, before, out);
            }
        }
    }
}

impl Modules {
    pub(crate) fn new(parsed: &[(String, File)]) -> Self {
        let files = parsed.iter().map(|(path, _)| path.clone()).collect();
        let mut modules = Self {
            files,
            all: Vec::new(),
        };
        for root in ["lib.rs", "main.rs"] {
            if let Some(file) = parsed.iter().position(|(path, _)| path == root) {
                let items = parsed[file].1.items.clone();
                modules.add(parsed, Vec::new(), file, None, items, true);
            }
        }
        modules
    }

    fn add(
        &mut self,
        parsed: &[(String, File)],
        path: Vec<String>,
        file: usize,
        parent: Option<usize>,
        items: Vec<Item>,
        public: bool,
    ) -> usize {
        let id = self.all.len();
        let items: Vec<Item> = items
            .into_iter()
            .filter(|item| !is_test(attributes(item)))
            .collect();
        self.all.push(Module {
            path: path.clone(),
            file,
            parent,
            names: HashMap::new(),
            globs: Vec::new(),
            items: Vec::new(),
            public,
        });
        let mut names: HashMap<String, Vec<Named>> = HashMap::new();
        for item in &items {
            match item {
                Item::Mod(module) => {
                    let name = module.ident.to_string();
                    let mut below = path.clone();
                    below.push(name.clone());
                    let public = public && matches!(module.vis, Visibility::Public(_));
                    let child = match &module.content {
                        Some((_, items)) => Some((file, items.clone())),
                        None => {
                            find_file(parsed, &below).map(|at| (at, parsed[at].1.items.clone()))
                        }
                    };
                    if let Some((file, items)) = child {
                        let child = self.add(parsed, below, file, Some(id), items, public);
                        names.entry(name).or_default().push(Named::Module(child));
                    }
                }
                Item::Use(import) => {
                    for import in imports(&import.tree) {
                        match import.name {
                            Some(name) => {
                                names
                                    .entry(name)
                                    .or_default()
                                    .push(Named::Alias(import.path));
                            }
                            None => self.all[id].globs.push(import.path),
                        }
                    }
                }
                _ => {
                    if let Some((name, _)) = name_of(item) {
                        names.entry(name).or_default().insert(0, Named::Here);
                    }
                }
            }
        }
        self.all[id].names = names;
        self.all[id].items = items;
        id
    }

    /// Files that are part of a module.
    pub(crate) fn reached(&self) -> BTreeSet<usize> {
        self.all.iter().map(|module| module.file).collect()
    }

    /// The module and name that a path leads to, as seen from `module`. The remaining parts of the
    /// path are members of the item.
    pub(crate) fn resolve(&self, module: usize, path: &[String]) -> Option<Resolved> {
        self.resolve_to(module, path, 0)
    }

    fn resolve_to(&self, from: usize, path: &[String], depth: usize) -> Option<Resolved> {
        if depth > 20 {
            return None;
        }
        let mut at = from;
        let mut rest = path;
        let mut first = true;
        while let Some((name, after)) = rest.split_first() {
            match name.as_str() {
                "crate" if first => at = self.root(from),
                "self" if first => {}
                "super" => at = self.all[at].parent?,
                name => {
                    return self.member(at, name, after, depth);
                }
            }
            first = false;
            rest = after;
        }
        Some(Resolved::Module(at))
    }

    fn root(&self, mut at: usize) -> usize {
        while let Some(parent) = self.all[at].parent {
            at = parent;
        }
        at
    }

    fn member(&self, at: usize, name: &str, after: &[String], depth: usize) -> Option<Resolved> {
        let module = &self.all[at];
        if let Some(named) = module.names.get(name) {
            // A name may stand for a module, a value and a type at once. The first that resolves
            // counts.
            for named in named {
                let found = match named {
                    Named::Module(child) => match after.is_empty() {
                        true => Some(Resolved::Module(*child)),
                        false => self.resolve_in(*child, after, depth),
                    },
                    Named::Here => Some(Resolved::Item {
                        module: at,
                        name: name.to_owned(),
                        rest: after.to_vec(),
                    }),
                    Named::Alias(path) => {
                        let mut path = path.clone();
                        // `use name::...` inside the module of the same name would never end.
                        if path.first().is_some_and(|first| first == name) && path.len() == 1 {
                            None
                        } else {
                            path.extend(after.iter().cloned());
                            self.resolve_to(at, &path, depth + 1)
                        }
                    }
                };
                if found.is_some() {
                    return found;
                }
            }
        }
        for glob in &module.globs {
            let mut path = glob.clone();
            path.push(name.to_owned());
            path.extend(after.iter().cloned());
            if let Some(found) = self.resolve_to(at, &path, depth + 1) {
                return Some(found);
            }
        }
        None
    }

    fn resolve_in(&self, at: usize, path: &[String], depth: usize) -> Option<Resolved> {
        let (name, after) = path.split_first()?;
        match name.as_str() {
            "self" => self.resolve_in(at, after, depth),
            name => self.member(at, name, after, depth),
        }
    }

    /// The path of `path` in another crate, if it begins with one of `crates`, directly or through
    /// the imports of `module`.
    pub(crate) fn foreign(
        &self,
        module: usize,
        path: &[String],
        crates: &[&str],
    ) -> Option<Vec<String>> {
        let (first, after) = path.split_first()?;
        if crates.contains(&first.as_str()) {
            return Some(path.to_vec());
        }
        for named in self.all[module].names.get(first)? {
            if let Named::Alias(alias) = named
                && alias
                    .first()
                    .is_some_and(|first| crates.contains(&first.as_str()))
            {
                let mut path = alias.clone();
                path.extend(after.iter().cloned());
                return Some(path);
            }
        }
        None
    }

    /// Items that another crate can name, by the module and the name under which it finds them.
    pub(crate) fn public(&self) -> BTreeMap<Vec<String>, usize> {
        let mut out = BTreeMap::new();
        for (id, module) in self.all.iter().enumerate() {
            if !module.public {
                continue;
            }
            for item in &module.items {
                if let Item::Use(reexport) = item
                    && matches!(reexport.vis, Visibility::Public(_))
                {
                    for import in imports(&reexport.tree) {
                        self.note_reexport(id, &import, &mut out);
                    }
                }
                if let Some((name, Visibility::Public(_))) = name_of(item) {
                    let mut path = module.path.clone();
                    path.push(name);
                    out.insert(path, module.file);
                }
            }
        }
        out
    }

    fn note_reexport(&self, id: usize, import: &Import, out: &mut BTreeMap<Vec<String>, usize>) {
        let here = &self.all[id].path;
        let mut add = |name: String, module: usize| {
            let mut path = here.clone();
            path.push(name);
            out.insert(path, self.all[module].file);
        };
        match (self.resolve(id, &import.path), &import.name) {
            (Some(Resolved::Item { module, .. }), Some(name)) => add(name.clone(), module),
            (Some(Resolved::Module(module)), None) => {
                for item in &self.all[module].items {
                    if let Some((name, Visibility::Public(_))) = name_of(item) {
                        add(name, module);
                    }
                }
            }
            _ => {}
        }
    }
}

/// Target of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Resolved {
    Module(usize),
    Item {
        module: usize,
        name: String,
        rest: Vec<String>,
    },
}

fn find_file(parsed: &[(String, File)], path: &[String]) -> Option<usize> {
    let base = path.join("/");
    let names = [format!("{base}.rs"), format!("{base}/mod.rs")];
    parsed.iter().position(|(path, _)| names.contains(path))
}
