use std::path::Path;

use crate::sandbox::Sandbox;

/// The generated pages of the reference. `TOMBOLO_UPDATE_DOCS=1 cargo test -p tombolo --test cli docs` writes them anew.
#[test]
fn the_generated_reference_is_up_to_date() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference");
    for page in ["config", "errors"] {
        let made = Sandbox::new().ok(&["reference", page]);
        let path = folder.join(format!("{page}.md"));
        if std::env::var_os("TOMBOLO_UPDATE_DOCS").is_some() {
            std::fs::write(&path, &made).unwrap();
        }
        let kept = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            made == kept,
            "{} is not what the code makes: set TOMBOLO_UPDATE_DOCS=1 and run this test",
            path.display()
        );
    }
}
