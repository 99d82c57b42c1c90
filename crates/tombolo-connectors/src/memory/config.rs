use tombolo_connector::OptionSpec;

/// A memory source is registered from Rust and takes no options.
pub(super) const OPTIONS: &[OptionSpec] = &[];
