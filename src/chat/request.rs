//! What is asked of a template: OpenAI's fields, and what `transformers` adds to them.

use super::value::from_json;
use crate::{Error, Result};
use minijinja::Value;
use serde::Deserialize;
use serde_json::{Map, Value as Json};

/// Messages and what else a template reads. Deserializes from the body of an OpenAI chat completion; fields that
/// are not named here are ignored.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct ChatRequest {
    /// The conversation, at least one message.
    pub messages: Vec<Message>,
    /// JSON Schemas of the functions the model may call. `None` is `none` to the template; an empty list is not.
    #[serde(default)]
    pub tools: Option<Vec<Json>>,
    /// Texts to answer from, for templates that know them.
    #[serde(default)]
    pub documents: Option<Vec<Json>>,
    /// Whether the prompt ends with the opening of the assistant's answer.
    #[serde(default)]
    pub add_generation_prompt: bool,
    /// Whether the prompt ends within the last message, so that the model goes on with it.
    #[serde(default)]
    pub continue_final_message: bool,
    /// A Jinja template that replaces the model's own, or the name of one of the model's.
    #[serde(default)]
    pub template: Option<String>,
    /// Further variables of the template, such as `enable_thinking`.
    #[serde(default, rename = "chat_template_kwargs")]
    pub variables: Map<String, Json>,
}

/// One message: a JSON object with a string `role`, every other field as the template wants it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "Map<String, Json>")]
pub struct Message(Map<String, Json>);

/// The names a model's reasoning goes by, the first being the one templates read.
const REASONING_FIELDS: [&str; 3] = ["reasoning_content", "thinking", "reasoning"];

/// Marks the place where a continued message ends. The template may trim it.
const CONTINUE_TAG: &str = "CONTINUE_FINAL_MESSAGE_TAG ";

impl Message {
    /// A message of plain text.
    pub fn new(role: &str, content: &str) -> Self {
        let field = |name: &str, value: &str| (name.to_owned(), Json::from(value));
        Self([field("role", role), field("content", content)].into_iter().collect())
    }

    /// Whether it says how to answer, as the first messages of a conversation may.
    fn instructs(&self) -> bool {
        matches!(self.0.get("role").and_then(Json::as_str), Some("system" | "developer"))
    }

    /// Every field in its order.
    pub fn fields(&self) -> &Map<String, Json> {
        &self.0
    }
}

impl TryFrom<Map<String, Json>> for Message {
    type Error = Error;

    fn try_from(fields: Map<String, Json>) -> Result<Self> {
        match fields.get("role") {
            Some(Json::String(_)) => Ok(Self(fields)),
            Some(other) => {
                Err(Error::invalid_request(format!("a message's `role` should be a string, but is {other}")))
            }
            None => Err(Error::invalid_request("a message has no `role`")),
        }
    }
}

impl ChatRequest {
    /// `messages`, to be answered.
    pub fn new(messages: Vec<Message>) -> Self {
        Self { messages, add_generation_prompt: true, ..Self::default() }
    }

    /// The conversation up to its first message that is no instruction, with another text in that one: what the prompts
    /// of both begin with is what holds for the whole conversation.
    #[must_use]
    pub fn instructions(&self) -> Self {
        let n = self.messages.iter().take_while(|message| message.instructs()).count();
        let mut messages: Vec<Message> = self.messages.iter().take(n + 1).cloned().collect();
        if let Some(Message(fields)) = messages.get_mut(n) {
            fields.insert("content".to_owned(), Json::from("…"));
        }
        Self { messages, add_generation_prompt: false, continue_final_message: false, ..self.clone() }
    }

    /// The same with the text of each message in one piece: OpenAI allows parts, which many templates do not.
    ///
    /// # Errors
    /// `invalid_request` that names content that is no text.
    pub fn in_one_piece(&self) -> Result<Self> {
        let mut whole = self.clone();
        for (index, Message(fields)) in whole.messages.iter_mut().enumerate() {
            let Some(content) = fields.get_mut("content") else { continue };
            let name = format!("messages[{index}].content");
            match content {
                Json::Null | Json::String(_) => {}
                Json::Array(parts) => {
                    let texts = parts
                        .iter()
                        .enumerate()
                        .map(|(part, value)| part_text(value, &format!("{name}[{part}]")));
                    *content = Json::String(texts.collect::<Result<_>>()?);
                }
                other => {
                    return Err(Error::invalid_request(format!(
                        "`{name}` should be a text or an array of text parts, got {other}"
                    )));
                }
            }
        }
        Ok(whole)
    }

    /// The template's variables.
    pub(super) fn context(&self) -> Result<Vec<(String, Value)>> {
        if self.messages.is_empty() {
            return Err(Error::invalid_request("`messages` is empty"));
        }
        if self.continue_final_message && self.add_generation_prompt {
            return Err(Error::invalid_request(
                "`continue_final_message` and `add_generation_prompt` exclude each other",
            ));
        }
        let mut messages: Vec<Json> = self.messages.iter().map(|message| message.for_template()).collect();
        if self.continue_final_message
            && let Some(last) = messages.last_mut()
        {
            tag_text(last)?;
        }
        let list = |items: &Option<Vec<Json>>| items.clone().map_or(Json::Null, Json::Array);
        let named = [
            ("messages", Json::Array(messages)),
            ("tools", list(&self.tools)),
            ("documents", list(&self.documents)),
            ("add_generation_prompt", Json::Bool(self.add_generation_prompt)),
        ];
        let mut context = Vec::with_capacity(named.len() + self.variables.len());
        for (name, json) in &self.variables {
            if named.iter().any(|(taken, _)| name == taken) {
                return Err(Error::invalid_request(format!(
                    "`chat_template_kwargs` names `{name}`, which is a field of its own"
                )));
            }
            context.push((name.clone(), from_json(name, json)?));
        }
        for (name, json) in &named {
            context.push(((*name).to_owned(), from_json(name, json)?));
        }
        Ok(context)
    }

    /// The prompt in `rendered`: cut where the continued message ends, or all of it.
    pub(super) fn cut_at_continuation(&self, rendered: String) -> Result<String> {
        if !self.continue_final_message {
            return Ok(rendered);
        }
        let text =
            self.messages.last().and_then(|last| final_text(last.0.get("content")?)).unwrap_or_default();
        let end = rendered.rfind(CONTINUE_TAG.trim_end()).filter(|_| rendered.contains(text.trim()));
        let Some(end) = end else {
            return Err(Error::invalid_request(
                "`continue_final_message` is set, but the template does not render the final message's text",
            ));
        };
        let (prompt, tail) = rendered.split_at(end);
        // A template that trims the message took the tag's space, and the message's own with it.
        let prompt = if tail.starts_with(CONTINUE_TAG) { prompt } else { prompt.trim_end() };
        Ok(prompt.to_owned())
    }
}

impl Message {
    /// The message as `transformers` hands it on: fields that are null are left out, for templates print them as
    /// `None`; reasoning is there under each name that templates read.
    fn for_template(&self) -> Json {
        let given: Map<_, _> = self
            .0
            .iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(k, v)| (k.clone(), v.clone()))
            .collect();
        let Some(reasoning) = REASONING_FIELDS.iter().find_map(|name| given.get(*name)).cloned() else {
            return Json::Object(given);
        };
        let mut fields = Map::new();
        fields.insert("thinking".to_owned(), reasoning.clone());
        fields.extend(given);
        fields.insert("reasoning_content".to_owned(), reasoning);
        Json::Object(fields)
    }
}

/// The text of a part of a message's content, which is called `name`.
fn part_text<'p>(part: &'p Json, name: &str) -> Result<&'p str> {
    match (part.get("type").and_then(Json::as_str), part.get("text").and_then(Json::as_str)) {
        (Some("text"), Some(text)) => Ok(text),
        (Some("text"), None) => Err(Error::invalid_request(format!("`{name}.text` should be a text"))),
        (Some(other), _) => {
            Err(Error::invalid_request(format!("`{name}.type` should be `text`, got `{other}`")))
        }
        (None, _) => {
            Err(Error::invalid_request(format!("`{name}` should be an object with the `type` `text`")))
        }
    }
}

/// The last text of a message's content.
fn final_text(content: &Json) -> Option<&str> {
    match content {
        Json::Array(parts) => parts.iter().rev().find_map(|part| part.get("text"))?.as_str(),
        content => content.as_str(),
    }
}

/// Puts [`CONTINUE_TAG`] behind the last text of `message`.
fn tag_text(message: &mut Json) -> Result<()> {
    let text = match message.get_mut("content") {
        Some(Json::Array(parts)) => parts.iter_mut().rev().find_map(|part| part.get_mut("text")),
        content => content,
    };
    match text {
        Some(Json::String(text)) => {
            text.push_str(CONTINUE_TAG);
            Ok(())
        }
        _ => {
            Err(Error::invalid_request("`continue_final_message` is set, but the final message has no text"))
        }
    }
}
