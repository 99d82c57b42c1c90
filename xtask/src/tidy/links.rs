//! Links in documents.

use super::{Report, Tree};

pub(super) fn check(tree: &Tree, report: &mut Report) {
    for (path, text) in tree.with_extension("md") {
        for (target, line) in links(text) {
            if let Some(file) = relative(&target)
                && resolve(path, file).is_none_or(|found| !tree.exists(&found))
            {
                report.fail(path, line, format!("the link to {target} leads nowhere"));
            }
        }
    }
}

/// Returns the path in a link, unless it leads to the web or to a heading of the same document.
fn relative(target: &str) -> Option<&str> {
    let path = target.split(['#', '?']).next().unwrap_or_default();
    let scheme = path.split_once(':').map(|(scheme, _)| scheme);
    let is_url = scheme.is_some_and(|scheme| scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c)));
    (!path.is_empty() && !is_url).then_some(path)
}

/// Returns a link's path from the root, or nothing if it leads out of the checkout.
fn resolve(document: &str, link: &str) -> Option<String> {
    let folder = document.rsplit_once('/').map_or("", |(folder, _)| folder);
    let from = if link.starts_with('/') { "" } else { folder };
    let mut parts: Vec<&str> = Vec::new();
    for part in from.split('/').chain(link.split('/')) {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// Returns the targets of `[text](target)`, `![text](target)` and `[name]: target`, outside code.
fn links(text: &str) -> Vec<(String, usize)> {
    let mut links = Vec::new();
    let mut fence: Option<&str> = None;
    for (index, line) in text.lines().enumerate() {
        let trimmed = line.trim_start();
        if let Some(mark) = ["```", "~~~"].into_iter().find(|mark| trimmed.starts_with(mark)) {
            match fence {
                None => fence = Some(mark),
                Some(open) if open == mark => fence = None,
                Some(_) => {}
            }
            continue;
        }
        if fence.is_some() {
            continue;
        }
        let prose: String = line.split('`').step_by(2).collect::<Vec<_>>().join("`");
        let definition = prose.trim_start().strip_prefix('[').and_then(|rest| rest.split_once("]: "));
        let inline = prose.split("](").skip(1).filter_map(|rest| Some(rest.split_once(')')?.0));
        let targets = definition.map(|(_, target)| target).into_iter().chain(inline);
        // A title may follow the target.
        let targets = targets.filter_map(|target| target.split_whitespace().next());
        links.extend(targets.map(|target| (target.trim_matches(['<', '>']).to_owned(), index + 1)));
    }
    links
}

#[cfg(test)]
mod tests {
    use super::super::findings;
    use super::check;

    #[test]
    fn links_that_lead_somewhere_pass() {
        let text = "[a](b.md#part), ![c](../d.png \"title\"), [e](https://example.com/f), [g](#h) and [i](/docs/)\n\
                    [j]: ../README.md\n`[k](nowhere)`\n```\n[l](nowhere)\n```\n[m](mailto:n@example.com)\n";
        let files = [("docs/a.md", text), ("docs/b.md", ""), ("d.png", ""), ("README.md", "")];
        assert_eq!(findings(check, &files), Vec::<String>::new());
    }

    #[test]
    fn dead_links_are_found() {
        let text = "see [a](b.md)\n\n[c]: ../../outside.md\n";
        assert_eq!(
            findings(check, &[("docs/a.md", text)]),
            ["docs/a.md:1: the link to b.md leads nowhere", "docs/a.md:3: the link to ../../outside.md leads nowhere",]
        );
    }
}
