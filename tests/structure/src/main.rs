//! Prints the figures of the structure: files, arrows, circles, public names, lines.
//!
//! `--arrows` lists the arrows, and `--unused` the public names that no other crate names. `--prose`
//! lists the files with words in comments that stand in the place of nouns.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use structure::{Prose, Reason, Tree, circles, files, largest};

fn words(files: &[PathBuf]) -> BTreeSet<String> {
    let mut words = BTreeSet::new();
    for file in files {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        let split = text.split(|c: char| !c.is_alphanumeric() && c != '_');
        words.extend(split.map(str::to_owned));
    }
    words
}

fn main() -> Result<(), String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let asked = |flag: &str| std::env::args().any(|arg| arg == flag);
    for (name, directory, foreign) in [
        ("core", "src", &[][..]),
        ("host", "host/src", &["durable_streams_edge"][..]),
    ] {
        let tree = Tree::read(&root.join(directory), foreign)?;
        let all = circles(&tree.arrows);
        let named = circles(tree.arrows.iter().filter(|a| a.reason == Reason::Named));
        let hidden = tree.arrows.iter().filter(|a| a.reason == Reason::Called);
        let own = root.join(directory);
        let mut others = files(&root);
        others.retain(|file| !file.starts_with(&own) || file.ends_with("host/src/main.rs"));
        let words = words(&others);
        let unused: Vec<_> = tree
            .public
            .keys()
            .filter(|path| path.last().is_some_and(|last| !words.contains(last)))
            .collect();
        println!(
            "{name}: {} files, {} arrows, {} of them by a method only, {} public names, {} of them \
             named by no other crate",
            tree.files.len(),
            tree.arrows.len(),
            hidden.count(),
            tree.public.len(),
            unused.len(),
        );
        println!(
            "  circles: {} by names, {} in all; largest {}",
            named.len(),
            all.len(),
            largest(&all)
        );
        for circle in &all {
            println!("    {}", circle.join(" "));
        }
        if asked("--arrows") {
            for arrow in &tree.arrows {
                println!("  {} -> {} {:?}", arrow.from, arrow.to, arrow.reason);
            }
        }
        if asked("--unused") {
            for path in unused {
                println!("  {}", path.join("::"));
            }
        }
    }
    let mut prose = Prose::default();
    for file in files(&root) {
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        let own = Prose::of(&text);
        if asked("--prose") && own.who + own.what > 0 {
            println!("  {:>3} {}", own.who + own.what, file.display());
        }
        prose += own;
    }
    let (who, what) = prose.shares();
    println!(
        "prose: {} comment lines, {} with who-words ({who} in 1,000), {} with \"what\" ({what} in 1,000)",
        prose.comments, prose.who, prose.what
    );
    println!("lines of Rust:");
    for area in [
        "src",
        "host/src",
        "host/benches",
        "host/dist",
        "host/xtask",
        "tests",
    ] {
        let files = files(&root.join(area));
        let lines = files
            .iter()
            .map(|file| std::fs::read_to_string(file).map_or(0, |text| text.lines().count()));
        println!("  {area}: {}", lines.sum::<usize>());
    }
    Ok(())
}
