use std::fmt;

use arrow::array::Array;
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, FieldRef};
use arrow::json::writer::{NullableEncoder, make_encoder};
use arrow::util::display::{ArrayFormatter, DurationFormat, FormatOptions};
use tombolo_connector::{ErrorCode, Result, ResultExt};

use super::json::encoder_options;

/// For whom a value is written as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Audience {
    /// People: `2026-01-05 10:00:00`.
    People,
    /// Programs: `2026-01-05T10:00:00`.
    Programs,
}

impl Audience {
    fn options(self) -> FormatOptions<'static> {
        let options = FormatOptions::new().with_display_error(true);
        match self {
            Self::People => options
                .with_duration_format(DurationFormat::Pretty)
                .with_datetime_format(Some("%Y-%m-%d %H:%M:%S%.f"))
                .with_timestamp_format(Some("%Y-%m-%d %H:%M:%S%.f"))
                .with_timestamp_tz_format(Some("%Y-%m-%d %H:%M:%S%.f%:z")),
            Self::Programs => options.with_duration_format(DurationFormat::ISO8601),
        }
    }
}

/// Writes the values of one column of one batch as text. Nested values are written as JSON.
pub(crate) struct Cells<'a> {
    nulls: Option<NullBuffer>,
    text: Text<'a>,
}

enum Text<'a> {
    Plain(ArrayFormatter<'a>),
    Json { encoder: NullableEncoder<'a>, buffer: Vec<u8> },
}

impl<'a> Cells<'a> {
    /// Prepares a column.
    pub(crate) fn try_new(field: &'a FieldRef, array: &'a dyn Array, audience: Audience) -> Result<Self> {
        let text = if array.data_type().is_nested()
            && let Ok(encoder) = make_encoder(field, array, encoder_options())
        {
            Text::Json { encoder, buffer: Vec::new() }
        } else {
            let formatter = ArrayFormatter::try_new(array, &audience.options())
                .or_error(ErrorCode::Unsupported, || {
                    format!("column {} of type {} cannot be shown as text", field.name(), field.data_type())
                })?;
            Text::Plain(formatter)
        };
        // Logical nulls, since a dictionary and an array of the null type keep them elsewhere.
        Ok(Self { nulls: array.logical_nulls(), text })
    }

    /// Whether the value is null.
    pub(crate) fn is_null(&self, row: usize) -> bool {
        self.nulls.as_ref().is_some_and(|nulls| nulls.is_null(row))
    }

    /// Adds the value to a text that may refuse more, as [`Limited`] does. A null adds nothing.
    pub(crate) fn write(&mut self, row: usize, out: &mut dyn fmt::Write) {
        if self.is_null(row) {
            return;
        }
        // What refuses has said so itself.
        let _ = match &mut self.text {
            Text::Plain(formatter) => out.write_fmt(format_args!("{}", formatter.value(row))),
            Text::Json { encoder, buffer } => {
                buffer.clear();
                encoder.encode(row, buffer);
                out.write_str(&String::from_utf8_lossy(buffer))
            }
        };
    }

    /// The value as text; `None` for null.
    pub(crate) fn text(&mut self, row: usize) -> Option<String> {
        if self.is_null(row) {
            return None;
        }
        let mut text = String::new();
        self.write(row, &mut text);
        Some(text)
    }
}

/// Text that takes so many characters and no more.
#[derive(Debug, Default)]
pub(crate) struct Limited {
    /// What was taken.
    pub(crate) text: String,
    /// Whether something was not.
    pub(crate) cut: bool,
    room: usize,
}

impl Limited {
    /// Takes up to `characters`.
    pub(crate) fn new(characters: usize) -> Self {
        Self { text: String::new(), cut: false, room: characters }
    }
}

impl fmt::Write for Limited {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            if self.room == 0 {
                self.cut = true;
                return Err(fmt::Error);
            }
            self.room -= 1;
            self.text.push(character);
        }
        Ok(())
    }
}

/// Whether the values read as numbers, and so stand at the right.
pub(crate) fn is_number(data_type: &DataType) -> bool {
    match data_type {
        DataType::Dictionary(_, values) => is_number(values),
        other => other.is_numeric(),
    }
}
