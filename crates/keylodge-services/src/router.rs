//! Every route and the layers around it, from the outside in.

use axum::Router;
use axum::body::Body;
use axum::routing::{MethodRouter, any, get};
use http::{HeaderName, Method, Request, Response, Uri};
use keylodge_api::{DECISION_HEADER, Envelope, GEMINI_SERVICE, REQUEST_ID_HEADER, Status};
use keylodge_gate::{CredentialLayer, GateLayer, Surface, Target};
use keylodge_rules::ServiceName;
use tower::ServiceBuilder;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::cors::{AllowHeaders, Any, CorsLayer};

use crate::admin::openapi;
use crate::auth_tokens::{self, Presenting};
use crate::observe::ObserveLayer;
use crate::{Lodge, dispatch, failure, gemini, health, interactions, live, openai};

/// The versions under which the Gemini API is served, all alike.
pub(crate) const VERSIONS: [&str; 3] = ["v1", "v1beta", "v1alpha"];

/// The paths that need no credential. Everything else does.
pub const OPEN: [&str; 4] = ["/healthz", "/readyz", "/metrics", openapi::PATH];

/// All surfaces, as one service for a listener.
///
/// The credential leaves the request before anything else sees it; the observer is next, so that it sees what is
/// refused too; a panic in a handler costs that one request.
pub fn router(lodge: &Lodge) -> Router {
    layered(lodge, with_control(with_data(Router::new(), lodge)))
}

/// The data plane alone: what keys open, and health. Readiness says nothing of the other listener here.
pub fn data(lodge: &Lodge) -> Router {
    let readyz = get(health::readyz_of_data);
    let router = with_data(Router::new(), lodge).route("/healthz", get(health::healthz)).route("/readyz", readyz);
    layered(lodge, router.fallback(nothing))
}

/// The control plane alone: management, administration, metrics, and health.
pub fn control(lodge: &Lodge) -> Router {
    layered(lodge, with_control(Router::new()))
}

fn with_data(mut router: Router<Lodge>, lodge: &Lodge) -> Router<Lodge> {
    let gemini = gemini(lodge);
    for version in VERSIONS {
        for resource in ["models", "tunedModels"] {
            router = router
                .route_service(&format!("/{version}/{resource}"), gemini.clone())
                .route_service(&format!("/{version}/{resource}/"), gemini.clone())
                .route_service(&format!("/{version}/{resource}/{{*rest}}"), gemini.clone());
        }
    }
    let (openai, interactions) = (openai(lodge), interactions(lodge));
    for version in VERSIONS {
        router = router
            .route_service(&format!("/{version}/openai/{{*rest}}"), openai.clone())
            .route_service(&format!("/{version}/interactions"), interactions.clone())
            .route_service(&format!("/{version}/interactions/"), interactions.clone())
            .route_service(&format!("/{version}/interactions/{{*rest}}"), interactions.clone());
    }
    let live = live::Live {
        lodge: lodge.clone(),
        surface: generative_language(lodge, |_, uri| Err(failure::no_such_path(uri.path()))),
    };
    router = router.route_service("/ws/{*rest}", any(live::handle).with_state(live));
    let auth_tokens = auth_tokens(lodge);
    for version in VERSIONS {
        router = router
            .route_service(&format!("/{version}/auth_tokens"), auth_tokens.clone())
            .route_service(&format!("/{version}/auth_tokens/"), auth_tokens.clone());
    }
    router
}

fn with_control(router: Router<Lodge>) -> Router<Lodge> {
    router
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .route("/metrics", get(health::metrics))
        .route(openapi::PATH, get(openapi::serve))
        .fallback(dispatch::handle)
}

async fn nothing(uri: Uri) -> Response<Body> {
    failure::no_such_path(uri.path()).response(Envelope::Object)
}

fn layered(lodge: &Lodge, router: Router<Lodge>) -> Router {
    let panics = CatchPanicLayer::custom(|_| Status::internal().response::<Body>(Envelope::Object));
    let routed = router.with_state(lodge.clone()).layer(panics);
    let layers = ServiceBuilder::new().map_request(one_slash).layer(CredentialLayer).layer(ObserveLayer::new(lodge));
    // Around the router, not inside it: the layers must see the path before it is matched.
    Router::new().fallback_service(layers.service(routed))
}

/// The Gemini surface with its gate.
fn gemini(lodge: &Lodge) -> MethodRouter {
    let surface = generative_language(lodge, gemini::identify::target);
    let state = gemini::Gemini { lodge: lodge.clone(), surface: surface.clone() };
    gated(lodge, surface, Presenting::Calls, Router::new().fallback(gemini::handle).with_state(state))
}

/// The Interactions API with its gate.
fn interactions(lodge: &Lodge) -> MethodRouter {
    let surface = generative_language(lodge, interactions::target).enveloped(Envelope::Word);
    let state = interactions::Conversations { lodge: lodge.clone(), surface: surface.clone() };
    gated(lodge, surface, Presenting::Calls, Router::new().fallback(interactions::handle).with_state(state))
}

/// The OpenAI-compatible surface with its gate.
fn openai(lodge: &Lodge) -> MethodRouter {
    let surface = generative_language(lodge, openai::target).with_bearer_keys().enveloped(Envelope::Array);
    let state = openai::OpenAi { lodge: lodge.clone(), surface: surface.clone() };
    gated(lodge, surface, Presenting::Calls, Router::new().fallback(openai::handle).with_state(state))
}

/// What makes ephemeral tokens, with its gate.
fn auth_tokens(lodge: &Lodge) -> MethodRouter {
    let surface = generative_language(lodge, auth_tokens::target);
    let state = auth_tokens::Making { lodge: lodge.clone(), surface: surface.clone() };
    let handlers = Router::new().fallback(auth_tokens::handle).with_state(state);
    gated(lodge, surface, Presenting::ToMakeTokens, handlers)
}

/// A surface of the one service that all of these are for keys, limits and usage.
fn generative_language(
    lodge: &Lodge,
    identify: impl Fn(&Method, &Uri) -> Result<Target, Status> + Send + Sync + 'static,
) -> Surface {
    let service = ServiceName::parse(GEMINI_SERVICE).expect("a constant that is a service name");
    Surface::new(service, "Generative Language API", &format!("{}/studio", lodge.public_url), identify)
}

/// Handlers behind a gate. Browsers may call them from anywhere: the key decides, not the origin.
fn gated(lodge: &Lodge, surface: Surface, presenting: Presenting, handlers: Router) -> MethodRouter {
    let gate = GateLayer::new(surface.clone(), lodge.judge.clone());
    let spend = auth_tokens::Spend { lodge: lodge.clone(), surface };
    let layers = ServiceBuilder::new().layer(cors()).map_request(presenting.before(lodge)).layer(gate).layer(spend);
    axum::routing::any_service(layers.service(handlers))
}

fn cors() -> CorsLayer {
    let exposed = [
        DECISION_HEADER,
        REQUEST_ID_HEADER,
        gemini::CLAMPED_HEADER,
        "x-goog-upload-url",
        "x-goog-upload-status",
        "x-goog-upload-size-received",
    ];
    CorsLayer::new()
        .allow_origin(Any)
        .allow_methods([Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE])
        // Whatever the client sends besides: browsers differ in what they ask for, and clients grow new header fields.
        .allow_headers(AllowHeaders::mirror_request())
        .expose_headers(exposed.map(HeaderName::from_static))
}

/// `//v1/models` as `/v1/models`: clients whose base URL ends in a slash send two.
fn one_slash(mut request: Request<Body>) -> Request<Body> {
    let path = request.uri().path();
    if path.contains("//") {
        let mut single = String::with_capacity(path.len());
        for letter in path.chars() {
            if letter != '/' || !single.ends_with('/') {
                single.push(letter);
            }
        }
        if let Some(query) = request.uri().query() {
            single.push('?');
            single.push_str(query);
        }
        if let Ok(uri) = single.parse::<Uri>() {
            *request.uri_mut() = uri;
        }
    }
    request
}
