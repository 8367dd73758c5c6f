//! Prints the figures of the structure.

use std::path::Path;
use structure::{Reason, Tree, circles};

fn main() -> Result<(), String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    for (name, directory, foreign) in [
        ("core", "src", &[][..]),
        ("host", "host/src", &["durable_streams_edge"][..]),
    ] {
        let tree = Tree::read(&root.join(directory), foreign)?;
        let all = circles(&tree.arrows);
        let named = circles(tree.arrows.iter().filter(|a| a.reason == Reason::Named));
        let hidden = tree
            .arrows
            .iter()
            .filter(|a| a.reason == Reason::Called)
            .count();
        println!(
            "{name}: {} files, {} arrows, {hidden} of them without a name, public {}",
            tree.files.len(),
            tree.arrows.len(),
            tree.public.len()
        );
        println!("  circles of imports: {}", named.len());
        for circle in &named {
            println!("    {} {}", circle.len(), circle.join(" "));
        }
        println!("  circles: {}", all.len());
        for circle in &all {
            println!("    {} {}", circle.len(), circle.join(" "));
        }
        if std::env::args().any(|arg| arg == "--arrows") {
            for arrow in &tree.arrows {
                println!("  {} -> {} {:?}", arrow.from, arrow.to, arrow.reason);
            }
        }
        if std::env::args().any(|arg| arg == "--foreign") {
            for (file, path) in &tree.foreign {
                println!("  {file}: {}", path.join("::"));
            }
        }
    }
    Ok(())
}
