use std::any::Any;
use std::fmt;
use std::sync::{Arc, OnceLock};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// What a connector keeps with the description of a table, to tell whether that still holds and to scan. Only the connector knows
/// what it is. It is written as JSON, and read once however often it is asked for.
#[derive(Clone, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct Fingerprint {
    text: Arc<str>,
    read: OnceLock<Option<Arc<dyn Any + Send + Sync>>>,
}

impl Fingerprint {
    /// Keeps a connector's own facts.
    ///
    /// # Errors
    /// [`ErrorCode::Internal`](crate::ErrorCode::Internal) where they cannot be written as JSON.
    pub fn try_new(facts: &impl Serialize) -> Result<Self> {
        let text = serde_json::to_string(facts).map_err(|error| {
            Error::internal("what is known of a table cannot be kept").with_detail(error.to_string())
        })?;
        Ok(text.into())
    }

    /// The facts; `None` where they are not of this type, as when another version has written them.
    pub fn read<T: DeserializeOwned + Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        let parsed = || Some(Arc::new(serde_json::from_str::<T>(&self.text).ok()?) as Arc<dyn Any + Send + Sync>);
        Arc::clone(self.read.get_or_init(parsed).as_ref()?).downcast().ok()
    }
}

impl From<String> for Fingerprint {
    fn from(text: String) -> Self {
        Self { text: text.into(), read: OnceLock::new() }
    }
}

impl From<Fingerprint> for String {
    fn from(fingerprint: Fingerprint) -> Self {
        fingerprint.text.as_ref().to_owned()
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Fingerprint").field(&self.text).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_come_back_from_a_file_and_are_read_once() {
        let written = Fingerprint::try_new(&vec![1, 2]).unwrap();
        let kept: Fingerprint = serde_json::from_str(&serde_json::to_string(&written).unwrap()).unwrap();
        let first = kept.read::<Vec<i32>>().unwrap();
        assert_eq!(*first, [1, 2]);
        assert!(Arc::ptr_eq(&first, &kept.read().unwrap()));
        // A clone has what was read.
        assert!(Arc::ptr_eq(&first, &kept.clone().read().unwrap()));
    }

    #[test]
    fn facts_of_another_version_are_none() {
        assert!(Fingerprint::from("[1, 2]".to_owned()).read::<String>().is_none());
        assert!(Fingerprint::from("no JSON".to_owned()).read::<Vec<i32>>().is_none());
    }
}
