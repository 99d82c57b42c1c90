//! No code. Every crate of the workspace depends on this one, whose dependencies name the features that the workspace as a
//! whole enables. Without it, `cargo test -p one-crate` would ask for a smaller set of features in crates such as `libc`
//! and `tokio`, and rebuild everything above them.
