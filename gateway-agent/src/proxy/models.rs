//! The models that the active pack routes, in the form that the client's API has for them.

use http::StatusCode;
use http::request::Parts;
use policy_config::schema::Provider;
use policy_engine::{Engine, Surroundings, Target};
use serde_json::{Value, json};

use super::reply::{Refusal, Reply};
use super::route::{self, Route};

/// Clients of Anthropic's API send it with every request.
const ANTHROPIC: &str = "anthropic-version";
/// Nobody here knows when a model was made.
const EPOCH: &str = "1970-01-01T00:00:00Z";

/// The list of those that whoever asks may use, or the one that the path names.
pub(super) fn answer(
    route: Route,
    head: &Parts,
    engine: &Engine,
    around: &dyn Surroundings,
) -> Result<Reply, Refusal> {
    let for_anthropic = head.headers.contains_key(ANTHROPIC);
    let of = |target: &Target| !for_anthropic || target.provider == Provider::Anthropic;
    if route == Route::Model {
        let model = route::model_of(head.uri.path()).unwrap_or_default();
        if !engine.shows(&model, around, of) {
            return Err(Refusal::UnknownModel { model: model.into_owned() });
        }
        return Ok(Reply::json(StatusCode::OK, &entry(for_anthropic, &model)));
    }
    let models = engine.models_for(around, of);
    let list = if for_anthropic { anthropic_list(&models) } else { openai_list(&models) };
    Ok(Reply::json(StatusCode::OK, &list))
}

/// Every target's `model` in file order, globs as written.
fn openai_list(models: &[String]) -> Value {
    let data: Vec<Value> = models.iter().map(|model| entry(false, model)).collect();
    json!({"object": "list", "data": data})
}

/// Those that `messages` serves.
fn anthropic_list(models: &[String]) -> Value {
    let data: Vec<Value> = models.iter().map(|model| entry(true, model)).collect();
    json!({"data": data, "has_more": false, "first_id": models.first(), "last_id": models.last()})
}

fn entry(for_anthropic: bool, model: &str) -> Value {
    if for_anthropic {
        json!({"type": "model", "id": model, "display_name": model, "created_at": EPOCH})
    } else {
        json!({"id": model, "object": "model", "created": 0, "owned_by": "kt-gateway"})
    }
}
