//! Completions and the man page.

use clap::ValueEnum;
use clap_complete::Shell;

/// Shell with completions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ShellName {
    /// Bash
    Bash,
    /// Zsh
    Zsh,
    /// Fish
    Fish,
}

/// Completions of the whole program.
pub(crate) fn completions(shell: ShellName, mut program: clap::Command) -> String {
    let name = program.get_name().to_owned();
    let shell = match shell {
        ShellName::Bash => Shell::Bash,
        ShellName::Zsh => Shell::Zsh,
        ShellName::Fish => Shell::Fish,
    };
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut program, name, &mut text);
    String::from_utf8_lossy(&text).into_owned()
}

/// The man page of the whole program, in roff: the program, then each of its commands.
pub(crate) fn man(mut program: clap::Command) -> String {
    program.build();
    let mut text = Vec::new();
    // Writing to memory never fails.
    let _ = clap_mangen::Man::new(program.clone()).render(&mut text);
    for command in program
        .get_subcommands()
        .filter(|command| !command.is_hide_set())
    {
        let name = command.get_name();
        if name == "help" {
            continue;
        }
        let section = clap_mangen::Man::new(command.clone());
        text.extend_from_slice(format!(".SH COMMAND {}\n", name.to_uppercase()).as_bytes());
        let _ = section.render_synopsis_section(&mut text);
        let _ = section.render_description_section(&mut text);
        let _ = section.render_options_section(&mut text);
    }
    String::from_utf8_lossy(&text).into_owned()
}
