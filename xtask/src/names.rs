//! The nearest name, for error messages.

/// Returns `; did you mean "…"?` for the nearest of `known`, else `; known: …`.
pub(crate) fn suggestion<'a>(wrong: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.into_iter().collect();
    let nearest = known
        .iter()
        .map(|name| (strsim::damerau_levenshtein(&wrong.to_lowercase(), name), *name))
        .min()
        .filter(|(distance, name)| *distance <= 2.max(name.len() / 3));
    match nearest {
        Some((_, name)) => format!("; did you mean `{name}`?"),
        None if known.is_empty() => "; there are none yet".to_owned(),
        None => format!("; known: {}", known.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::suggestion;

    #[test]
    fn a_slip_of_the_finger_is_recognised() {
        assert_eq!(suggestion("postgers", ["mariadb", "postgres"]), "; did you mean `postgres`?");
    }

    #[test]
    fn a_name_that_is_like_none_gets_the_whole_list() {
        assert_eq!(suggestion("spreadsheet", ["mariadb", "postgres"]), "; known: mariadb, postgres");
    }

    #[test]
    fn an_empty_list_is_said() {
        assert_eq!(suggestion("x", []), "; there are none yet");
    }
}
