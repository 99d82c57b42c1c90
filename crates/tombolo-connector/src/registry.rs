use std::sync::Arc;

use crate::{ConnectorFactory, Error, ErrorCode, Options, Result, nearest_name};

/// The kinds of source that this program knows.
#[derive(Debug, Clone, Default)]
pub struct Registry {
    factories: Vec<Arc<dyn ConnectorFactory>>,
}

impl Registry {
    /// Adds a kind. Kinds are asked for a URL in the order in which they were added.
    #[must_use]
    pub fn with(mut self, factory: Arc<dyn ConnectorFactory>) -> Self {
        self.factories.push(factory);
        self
    }

    /// All kinds.
    pub fn factories(&self) -> &[Arc<dyn ConnectorFactory>] {
        &self.factories
    }

    /// The kind of this name.
    ///
    /// # Errors
    /// [`ErrorCode::ConfigInvalid`] with the nearest known kind.
    pub fn factory(&self, kind: &str) -> Result<&Arc<dyn ConnectorFactory>> {
        self.factories.iter().find(|factory| factory.spec().kind == kind).ok_or_else(|| {
            let kinds: Vec<&str> = self.factories.iter().map(|factory| factory.spec().kind).collect();
            let hint = match nearest_name(kind, kinds.iter().copied()) {
                Some(near) => format!("Did you mean `{near}`?"),
                None => format!("Known kinds: {}.", kinds.join(", ")),
            };
            Error::new(ErrorCode::ConfigInvalid, format!("unknown kind of source `{kind}`")).with_hint(hint)
        })
    }

    /// The kind that takes this URL or path, with the options that it reads from it.
    ///
    /// # Errors
    /// [`ErrorCode::Usage`] where no kind takes it; the kind's own error where it is malformed.
    pub fn parse_url(&self, url: &str) -> Result<(&Arc<dyn ConnectorFactory>, Options)> {
        for factory in &self.factories {
            if let Some(options) = factory.parse_url(url) {
                return options.map(|options| (factory, options));
            }
        }
        // A URL may carry a password, so only its scheme is repeated.
        let what = url.split_once("://").map_or_else(|| format!("`{url}`"), |(scheme, _)| format!("`{scheme}://…`"));
        let forms: Vec<&str> = self.factories.iter().flat_map(|factory| factory.spec().urls).copied().collect();
        Err(Error::new(ErrorCode::Usage, format!("no kind of source takes {what}"))
            .with_hint(format!("A source is one of: {}.", forms.join(", "))))
    }
}
