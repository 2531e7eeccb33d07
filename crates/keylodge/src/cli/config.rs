//! `keylodge config`

use std::process::ExitCode;

use clap::Subcommand;

use crate::output;
use crate::settings::{Config, Flags, Given, KNOWN, Setting, reference_page, unpriced};

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Report every mistake in the settings, with its place
    Check,
    /// Print what is in force and where it comes from; secrets are masked
    Show,
    /// Print the reference page of all settings (Markdown)
    Reference,
}

pub(crate) fn run(command: &ConfigCommand, flags: &Flags) -> ExitCode {
    let given = Given::read(flags);
    match command {
        ConfigCommand::Check => {
            let mistakes = match Config::build(&given) {
                Ok(config) => {
                    for model in unpriced(&config.models, &config.prices) {
                        output::complain(&format!(
                            "note: '{model}' of [models] has no price in [prices]; where a budget holds, it is refused"
                        ));
                    }
                    config.upstreams.iter().filter_map(|upstream| upstream.methods().err()).flatten().collect()
                }
                Err(mistakes) => mistakes,
            };
            if mistakes.is_empty() {
                output::say("The settings are in order.");
                return ExitCode::SUCCESS;
            }
            for mistake in mistakes {
                output::complain(&mistake.to_string());
            }
            ExitCode::FAILURE
        }
        ConfigCommand::Show => {
            let mut rows: Vec<_> = KNOWN.iter().map(|setting| row(setting, &given)).collect();
            for (name, engine, place) in given.models.iter().flatten() {
                rows.push(vec![format!("models.{name}"), engine.clone(), place.to_string()]);
            }
            for (name, title, place) in &given.services {
                rows.push(vec![format!("services.{name}"), title.clone(), place.to_string()]);
            }
            output::table(&["SETTING", "VALUE", "FROM"], rows);
            ExitCode::SUCCESS
        }
        ConfigCommand::Reference => {
            output::say(reference_page().trim_end());
            ExitCode::SUCCESS
        }
    }
}

fn row(setting: &Setting, given: &Given) -> Vec<String> {
    let (value, from) = match given.values.get(setting.name) {
        Some((_, place)) if setting.secret => ("(hidden)".to_owned(), place.to_string()),
        Some((value, place)) => (value.clone(), place.to_string()),
        None => (setting.default.to_owned(), "default".to_owned()),
    };
    vec![setting.name.to_owned(), value, from]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_page_is_fresh() {
        let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/settings.md");

        let written = std::fs::read_to_string(page).unwrap();

        assert_eq!(written, reference_page(), "run: keylodge config reference > docs/settings.md");
    }
}
