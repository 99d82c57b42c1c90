use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// What a connector keeps for one query, such as the snapshot that all of its sub-queries read.
pub trait QueryScoped: Any + Send + Sync {
    /// The query is over. Its readers may live on, for the receipt.
    fn end(&self);
}

/// All that connectors keep for one query. Clones are of one state.
#[derive(Clone, Default)]
pub struct QueryState(Arc<Mutex<Kept>>);

#[derive(Default)]
struct Kept {
    values: HashMap<(TypeId, String), Arc<dyn QueryScoped>>,
    is_over: bool,
}

impl QueryState {
    /// What is kept of this type under this name; made where there is nothing yet.
    pub fn get_or_insert_with<T: QueryScoped>(&self, name: &str, make: impl FnOnce() -> T) -> Arc<T> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.is_over {
            let made = Arc::new(make());
            made.end();
            return made;
        }
        let found = kept.values.entry((TypeId::of::<T>(), name.to_owned())).or_insert_with(|| Arc::new(make()));
        let found: Arc<dyn Any + Send + Sync> = Arc::clone(found) as _;
        #[expect(clippy::expect_used, reason = "the key is of this type")]
        found.downcast().expect("a value of its key's type")
    }

    /// Ends the query for all that is kept, and for what would be.
    pub fn end(&self) {
        let values = {
            let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            kept.is_over = true;
            std::mem::take(&mut kept.values)
        };
        values.values().for_each(|value| value.end());
    }
}

impl fmt::Debug for QueryState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QueryState").finish_non_exhaustive()
    }
}
