//! Where the texts of each endpoint lie, and whose words they are.

use super::{Author, Texts};
use crate::endpoint::Endpoint;
use crate::json::{Document, Member, Value};

/// Another role is whatever the client wrote, and some chat templates show it to the model.
const ROLES: &[&str] = &["system", "developer", "user", "assistant", "tool", "function"];

// === impl Texts ===

impl<'a> Texts<'a> {
    pub(super) fn read_request(&mut self, endpoint: Endpoint, document: &'a Document<'_>) {
        for member in document.root().members() {
            let key = document.string(member.key);
            match (endpoint, key.text()) {
                (Endpoint::ChatCompletions | Endpoint::Messages, "messages") => {
                    member.value.items().iter().for_each(|message| self.read_message(document, message));
                }
                (Endpoint::Completions, "prompt" | "suffix") | (Endpoint::Embeddings, "input") => {
                    self.read(document, &member.value, Author::User, None);
                }
                // compared with what the model says; no model reads it
                (_, "stop") if !member.value.is_object() => {}
                (Endpoint::Responses, "input") if !member.value.items().is_empty() => {
                    member.value.items().iter().for_each(|item| self.read_message(document, item));
                }
                (Endpoint::Responses, "input") => self.read(document, &member.value, Author::User, None),
                (Endpoint::Responses, "prompt") => self.read_prompt(document, &member.value),
                _ => self.read_member(document, member, Author::Application, None),
            }
        }
    }

    /// A message or an item of `input`.
    fn read_message(&mut self, document: &'a Document<'_>, message: &Value) {
        let role = document.member_text(message, "role");
        let kind = document.member_text(message, "type");
        let author = author_of(role.as_deref(), kind.as_deref());
        if !message.is_object() {
            return self.read(document, message, author, None);
        }
        let is_role = role.is_some_and(|role| ROLES.contains(&role.as_ref()));
        let is_message = kind.is_none_or(|kind| kind == "message");
        for field in message.members() {
            match document.string(field.key).text() {
                // here it is what a participant calls himself
                "name" if is_message => self.read(document, &field.value, author, None),
                "role" if !is_role => self.read(document, &field.value, author, None),
                _ => self.read_member(document, field, author, None),
            }
        }
    }

    /// A prompt that the provider keeps: the application chose it, and filled in what users said.
    fn read_prompt(&mut self, document: &'a Document<'_>, prompt: &Value) {
        if !prompt.is_object() {
            return self.read(document, prompt, Author::Application, None);
        }
        for field in prompt.members() {
            if document.string(field.key).text() == "variables" {
                self.read_variables(document, &field.value);
            } else {
                self.read_member(document, field, Author::Application, None);
            }
        }
    }

    /// Strings, and parts of content: their keys are those of every part.
    fn read_variables(&mut self, document: &'a Document<'_>, variables: &Value) {
        if !variables.is_object() {
            return self.read_all(document, variables, Author::User, None);
        }
        for variable in variables.members() {
            self.add(Author::User, document.string(variable.key), None);
            let kind = document.member_text(&variable.value, "type");
            if kind.is_some_and(|kind| kind.starts_with("input_")) {
                self.read(document, &variable.value, Author::User, None);
            } else {
                self.read_all(document, &variable.value, Author::User, None);
            }
        }
    }

    pub(super) fn read_response(&mut self, endpoint: Endpoint, document: &'a Document<'_>) {
        let root = document.root();
        if !root.is_object() {
            return self.read(document, root, Author::Model, None);
        }
        for member in root.members() {
            match (endpoint, document.string(member.key).text()) {
                (Endpoint::ChatCompletions | Endpoint::Completions, "choices")
                | (Endpoint::Responses, "output") => self.read_choices(document, member),
                // the prompt, spelled again
                (
                    Endpoint::ChatCompletions | Endpoint::Completions,
                    "prompt_logprobs" | "prompt_token_ids",
                ) => {
                    self.leave_tokens(member, None);
                }
                // an event of a stream repeats the whole answer
                (Endpoint::Responses, "response") => {
                    for member in member.value.members() {
                        if document.string(member.key).text() == "output" {
                            self.read_choices(document, member);
                        } else {
                            self.read_member(document, member, Author::Model, None);
                        }
                    }
                }
                (_, "logprobs") if self.is_of_words(document, root, member) => {}
                _ => self.read_member(document, member, Author::Model, None),
            }
        }
    }

    fn read_choices(&mut self, document: &'a Document<'_>, choices: &Member) {
        for (at, choice) in choices.value.items().iter().enumerate() {
            if !choice.is_object() {
                self.read(document, choice, Author::Model, Some(at));
            }
            for member in choice.members() {
                match document.string(member.key).text() {
                    "logprobs" if !member.value.is_string() => self.leave_out(member, Some(at)),
                    _ => self.read_member(document, member, Author::Model, Some(at)),
                }
            }
        }
    }
}

fn author_of(role: Option<&str>, kind: Option<&str>) -> Author {
    match (role, kind) {
        (Some("system" | "developer"), _) => Author::Application,
        (Some("assistant"), _) => Author::Model,
        (Some(_), _) => Author::User,
        // `function_call_output` and its kin: what tools brought in
        (None, Some("reasoning")) => Author::Model,
        (None, Some(kind)) if kind.ends_with("_call") => Author::Model,
        (None, _) => Author::User,
    }
}
