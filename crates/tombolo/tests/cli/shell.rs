use crate::sandbox::Sandbox;

#[test]
fn a_shell_without_a_terminal_runs_its_input() {
    let sandbox = Sandbox::with_shop();
    let ran = sandbox.feed(&["shell"], "SELECT 1 AS a;\nSELECT count(*) AS n\nFROM shop.customers;\n");
    assert_eq!((ran.code, ran.stdout.as_str()), (0, "a\n1\nn\n6\n"), "{ran:?}");
    let ran = sandbox.feed(&["shell"], "SELECT * FROM shop.nothing;");
    assert_eq!(ran.code, 1, "{ran:?}");
}
