//! Remedies in words, and the commands that apply them.

mod limits;

use keylodge_api::admin::SuggestedChange;
use keylodge_api::timestamp;
use keylodge_rules::explain::Remedy;
use keylodge_rules::restrictions::{Hours, ModelPattern};
use keylodge_rules::{ClientRestriction, Restrictions, Rule, Terms};

pub(super) use limits::{Holder, Reached, of_ledger};

/// A command takes a list as a whole, so that of a longer list than this nobody would want to read it.
const ENTRIES_MAX: usize = 32;

/// Which key of which project.
#[derive(Clone, Copy)]
pub(super) struct Place<'text> {
    pub(super) project: &'text str,
    pub(super) key: &'text str,
}

impl Place<'_> {
    /// What mends a rule that a call breaks.
    pub(super) fn advise(self, rule: Rule, remedy: &Remedy, terms: &Terms) -> SuggestedChange {
        let description = describe(rule, remedy, terms);
        let command = self.command(remedy, terms).unwrap_or_default();
        SuggestedChange { rule: rule.word().to_owned(), description, command }
    }

    fn command(self, remedy: &Remedy, terms: &Terms) -> Option<String> {
        let Self { project, key } = self;
        let of_key = |verb: &str, flags: &str| Some(format!("keylodge keys {verb} {key} --project {project}{flags}"));
        match remedy {
            Remedy::TakeCurrentString => of_key("get-key-string", ""),
            Remedy::Undelete => of_key("undelete", ""),
            Remedy::MakeAnother => Some(format!("keylodge keys create --project {project}")),
            Remedy::Enable => of_key("enable", ""),
            Remedy::Extend(end) => of_key("set", &format!(" --expire-time {}", timestamp::print(*end))),
            Remedy::UndeleteProject => Some(format!("keylodge projects undelete {project}")),
            Remedy::EnableService(service) => Some(format!("keylodge services enable {service} --project {project}")),
            Remedy::NarrowTo(_)
            | Remedy::AddTarget(_)
            | Remedy::AddMethod(..)
            | Remedy::AddReferrer(_)
            | Remedy::AddAddress(_)
            | Remedy::AddAndroid(_)
            | Remedy::AddIos(_) => of_key("update", &flags(&mended(remedy, &terms.restrictions)?)?),
            Remedy::AddModel(model) => {
                let models = terms.rules.models.iter().chain([model]).map(ModelPattern::as_str);
                of_key("rules set", &format!(" {}", list("--allowed-models", models)?))
            }
            Remedy::AddHours(hours) => {
                let hours = terms.rules.hours.iter().chain([hours]).map(Hours::to_string);
                let flags: String = hours.map(|hours| format!(" --allowed-hours {}", quoted(&hours))).collect();
                of_key("rules set", &flags)
            }
            Remedy::SayWho | Remedy::CallAnotherModel => None,
        }
    }
}

fn describe(rule: Rule, remedy: &Remedy, terms: &Terms) -> String {
    match remedy {
        Remedy::TakeCurrentString => "The string was rotated out. Give the caller the key's current string.".to_owned(),
        Remedy::Undelete => "Bring the key back.".to_owned(),
        Remedy::MakeAnother => "The key was deleted too long ago to come back. Make another one.".to_owned(),
        Remedy::Enable => "Switch the key on.".to_owned(),
        Remedy::Extend(end) => {
            format!(
                "The key's time is over. Let it work longer, for a day as of now: until {}.",
                timestamp::print(*end)
            )
        }
        Remedy::UndeleteProject => "Bring the project back.".to_owned(),
        Remedy::NarrowTo(service) => format!(
            "The project asks for keys that are restricted or bound to a service account. Restrict the key to {}.",
            service.as_str()
        ),
        Remedy::AddTarget(target) => match target.methods.first() {
            Some(method) => {
                format!("Add {} of {} to what the key is for.", method.as_str(), target.service.as_str())
            }
            None => format!("Add {} to what the key is for.", target.service.as_str()),
        },
        Remedy::AddMethod(service, method) => {
            format!("Add {} to the methods of {} that the key is for.", method.as_str(), service.as_str())
        }
        Remedy::AddReferrer(page) => format!("Add {} to the pages that may use the key.", page.as_str()),
        Remedy::AddAddress(address) => format!("Add {} to the addresses that may use the key.", address.as_str()),
        Remedy::AddAndroid(app) => format!(
            "Add {} with the certificate {} to the apps that may use the key.",
            app.package_name.as_str(),
            app.sha1_fingerprint
        ),
        Remedy::AddIos(bundle) => format!("Add {} to the apps that may use the key.", bundle.as_str()),
        Remedy::SayWho => say_who(rule, terms.restrictions.client.as_ref()).to_owned(),
        Remedy::CallAnotherModel => {
            "Call a model that the key is for; what was called is not the name of one.".to_owned()
        }
        Remedy::AddModel(model) => format!("Add {} to the models that the key is for.", model.as_str()),
        Remedy::AddHours(hours) => format!("Add '{hours}' to the hours of the key, or call within them."),
        Remedy::EnableService(service) => format!("Switch {service} on for the project."),
    }
}

fn say_who(rule: Rule, client: Option<&ClientRestriction>) -> &'static str {
    debug_assert!(rule == Rule::Client, "only callers can say who they are");
    match client {
        Some(ClientRestriction::Browser(_)) => {
            "No entry can cover a call that does not say in a plain Referer which page it comes from. Let the page send one (its Referrer-Policy may keep it from that), or use a key that is not for pages."
        }
        Some(ClientRestriction::Server(_)) => {
            "It is not known which address the call came from, so that no entry covers it. Tell Keylodge which proxies to believe (trusted_proxies), or use a key that is not for addresses."
        }
        Some(ClientRestriction::Android(_)) => {
            "No entry can cover a call that does not name its app. Let it send X-Android-Package and X-Android-Cert, or use a key that is not for Android apps."
        }
        Some(ClientRestriction::Ios(_)) => {
            "No entry can cover a call that does not name its app. Let it send X-Ios-Bundle-Identifier, or use a key that is not for iOS apps."
        }
        None => "Nothing keeps callers from using the key.",
    }
}

/// What the restrictions are after a remedy, as far as it changes them.
fn mended(remedy: &Remedy, restrictions: &Restrictions) -> Option<Restrictions> {
    let mut mended = restrictions.clone();
    remedy.apply_to(&mut mended).then_some(())?;
    let client_stays = mended.client == restrictions.client;
    Some(Restrictions {
        client: mended.client.filter(|_| !client_stays),
        api_targets: if client_stays { mended.api_targets } else { Vec::new() },
    })
}

/// Restrictions as flags of `keylodge keys update`; nothing where they are long or an entry cannot be written so.
fn flags(restrictions: &Restrictions) -> Option<String> {
    if restrictions.entries() > ENTRIES_MAX {
        return None;
    }
    let mut flags = Vec::new();
    match &restrictions.client {
        None => {}
        Some(ClientRestriction::Browser(pages)) => {
            flags.push(list("--allowed-referrers", pages.iter().map(|page| page.as_str()))?);
        }
        Some(ClientRestriction::Server(addresses)) => {
            flags.push(list("--allowed-ips", addresses.iter().map(|address| address.as_str()))?);
        }
        Some(ClientRestriction::Android(apps)) => flags.extend(apps.iter().map(|app| {
            let (fingerprint, package) = (app.sha1_fingerprint, app.package_name.as_str());
            format!("--allowed-application sha1_fingerprint={fingerprint},package_name={package}")
        })),
        Some(ClientRestriction::Ios(bundles)) => {
            flags.push(list("--allowed-bundle-ids", bundles.iter().map(|bundle| bundle.as_str()))?);
        }
    }
    for target in &restrictions.api_targets {
        let methods: Vec<&str> = target.methods.iter().map(|method| method.as_str()).collect();
        let methods = if methods.is_empty() { String::new() } else { format!(",methods={}", methods.join(";")) };
        flags.push(format!("--api-target {}", quoted(&format!("service={}{methods}", target.service.as_str()))));
    }
    Some(flags.iter().map(|flag| format!(" {flag}")).collect())
}

/// A flag with a list in it, whose entries must have no comma.
fn list<'text>(flag: &str, entries: impl Iterator<Item = &'text str>) -> Option<String> {
    let entries: Vec<&str> = entries.collect();
    let fits = entries.iter().all(|entry| !entry.contains(','));
    fits.then(|| format!("{flag} {}", quoted(&entries.join(","))))
}

/// A word for a POSIX shell. Entries may be what a stranger claimed, so nothing in them may mean anything to a shell.
fn quoted(text: &str) -> String {
    let is_plain =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b'/' | b':' | b',' | b'=');
    if !text.is_empty() && text.bytes().all(is_plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// What mends a call without a key that is ours.
pub(super) fn of_credential(refusal: &str) -> SuggestedChange {
    let (description, command) = match refusal {
        "no_credential" => ("The call came without a key. Send one in the header x-goog-api-key.", ""),
        "two_credentials" => ("The call came with two keys that differ. Send one.", ""),
        "not_an_api_key" => {
            ("The call came with another credential than an API key. Send a key in x-goog-api-key.", "")
        }
        "malformed_key" => (
            "What was sent can be no key: a character is wrong, or it was cut. Compare it with what was given out; it is not kept here.",
            "",
        ),
        "unknown_token" => (
            "Nobody was given this ephemeral token here, or its time was over for a while. Whoever holds the key makes a new one.",
            "",
        ),
        _ => (
            "Nobody was given this string here, or its key is gone for good. What it looked like is not kept: look it up where the caller has it.",
            "keylodge keys lookup --file -",
        ),
    };
    SuggestedChange { rule: "credential".to_owned(), description: description.to_owned(), command: command.to_owned() }
}

/// What mends a call with a key that is gone.
pub(super) fn of_lost_key() -> SuggestedChange {
    let description = "The key or its project is gone for good by now. Make another key.".to_owned();
    SuggestedChange { rule: Rule::NotDeleted.word().to_owned(), description, command: String::new() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use keylodge_rules::{AllowedIp, Referrer};

    const PLACE: Place<'_> = Place { project: "team-blue", key: "ci" };

    fn browser(pages: &[&str]) -> Terms {
        let pages = pages.iter().map(|page| Referrer::parse(page).unwrap()).collect();
        let restrictions = Restrictions { client: Some(ClientRestriction::Browser(pages)), ..Restrictions::default() };
        Terms { restrictions, ..Terms::default() }
    }

    fn add_page(page: &str) -> Remedy {
        Remedy::AddReferrer(Referrer::parse(page).unwrap())
    }

    #[test]
    fn a_command_has_the_whole_list_with_the_new_entry_at_its_end() {
        let addresses = vec![AllowedIp::parse("192.0.2.0/24").unwrap()];
        let client = Some(ClientRestriction::Server(addresses));
        let terms = Terms { restrictions: Restrictions { client, ..Restrictions::default() }, ..Terms::default() };
        let remedy = Remedy::AddAddress(AllowedIp::parse("203.0.113.5").unwrap());

        assert_eq!(
            PLACE.advise(Rule::Client, &remedy, &terms).command,
            "keylodge keys update ci --project team-blue --allowed-ips 192.0.2.0/24,203.0.113.5"
        );
    }

    #[test]
    fn models_and_hours_are_set_by_a_command_of_their_own() {
        let mut terms = Terms::default();
        terms.rules.models = vec![ModelPattern::parse("gemma-*").unwrap()];
        terms.rules.hours = vec![Hours::parse("mon 08:00-18:00 Z").unwrap()];
        let command = |rule, remedy: Remedy| PLACE.advise(rule, &remedy, &terms).command;

        assert_eq!(
            command(Rule::Model, Remedy::AddModel(ModelPattern::parse("gemini-3").unwrap())),
            "keylodge keys rules set ci --project team-blue --allowed-models 'gemma-*,gemini-3'"
        );
        assert_eq!(
            command(Rule::Hours, Remedy::AddHours(Hours::parse("sat 12:00-13:00 Z").unwrap())),
            "keylodge keys rules set ci --project team-blue --allowed-hours 'mon 08:00-18:00 Z' --allowed-hours 'sat 12:00-13:00 Z'"
        );
    }

    #[test]
    fn what_a_stranger_claims_means_nothing_to_a_shell() {
        let page = "https://a.test/'$(reboot)`x`;&|\"!";
        let command = PLACE.advise(Rule::Client, &add_page(page), &browser(&["*.b.test"])).command;

        let flags = command.strip_prefix("keylodge keys update ci --project team-blue --allowed-referrers ").unwrap();
        assert_eq!(flags, r#"'*.b.test,https://a.test/'\''$(reboot)`x`;&|"!'"#);
    }

    #[test]
    fn no_command_is_given_that_would_say_something_else_or_too_much() {
        let long: Vec<String> = (0..ENTRIES_MAX).map(|at| format!("{at}.test")).collect();
        let long: Vec<&str> = long.iter().map(String::as_str).collect();

        assert_eq!(PLACE.advise(Rule::Client, &add_page("https://a.test/x,y"), &browser(&["b.test"])).command, "");
        let advice = PLACE.advise(Rule::Client, &add_page("https://a.test/"), &browser(&long));
        assert_eq!(advice.command, "");
        assert_eq!(advice.description, "Add https://a.test/ to the pages that may use the key.");
    }
}
