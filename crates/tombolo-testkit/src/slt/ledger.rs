//! The list of what passes of another engine's files, and why the rest does not. It only grows.
//!
//! A file's paragraph begins with its name in brackets. `passed` says how many of its queries pass, by placement, `none` being
//! those that name no table; `by rule` how many are not asked, by the rule. Each other line is a query that is left out: its
//! place, the placements in which it is, and the reason. A reason that begins with `either: ` was written by a person: more than one
//! answer is right, the file has one of them, and whether it comes is chance. Such a query counts neither as passed nor as failed.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::replay::{Difference, Placement, Replayed, Rule, Verdict};

/// What a run gives, or what the list says: by file.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Ledger {
    files: BTreeMap<String, Entry>,
}

#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Entry {
    passed: BTreeMap<String, usize>,
    by_rule: BTreeMap<String, usize>,
    /// By place and placement: the reason.
    left_out: BTreeMap<(String, String), String>,
}

/// How the reason of a query begins whose answer is left open.
const EITHER: &str = "either: ";

/// Whether a reason says that another answer would be right as well.
fn is_open(reason: &str) -> bool {
    reason.starts_with(EITHER) || reason == Difference::AnyRows.to_string()
}

impl Ledger {
    /// Takes over from the list what came of queries that have more than one right answer, whatever came of them in this run.
    pub fn settle(&mut self, list: &Self) {
        for (file, listed) in &list.files {
            let Some(now) = self.files.get_mut(file) else { continue };
            for (key, reason) in listed.left_out.iter().filter(|(_, reason)| is_open(reason)) {
                let passed = now.left_out.insert(key.clone(), reason.clone()).is_none();
                if let Some(count) = now.passed.get_mut(&key.1).filter(|_| passed) {
                    *count -= 1;
                }
            }
            now.left_out.retain(|key, reason| {
                let passes_by_list = is_open(reason) && !listed.left_out.contains_key(key);
                if passes_by_list {
                    *now.passed.entry(key.1.clone()).or_default() += 1;
                }
                !passes_by_list
            });
        }
    }

    /// Adds what became of a file.
    pub fn add(&mut self, file: &str, placements: &[Placement], queries: &[Replayed]) {
        let mut entry = Entry::default();
        for query in queries {
            for (verdict, placement) in query.verdicts.iter().zip(placements) {
                let placement = if query.has_tables { placement.to_string() } else { "none".to_owned() };
                match verdict {
                    Verdict::Passed => *entry.passed.entry(placement).or_default() += 1,
                    Verdict::ByRule(rule) => *entry.by_rule.entry(name(*rule).to_owned()).or_default() += 1,
                    // Spark's functions and its dialect are another language; what is alike in both passes all the same.
                    Verdict::Failed(_) if file.starts_with("spark/") => {
                        *entry.by_rule.entry("needs Spark's functions or dialect".to_owned()).or_default() += 1;
                    }
                    Verdict::Failed(why) => {
                        entry.left_out.insert((query.place.clone(), placement), why.to_string());
                    }
                }
            }
        }
        self.files.insert(file.to_owned(), entry);
    }

    /// How many queries pass in all files, by placement.
    pub fn passed(&self) -> BTreeMap<String, usize> {
        let mut passed = BTreeMap::new();
        for (placement, count) in self.files.values().flat_map(|entry| &entry.passed) {
            *passed.entry(placement.clone()).or_default() += count;
        }
        passed
    }

    /// What differs from the list: what passed and does not, and what was left out and passes.
    pub fn differences(&self, list: &Self) -> Vec<String> {
        let mut differences = Vec::new();
        let nothing = Entry::default();
        let mut files: Vec<&String> = self.files.keys().chain(list.files.keys()).collect();
        files.sort();
        files.dedup();
        for file in files {
            let [now, listed] = [self, list].map(|ledger| ledger.files.get(file).unwrap_or(&nothing));
            for ((place, placement), reason) in &now.left_out {
                if !listed.left_out.contains_key(&(place.clone(), placement.clone())) {
                    differences.push(format!("{file}:{place} in {placement} does not pass any more: {reason}"));
                }
            }
            for (place, placement) in listed.left_out.keys() {
                if !now.left_out.contains_key(&(place.clone(), placement.clone())) {
                    differences
                        .push(format!("{file}:{place} in {placement} passes, and is on the list of what is left out"));
                }
            }
            for (what, now, listed) in
                [("pass", &now.passed, &listed.passed), ("are left out by rule", &now.by_rule, &listed.by_rule)]
            {
                if now != listed {
                    differences.push(format!("{file}: {now:?} {what} in place of {listed:?}"));
                }
            }
        }
        differences
    }

    /// What passes by the list and not here, so that a new list would be shorter.
    pub fn losses(&self, list: &Self) -> Vec<String> {
        let lost = |(file, listed): (&String, &Entry)| {
            let now = self.files.get(file);
            let fewer = |(placement, count): (&String, &usize)| {
                let now = now.and_then(|now| now.passed.get(placement)).copied().unwrap_or_default();
                (now < *count).then(|| format!("{file}: {now} in place of {count} pass in {placement}"))
            };
            listed.passed.iter().filter_map(fewer).collect::<Vec<_>>()
        };
        list.files.iter().flat_map(lost).collect()
    }

    /// Reads the list.
    ///
    /// # Panics
    /// Where a line is none of a list.
    pub fn read(text: &str) -> Self {
        let mut ledger = Self::default();
        let mut file = String::new();
        for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
                file = name.to_owned();
                ledger.files.insert(file.clone(), Entry::default());
                continue;
            }
            let entry = ledger.files.get_mut(&file).unwrap_or_else(|| panic!("no file is named before {line}"));
            let (key, rest) = line.split_once(": ").unwrap_or_else(|| panic!("{line} has no colon"));
            match key {
                "passed" => entry.passed = counts(rest),
                "by rule" => entry.by_rule = counts(rest),
                _ => {
                    let (place, placements) = key.split_once(' ').unwrap_or_else(|| panic!("{line} has no placement"));
                    for placement in placements.split(' ') {
                        entry.left_out.insert((place.to_owned(), placement.to_owned()), rest.to_owned());
                    }
                }
            }
        }
        ledger
    }

    /// Writes the list, after its head.
    pub fn write(&self, head: &str) -> String {
        let mut text = head.to_owned();
        for (file, entry) in &self.files {
            let _ = writeln!(text, "\n[{file}]");
            for (key, counts) in [("passed", &entry.passed), ("by rule", &entry.by_rule)] {
                if !counts.is_empty() {
                    let counts: Vec<String> = counts.iter().map(|(name, count)| format!("{name} {count}")).collect();
                    let _ = writeln!(text, "{key}: {}", counts.join(", "));
                }
            }
            let mut lines: BTreeMap<(usize, &str, &str), Vec<&str>> = BTreeMap::new();
            for ((place, placement), reason) in &entry.left_out {
                let line = place.parse().unwrap_or(usize::MAX);
                lines.entry((line, place, reason)).or_default().push(placement);
            }
            for ((_, place, reason), placements) in lines {
                let _ = writeln!(text, "{place} {}: {reason}", placements.join(" "));
            }
        }
        text
    }
}

fn counts(text: &str) -> BTreeMap<String, usize> {
    let count = |part: &str| {
        let (name, count) = part.rsplit_once(' ').unwrap_or_else(|| panic!("{part} is no count"));
        (name.to_owned(), count.parse().unwrap_or_else(|_| panic!("{count} is no number")))
    };
    text.split(", ").map(count).collect()
}

fn name(rule: Rule) -> &'static str {
    match rule {
        Rule::Condition => "left out by the file itself",
        Rule::Explain => "prints DataFusion's plan",
        Rule::Statement => "is no query",
        Rule::InformationSchema => "asks DataFusion's own catalog",
    }
}

#[cfg(test)]
mod tests {
    use super::Ledger;

    const LIST: &str =
        "# head\n\n[a.slt]\npassed: memory 2, none 1\nby rule: is no query 3\n7 memory sqlite: refused: why: so\n";

    #[test]
    fn a_list_is_read_as_it_was_written() {
        assert_eq!(Ledger::read(LIST).write("# head\n"), LIST);
    }

    #[test]
    fn what_passes_less_or_more_is_a_difference() {
        let list = Ledger::read(LIST);
        let fewer = Ledger::read(
            "[a.slt]\npassed: memory 1, none 1\nby rule: is no query 3\n5 memory: x\n7 memory sqlite: y\n",
        );
        assert_eq!(fewer.losses(&list), ["a.slt: 1 in place of 2 pass in memory"]);
        assert!(fewer.differences(&list)[0].starts_with("a.slt:5 in memory does not pass any more"));
        let more = Ledger::read("[a.slt]\npassed: memory 3, none 1\nby rule: is no query 3\n7 sqlite: y\n");
        assert!(more.losses(&list).is_empty());
        assert!(more.differences(&list)[0].starts_with("a.slt:7 in memory passes"));
        assert!(list.differences(&list).is_empty());
    }

    #[test]
    fn what_has_two_right_answers_is_no_difference() {
        let list = Ledger::read("[a.slt]\npassed: none 1\n7 none: either: two rows tie\n");
        for run in ["[a.slt]\npassed: none 2\n", "[a.slt]\npassed: none 1\n7 none: other rows\n"] {
            let mut now = Ledger::read(run);
            now.settle(&list);
            assert_eq!(now, list);
        }
    }

    #[test]
    fn any_rows_of_a_limit_are_as_good_as_others() {
        let passed = Ledger::read("[a.slt]\npassed: memory 2\n");
        let other = Ledger::read("[a.slt]\npassed: memory 1\n7 memory: other rows, of a LIMIT without ORDER BY\n");
        for (mut now, list) in [(passed.clone(), other.clone()), (other, passed)] {
            assert!(!now.differences(&list).is_empty());
            now.settle(&list);
            assert_eq!(now, list);
        }
    }

    #[test]
    fn a_file_that_is_gone_is_a_loss() {
        assert_eq!(Ledger::default().losses(&Ledger::read(LIST)).len(), 2);
    }
}
