//! The subcommands, and the way to each of them.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use super::exit::EXIT_USAGE;
use super::{
    actions, ca, check, completions, demo, exec, explain, hash_key, inject, login, man, probe, run, schema,
    services, show, status, test, webhook,
};

/// Sidekey holds a program's API credentials so that the program does not have to.
#[derive(Debug, Parser)]
#[command(name = "sidekey", version, about, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the proxy.
    Run(run::Args),
    /// Run a command behind a Sidekey of its own, without the secrets of the configuration.
    Exec(exec::Args),
    /// Check the configuration: report every error in it, and list its services.
    Check(check::Args),
    /// Test a service: obtain its credential, call its upstream once, and explain the outcome.
    Test(test::Args),
    /// Print the services of the running process and their state.
    Status(status::Args),
    /// Print the effective settings of a service, with defaults and where each secret is read from.
    Show(show::Args),
    /// Have the running process request a new token for a service.
    Refresh(actions::RefreshArgs),
    /// Have the running process read its configuration and every file that it names.
    Reload(actions::ReloadArgs),
    /// Say whether the rules of a service allow a request, and which rule decides.
    Explain(explain::Args),
    /// Add a service to the services file, from a provider that is known or a kind of credential.
    Add(services::add::Args),
    /// Change keys of a service in the services file.
    Edit(services::edit::Args),
    /// Take a service out of the services file.
    Remove(services::remove::Args),
    /// Switch a service of the services file on.
    Enable(services::toggle::EnableArgs),
    /// Switch a service of the services file off; its settings stay.
    Disable(services::toggle::DisableArgs),
    /// Give a service a new secret, and keep the old one in use until the upstream accepts the new one.
    Rotate(services::rotate::Args),
    /// Add the sidecar to manifests of Kubernetes, or take it out again.
    Inject(inject::Args),
    /// Make a key for a caller, and print it with its hash.
    HashKey(hash_key::Args),
    /// Manage the certificate authority for interception.
    #[command(subcommand)]
    Ca(ca::Ca),
    /// Log in to a service whose grant needs a user: authorization code, or device code.
    Login(login::Args),
    /// Start a demo on loopback: an echo upstream, a token endpoint and services of several kinds.
    Demo(demo::Args),
    /// Ask a running Sidekey whether it is ready, for the health check of a container.
    Probe(probe::Args),
    /// Run the admission webhook of Kubernetes, which adds the sidecar to pods that ask for it.
    Webhook(Box<webhook::Args>),
    /// Print the JSON Schema of the services file, for editors.
    Schema(schema::Args),
    /// Print the completions of a shell: bash, elvish, fish, powershell, zsh.
    Completions(completions::Args),
    /// Write the man pages.
    Man(man::Args),
}

/// Runs the program with the process's arguments.
pub fn main() -> ExitCode {
    if let Some(command) = exec::command_of_launcher(std::env::args_os()) {
        return exec::launch(&command);
    }
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            return if error.use_stderr() { ExitCode::from(EXIT_USAGE) } else { ExitCode::SUCCESS };
        }
    };
    match cli.command {
        Command::Run(args) => run::run(&args),
        Command::Exec(args) => exec::exec(&args),
        Command::Check(args) => check::check(&args),
        Command::Test(args) => test::test(&args),
        Command::Status(args) => status::status(&args),
        Command::Show(args) => show::show(&args),
        Command::Refresh(args) => actions::refresh(&args),
        Command::Reload(args) => actions::reload(&args),
        Command::Explain(args) => explain::explain(&args),
        Command::Add(args) => services::add::add(&args),
        Command::Edit(args) => services::edit::edit(&args),
        Command::Remove(args) => services::remove::remove(&args),
        Command::Enable(args) => services::toggle::enable(&args),
        Command::Disable(args) => services::toggle::disable(&args),
        Command::Rotate(args) => services::rotate::rotate(&args),
        Command::Inject(args) => inject::inject(&args),
        Command::HashKey(args) => hash_key::hash_key(&args),
        Command::Ca(command) => ca::ca(&command),
        Command::Login(args) => login::login(&args),
        Command::Demo(args) => demo::demo(&args),
        Command::Probe(args) => probe::probe(&args),
        Command::Webhook(args) => webhook::webhook(&args),
        Command::Schema(args) => schema::schema(&args),
        Command::Completions(args) => completions::completions::<Cli>(&args),
        Command::Man(args) => man::man::<Cli>(&args),
    }
}
