use std::io::IsTerminal;

/// What a stream can show: how wide it is, and whether it takes colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Terminal {
    /// Whether a person looks at it.
    pub(crate) interactive: bool,
    /// Columns; `None` where there is no width to fit, as in a pipe or a file.
    pub(crate) width: Option<usize>,
    /// Whether colours are shown.
    pub(crate) colors: bool,
}

/// The width of a terminal that does not tell.
const USUAL_WIDTH: usize = 80;

/// Below this, nothing is fitted: a table of slivers helps nobody.
const LEAST_WIDTH: usize = 20;

impl Terminal {
    /// A stream that nobody looks at directly: no width, no colours.
    pub(crate) const PLAIN: Self = Self { interactive: false, width: None, colors: false };

    /// What this process's standard output can show.
    pub(crate) fn stdout() -> Self {
        Self::of(&std::io::stdout())
    }

    /// What this process's standard error can show.
    pub(crate) fn stderr() -> Self {
        Self::of(&std::io::stderr())
    }

    #[cfg(unix)]
    fn of(stream: &(impl IsTerminal + std::os::fd::AsFd)) -> Self {
        Self::detect(stream.is_terminal(), || terminal_size::terminal_size_of(stream))
    }

    #[cfg(windows)]
    fn of(stream: &(impl IsTerminal + std::os::windows::io::AsHandle)) -> Self {
        Self::detect(stream.is_terminal(), || terminal_size::terminal_size_of(stream))
    }

    fn detect(is_terminal: bool, size: impl FnOnce() -> Option<(terminal_size::Width, terminal_size::Height)>) -> Self {
        if !is_terminal {
            return Self::PLAIN;
        }
        let width = size().map_or(USUAL_WIDTH, |(width, _)| usize::from(width.0)).max(LEAST_WIDTH);
        Self { interactive: true, width: Some(width), colors: colors_wanted() }
    }

    /// The text in a style, where colours are shown.
    pub(crate) fn paint(self, style: Style, text: &str) -> String {
        if self.colors && !text.is_empty() {
            format!("\u{1b}[{}m{text}\u{1b}[0m", style.code())
        } else {
            text.to_owned()
        }
    }

    /// The width to fill with prose: the terminal's, but no wider than is comfortable to read.
    pub(crate) fn prose_width(self) -> usize {
        self.width.unwrap_or(100).min(120)
    }
}

/// `NO_COLOR` (any value but the empty one) turns colours off, as no-color.org asks, and so does a dumb terminal.
fn colors_wanted() -> bool {
    let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let dumb = std::env::var_os("TERM").is_some_and(|value| value == "dumb");
    !refused && !dumb
}

/// What a piece of text is, and so how it looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// A heading or a column's name.
    Heading,
    /// What matters less: nulls, borders, labels.
    Dim,
    /// The name of a source or a table.
    Name,
    /// All is well.
    Good,
    /// Worth a look.
    Warning,
    /// Wrong.
    Error,
}

impl Style {
    fn code(self) -> &'static str {
        match self {
            Self::Heading => "1",
            Self::Dim => "2",
            Self::Name => "36",
            Self::Good => "32",
            Self::Warning => "33",
            Self::Error => "1;31",
        }
    }
}
