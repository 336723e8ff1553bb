//! The command line: the server, and what operators and scripts do without a browser.

mod audit;
mod books;
mod catalog;
mod codes;
mod database;
pub mod doctor;
mod issue;
mod mail;
mod people;
mod secrets;
mod topups;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Parser, Subcommand};

use self::database::Purpose;
use crate::boot;
use crate::config::{Config, Sources};

/// Self-hosted, credit-metered AI portal with an OpenAI-compatible gateway.
#[derive(Parser)]
#[command(name = "farebox", version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the server.
    Serve,
    /// Bring the database's schema up to date.
    Migrate,
    /// Check the books, release holds that expired, or put settlements back that were put aside.
    #[command(subcommand)]
    Ledger(books::Ledger),
    /// Check the audit logs, and take and print their anchors.
    #[command(subcommand)]
    Audit(audit::Audit),
    /// Look at mails that could not be sent, and send them anew.
    #[command(subcommand)]
    Mail(mail::Mail),
    /// Make accounts.
    #[command(subcommand)]
    User(people::User),
    /// Give credits.
    #[command(subcommand)]
    Credits(people::Credits),
    /// Make, list and revoke redemption codes.
    #[command(subcommand)]
    Codes(codes::Codes),
    /// Look at purchases, refund them, and compare the books with the payment processors.
    #[command(subcommand)]
    Topups(topups::TopUps),
    /// Issue keys.
    #[command(subcommand)]
    Keys(issue::Keys),
    /// Apply or export the catalog of providers, models and prices.
    #[command(subcommand)]
    Catalog(catalog::CatalogCommand),
    /// Store upstream keys.
    #[command(subcommand)]
    Providers(catalog::Providers),
    /// Change the keys that seal the secrets of organizations.
    #[command(subcommand)]
    Secrets(secrets::Secrets),
    /// Look at everything that this instance depends on, and say what to do. Exit code 0 when all is well, 1 with
    /// warnings, 2 with faults. Nothing is changed.
    Doctor(doctor::Options),
    /// Look at the configuration.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Print the OpenAPI document of this instance's API.
    Openapi {
        /// Write it to a file instead.
        #[arg(long)]
        out: Option<PathBuf>,
    },
}

impl Command {
    /// What the command may do to a database that is not as this program wants it.
    fn purpose(&self) -> Purpose {
        match self {
            Command::Serve => Purpose::Serve,
            Command::Migrate => Purpose::Migrate,
            Command::User(people::User::Create { .. })
            | Command::Keys(_)
            | Command::Catalog(catalog::CatalogCommand::Apply { .. }) => Purpose::Fill,
            _ => Purpose::Use,
        }
    }
}

#[derive(Subcommand)]
enum ConfigCommand {
    /// Check every setting and print the effective values, secrets hidden.
    Check,
}

/// Runs the command that the arguments name. Errors go to standard error and give exit code 1.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    // Only fails when another provider was installed before, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    match run(cli) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("farebox: {}", told(&error));
            ExitCode::FAILURE
        }
    }
}

/// What went wrong and why, each once: many an error says its cause itself.
fn told(error: &anyhow::Error) -> String {
    error.chain().map(ToString::to_string).fold(String::new(), |said, cause| match said {
        said if said.is_empty() => cause,
        said if said.contains(cause.trim()) => said,
        said => format!("{said}: {cause}"),
    })
}

fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    if let Command::Openapi { out } = cli.command {
        return openapi(out);
    }
    if let Command::Doctor(options) = cli.command {
        return doctor::run(&options);
    }
    let config = Config::load(&Sources::from_environment()?)?;
    if let Command::Config(ConfigCommand::Check) = cli.command {
        for (name, value) in &config.shown {
            println!("{name} = {value}");
        }
        return Ok(ExitCode::SUCCESS);
    }
    let serving = matches!(cli.command, Command::Serve);
    boot::start_logging(&config, serving)?;
    // The HTTP workers are threads besides these. With half as many, all of them often wait for the one that is at work
    // (docs/performance.md).
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(config.workers).enable_all().build()?;
    // Starting a database blocks, so it happens outside of the async code.
    let database = database::Database::open(&config, cli.command.purpose())?;
    let result = runtime.block_on(async {
        match cli.command {
            Command::Serve => boot::serve(config, database.url()).await.map(|()| ExitCode::SUCCESS),
            Command::Migrate => migrate(&database).await,
            Command::Ledger(command) => books::run(command, &config, &database).await,
            Command::Audit(command) => audit::run(command, &config, &database).await,
            Command::Mail(command) => mail::run(command, &database).await,
            Command::User(command) => people::user(command, &config, &database).await,
            Command::Credits(command) => people::credits(command, &database).await,
            Command::Codes(command) => codes::run(command, &config, &database).await,
            Command::Topups(command) => topups::run(command, &config, &database).await,
            Command::Keys(command) => issue::run(command, &database).await,
            Command::Catalog(command) => catalog::run(command, &database).await,
            Command::Providers(command) => catalog::providers(command, &config, &database).await,
            Command::Secrets(command) => secrets::run(command, &config, &database).await,
            Command::Config(_) | Command::Openapi { .. } | Command::Doctor(_) => Ok(ExitCode::SUCCESS),
        }
    });
    runtime.shutdown_timeout(std::time::Duration::from_secs(5));
    database.stop();
    result
}

/// The schema of this version, and in a new database what the first start would put there, so that the keys of providers can be
/// stored before it.
async fn migrate(database: &database::Database) -> anyhow::Result<ExitCode> {
    let pool = database.connect().await?;
    println!("the schema is that of Farebox {}", env!("CARGO_PKG_VERSION"));
    let stocked = boot::stock_catalog(&pool).await?;
    if stocked > 0 {
        println!("the catalog was empty and has {stocked} entries now");
    }
    Ok(ExitCode::SUCCESS)
}

fn openapi(out: Option<PathBuf>) -> anyhow::Result<ExitCode> {
    let text = serde_json::to_string_pretty(&crate::gateway::surface::openapi_document())?;
    match out {
        Some(path) => {
            std::fs::write(&path, text + "\n").with_context(|| format!("cannot write {}", path.display()))?;
        }
        None => println!("{text}"),
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_cause_is_told_once() {
        let cause = anyhow::anyhow!("no such file").context("cannot read x: no such file").context("x is needed");
        assert_eq!(told(&cause), "x is needed: cannot read x: no such file");
        assert_eq!(told(&anyhow::anyhow!("alone")), "alone");
    }
}
