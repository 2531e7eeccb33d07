//! Models, as `models` lists them.

use serde::Serialize;

/// A model that can be called.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Model {
    /// `models/` and its id.
    pub name: String,
    /// What really answers under this name.
    pub base_model_id: String,
    /// Its version.
    pub version: String,
    /// Its name for people.
    pub display_name: String,
    /// What it is.
    pub description: String,
    /// The longest prompt, in tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input_token_limit: Option<u64>,
    /// The longest answer, in tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_token_limit: Option<u64>,
    /// The methods it serves.
    pub supported_generation_methods: Vec<&'static str>,
    /// Temperature when none is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    /// The highest temperature taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_temperature: Option<f64>,
    /// topP when none is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_p: Option<f64>,
    /// topK when none is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_k: Option<u32>,
}

/// A page of models.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ListModelsResponse<M = Model> {
    /// The models of this page.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub models: Vec<M>,
    /// Where the next page begins; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_page_token: Option<String>,
}
