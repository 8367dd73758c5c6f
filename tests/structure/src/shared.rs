//! Shared types: types with inherent methods in more than one file.

use crate::modules::{Modules, Resolved};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use syn::visit::{self, Visit};
use syn::{FnArg, ImplItem, Item, Pat, ReturnType, Type};

/// A type: its module and name.
pub(crate) type Defined = (usize, String);

/// The methods of shared types, and the names of values of these types.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    /// The file of each method.
    methods: HashMap<Defined, HashMap<String, usize>>,
    /// Names of parameters, fields and methods without arguments that give a value of the type.
    values: HashMap<String, HashSet<Defined>>,
}

/// The type that a type expression names, as seen from `module`; through references and boxes.
pub(crate) fn defined(modules: &Modules, module: usize, ty: &Type) -> Option<Defined> {
    match ty {
        Type::Reference(reference) => defined(modules, module, &reference.elem),
        Type::Paren(inner) => defined(modules, module, &inner.elem),
        Type::Path(path) => {
            let last = path.path.segments.last()?;
            if ["Arc", "Rc", "Box", "Option"]
                .iter()
                .any(|name| last.ident == name)
                && let syn::PathArguments::AngleBracketed(args) = &last.arguments
                && let Some(syn::GenericArgument::Type(inner)) = args.args.first()
            {
                return defined(modules, module, inner);
            }
            let names: Vec<String> = path
                .path
                .segments
                .iter()
                .map(|segment| segment.ident.to_string())
                .collect();
            match modules.resolve(module, &names)? {
                Resolved::Item { module, name, .. } => Some((module, name)),
                Resolved::Module(_) => None,
            }
        }
        _ => None,
    }
}

impl Shared {
    pub(crate) fn find(modules: &Modules) -> Self {
        let mut methods: HashMap<Defined, HashMap<String, usize>> = HashMap::new();
        let mut homes: BTreeMap<Defined, BTreeSet<usize>> = BTreeMap::new();
        for (id, module) in modules.all.iter().enumerate() {
            for item in &module.items {
                let Item::Impl(implementation) = item else {
                    continue;
                };
                if implementation.trait_.is_some() {
                    continue;
                }
                let Some(ty) = defined(modules, id, &implementation.self_ty) else {
                    continue;
                };
                for item in &implementation.items {
                    if let ImplItem::Fn(function) = item {
                        let name = function.sig.ident.to_string();
                        methods
                            .entry(ty.clone())
                            .or_default()
                            .insert(name, module.file);
                        homes.entry(ty.clone()).or_default().insert(module.file);
                    }
                }
            }
        }
        methods.retain(|ty, _| {
            let home = modules.all[ty.0].file;
            homes[ty].iter().any(|file| *file != home)
        });
        let mut shared = Self {
            methods,
            values: HashMap::new(),
        };
        for (id, module) in modules.all.iter().enumerate() {
            let mut values = Values {
                modules,
                module: id,
                shared: &mut shared,
            };
            for item in &module.items {
                values.visit_item(item);
            }
        }
        shared
    }

    /// The file that defines a method of a shared type.
    pub(crate) fn file_of(&self, ty: &Defined, method: &str) -> Option<usize> {
        self.methods.get(ty)?.get(method).copied()
    }

    /// The file of a method that is called on a value with this name.
    pub(crate) fn called(&self, name: &str, method: &str) -> Option<usize> {
        let types = self.values.get(name)?;
        types.iter().find_map(|ty| self.file_of(ty, method))
    }
}

struct Values<'a> {
    modules: &'a Modules,
    module: usize,
    shared: &'a mut Shared,
}

impl Values<'_> {
    fn note(&mut self, name: &str, ty: &Type) {
        if let Some(ty) = defined(self.modules, self.module, ty)
            && self.shared.methods.contains_key(&ty)
        {
            self.shared
                .values
                .entry(name.to_owned())
                .or_default()
                .insert(ty);
        }
    }
}

impl<'ast> Visit<'ast> for Values<'_> {
    fn visit_field(&mut self, field: &'ast syn::Field) {
        if let Some(name) = &field.ident {
            self.note(&name.to_string(), &field.ty);
        }
    }

    fn visit_signature(&mut self, signature: &'ast syn::Signature) {
        for input in &signature.inputs {
            if let FnArg::Typed(typed) = input
                && let Pat::Ident(name) = &*typed.pat
            {
                self.note(&name.ident.to_string(), &typed.ty);
            }
        }
        if let ReturnType::Type(_, ty) = &signature.output {
            self.note(&signature.ident.to_string(), ty);
        }
        visit::visit_signature(self, signature);
    }
}
