/// Rows of a table by an integer column that is never null: from the first on, and up to the last and without it; where that is
/// not said, from the begin and to the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::mysql) struct KeyRange {
    pub(in crate::mysql) column: String,
    pub(in crate::mysql) from: Option<i128>,
    pub(in crate::mysql) to: Option<i128>,
}

impl KeyRange {
    /// The condition, with the column's name as it is to stand there.
    pub(in crate::mysql) fn condition(&self, column: &str) -> Option<String> {
        let from = self.from.map(|from| format!("{column} >= {from}"));
        let to = self.to.map(|to| format!("{column} < {to}"));
        let both: Vec<String> = from.into_iter().chain(to).collect();
        (!both.is_empty()).then(|| both.join(" AND "))
    }
}
