//! Makes the packages of a built program. `cargo xtask dist` builds the program and runs this.

use clap::Parser;
use dist::{Order, make};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Makes the packages of a built program.
#[derive(Debug, Parser)]
struct Arguments {
    /// The program, stripped
    #[arg(long, value_name = "FILE")]
    program: PathBuf,
    /// Directory for the packages
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Time of all files in the packages, in Unix seconds
    #[arg(long, value_name = "SECONDS")]
    epoch: u64,
    /// Leave out the image, which takes the C library of this machine
    #[arg(long)]
    no_image: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let order = Order {
        root: Path::new(env!("CARGO_MANIFEST_DIR")).join("../.."),
        program: arguments.program,
        out: arguments.out,
        epoch: arguments.epoch,
        image: !arguments.no_image,
    };
    match make(&order) {
        Ok(lines) => {
            for line in lines {
                println!("    {line}");
            }
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("dist: {error}");
            ExitCode::FAILURE
        }
    }
}
