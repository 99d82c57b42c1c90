use std::ops::Range;
use std::path::Path;

use tombolo_connector::{Error, ErrorCode, nearest_name};
use toml_edit::TomlError;

/// One config file's text, to say where in it something is wrong.
pub(crate) struct Place<'a> {
    path: &'a Path,
    text: &'a str,
}

impl<'a> Place<'a> {
    pub(crate) fn new(path: &'a Path, text: &'a str) -> Self {
        Self { path, text }
    }

    /// An error at a span; without one, about the whole file.
    pub(crate) fn error(&self, span: Option<Range<usize>>, message: impl AsRef<str>) -> Error {
        Error::new(ErrorCode::ConfigInvalid, format!("{}: {}", self.at(span), message.as_ref()))
    }

    /// The same error with the place in front of its message.
    pub(crate) fn locate(&self, error: Error, span: Option<Range<usize>>) -> Error {
        let mut located = Error::new(error.code(), format!("{}: {}", self.at(span), error.message()));
        if let Some(detail) = error.detail() {
            located = located.with_detail(detail);
        }
        if let Some(hint) = error.hint() {
            located = located.with_hint(hint);
        }
        located
    }

    /// What the TOML parser has to say. Its own rendering is not used: it repeats the line, which may hold a secret.
    pub(crate) fn syntax(&self, error: &TomlError) -> Error {
        let message = error.message().lines().map(str::trim).collect::<Vec<_>>().join(", ");
        self.error(error.span(), format!("not valid TOML: {message}"))
            .with_hint("Texts stand in quotes, and a table begins with a line such as [sources.shop].")
    }

    /// A key that `whole` does not have.
    pub(crate) fn unknown_key(&self, span: Option<Range<usize>>, key: &str, known: &[&str], whole: &str) -> Error {
        let error = self.error(span, format!("unknown key `{key}` in {whole}"));
        match nearest_name(key, known.iter().copied()) {
            Some(near) => error.with_hint(format!("Did you mean `{near}`?")),
            None => error.with_hint(format!("It takes: {}.", known.join(", "))),
        }
    }

    fn at(&self, span: Option<Range<usize>>) -> String {
        let path = self.path.display();
        match span.and_then(|span| self.text.get(..span.start)) {
            Some(before) => {
                let line = before.matches('\n').count() + 1;
                let column = before.rsplit('\n').next().map_or(0, |last| last.chars().count()) + 1;
                format!("{path}:{line}:{column}")
            }
            None => path.to_string(),
        }
    }
}
