use super::{PlanFormat, write_explanation};
use crate::render::Terminal;
use crate::render::fixtures::explanation;

fn text(format: PlanFormat, analyzed: bool, terminal: Terminal) -> String {
    let mut out = Vec::new();
    write_explanation(&explanation(analyzed), format, terminal, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn a_plan_as_people_read_it() {
    insta::assert_snapshot!(text(PlanFormat::Text, false, Terminal::PLAIN));
}

#[test]
fn a_plan_that_ran_carries_its_figures() {
    insta::assert_snapshot!(text(PlanFormat::Text, true, Terminal::PLAIN));
}

#[test]
fn a_plan_fits_a_narrow_terminal() {
    let text = text(PlanFormat::Text, true, Terminal { interactive: true, width: Some(60), colors: false });
    assert!(text.lines().all(|line| crate::render::text::width(line) <= 60), "{text}");
}

#[test]
fn pictures_escape_what_their_languages_take_for_markup() {
    insta::assert_snapshot!(format!(
        "{}\n{}",
        text(PlanFormat::Dot, false, Terminal::PLAIN),
        text(PlanFormat::Mermaid, true, Terminal::PLAIN)
    ));
}

#[test]
fn a_plan_as_json_reads_back() {
    let json = text(PlanFormat::Json, true, Terminal::PLAIN);
    assert_eq!(serde_json::from_str::<tombolo_engine::check::Explanation>(&json).unwrap(), explanation(true));
}
