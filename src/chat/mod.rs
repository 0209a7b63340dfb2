//! Messages to prompt: the model's own Jinja template.
