//! A choice among the contenders of a benchmark.

use anyhow::{Result, bail};

use crate::names;

/// The contenders that are to run: all of them, unless some are named.
#[derive(Debug, Default)]
pub(super) struct Only(Vec<String>);

impl Only {
    /// Fails where one is not among the benchmark's contenders.
    pub(super) fn among(contenders: &[&'static str], chosen: &[String]) -> Result<Self> {
        if contenders.is_empty() && !chosen.is_empty() {
            bail!("this benchmark has no contenders to choose from");
        }
        if let Some(unknown) = chosen.iter().find(|name| !contenders.contains(&name.as_str())) {
            bail!("there is no contender called `{unknown}`{}", names::suggestion(unknown, contenders.iter().copied()));
        }
        Ok(Self(chosen.to_vec()))
    }

    pub(super) fn has(&self, contender: &str) -> bool {
        self.0.is_empty() || self.0.iter().any(|name| name == contender)
    }
}

#[cfg(test)]
mod tests {
    use super::Only;

    #[test]
    fn all_run_unless_some_are_named() {
        let all = ["tombolo", "trino", "spark"];
        assert!(Only::among(&all, &[]).unwrap().has("trino"));
        let only = Only::among(&all, &["trino".to_owned()]).unwrap();
        assert!(only.has("trino") && !only.has("spark"));
    }

    #[test]
    fn an_unknown_contender_gets_a_suggestion() {
        let error = Only::among(&["tombolo", "trino"], &["torino".to_owned()]).unwrap_err().to_string();
        assert_eq!(error, "there is no contender called `torino`; did you mean `trino`?");
        let error = Only::among(&[], &["trino".to_owned()]).unwrap_err().to_string();
        assert_eq!(error, "this benchmark has no contenders to choose from");
    }
}
