//! The command: arguments, order and exit code.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use super::input::{self, Input};
use super::report::{Report, one_line};
use super::settings_args::SettingsArgs;
use crate::cli::exit::EXIT_USAGE;
use crate::inject::text::{self, Manifest};
use crate::secret::replace_file;

/// Arguments of `sidekey inject`.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// Manifests: files, folders, or `-` for standard input.
    #[arg(value_name = "FILE|FOLDER|-", required = true)]
    paths: Vec<PathBuf>,
    /// Take the sidecar out of manifests that it was added to by this command.
    #[arg(long)]
    uninject: bool,
    /// Write to the files, not to standard output.
    #[arg(long, short = 'i', conflicts_with = "check")]
    in_place: bool,
    /// Write nothing. Fail if the output differs from the input.
    #[arg(long)]
    check: bool,
    #[command(flatten)]
    settings: SettingsArgs,
}

/// Writes the manifests with the sidecar, and reports on standard error what was done with each object. Nothing is written if one of
/// them has a mistake.
#[expect(clippy::print_stderr, reason = "an operator reads it")]
pub(in crate::cli) fn inject(args: &Args) -> ExitCode {
    let settings = match args.settings.settings() {
        Ok(settings) => settings,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::from(EXIT_USAGE);
        }
    };
    let inputs = match input::read(&args.paths) {
        Ok(inputs) => inputs,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    if args.in_place && inputs.iter().any(|input| input.path.is_none()) {
        eprintln!("standard input cannot be written to: leave `--in-place` out");
        return ExitCode::from(EXIT_USAGE);
    }
    let change = |input: &Input| {
        if args.uninject { text::uninject(&input.text) } else { text::inject(&input.text, &settings) }
    };
    let (mut manifests, mut report, mut errors) = (Vec::new(), Report::default(), Vec::new());
    for input in &inputs {
        match change(input) {
            Ok(manifest) => {
                report.add(&input.name(), &manifest.objects, args.uninject);
                manifests.push(manifest);
            }
            Err(error) => errors.push(one_line(&format!("{}: {error}", input.name())) + "\n"),
        }
    }
    if !errors.is_empty() {
        eprintln!("{}nothing was written", errors.concat());
        return ExitCode::FAILURE;
    }
    let written = if args.check {
        Ok(())
    } else if args.in_place {
        write_in_place(&inputs, &manifests)
    } else {
        io::stdout().lock().write_all(stream(&manifests).as_bytes()).map_err(|error| error.to_string())
    };
    eprint!("{}", report.text(args.uninject));
    let differs = inputs.iter().zip(&manifests).any(|(input, manifest)| input.text != manifest.text);
    match written {
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
        Ok(()) if args.check && differs => ExitCode::FAILURE,
        Ok(()) => ExitCode::SUCCESS,
    }
}

fn write_in_place(inputs: &[Input], manifests: &[Manifest]) -> Result<(), String> {
    for (input, manifest) in inputs.iter().zip(manifests) {
        if let Some(path) = input.path.as_ref().filter(|_| input.text != manifest.text) {
            replace_file(path, manifest.text.as_bytes())
                .map_err(|error| format!("{}: {error}; files after it are unchanged", path.display()))?;
        }
    }
    Ok(())
}

/// Several texts as one, with document markers between them.
fn stream(manifests: &[Manifest]) -> String {
    let mut stream = String::new();
    for (index, manifest) in manifests.iter().enumerate() {
        if index > 0 && !stream.is_empty() {
            if !stream.ends_with('\n') {
                stream.push('\n');
            }
            if !manifest.text.starts_with("---") {
                stream.push_str("---\n");
            }
        }
        stream.push_str(&manifest.text);
    }
    stream
}
