use std::io::Write;
use std::sync::{Arc, OnceLock};

use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, MapArray, PrimitiveArray, RecordBatch};
use arrow::datatypes::{DataType, FieldRef, Float16Type, Float32Type, Float64Type, SchemaRef};
use arrow::error::ArrowError;
use arrow::json::writer::{
    Encoder, EncoderFactory, EncoderOptions, JsonFormat, LineDelimited, NullableEncoder, Writer, WriterBuilder,
    make_encoder,
};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use tombolo_connector::Result;

use super::names::unique_names;
use super::writer::{ResultWriter, Sink, Summary, write_failed};

/// How values are written as JSON, in results and in the nested values of other formats.
///
/// Numbers are written digit by digit, so integers beyond 2^53 and decimals keep every digit (a reader that parses them as
/// doubles loses some; JSON itself does not). A float that JSON has no number for is written as the text `"NaN"`,
/// `"Infinity"` or `"-Infinity"`: `null` would say that there is no value. Bytes are written as hexadecimal text, dates and
/// times as in RFC 3339 (without an offset where the type has none), lists as arrays, documents as objects, maps as objects
/// whose keys are text. Null is `null`, always written.
pub(super) fn encoder_options() -> &'static EncoderOptions {
    static OPTIONS: OnceLock<EncoderOptions> = OnceLock::new();
    OPTIONS.get_or_init(|| {
        EncoderOptions::default().with_explicit_nulls(true).with_encoder_factory(Arc::new(ExactEncoders))
    })
}

fn builder() -> WriterBuilder {
    WriterBuilder::new().with_explicit_nulls(true).with_encoder_factory(Arc::new(ExactEncoders))
}

/// Writes rows as one JSON array, an object a line. Names that repeat are numbered (see [`unique_names`]), since the
/// members of an object must differ.
pub(super) struct JsonWriter<F: RowLayout> {
    schema: SchemaRef,
    writer: Writer<Sink, F>,
    rows: u64,
}

impl<F: RowLayout> JsonWriter<F> {
    pub(super) fn new(out: Sink) -> Self {
        Self { schema: Arc::new(arrow::datatypes::Schema::empty()), writer: builder().build::<_, F>(out), rows: 0 }
    }
}

impl<F: RowLayout> ResultWriter for JsonWriter<F> {
    fn begin(&mut self, schema: &SchemaRef) -> Result<()> {
        self.schema = unique_names(schema);
        Ok(())
    }

    fn batch(&mut self, batch: &RecordBatch) -> Result<()> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        self.rows += batch.num_rows() as u64;
        let batch = super::writer::with_schema(batch, &self.schema)?;
        self.writer.write(&batch).map_err(write_failed)
    }

    fn finish(&mut self, _summary: &Summary) -> Result<()> {
        if self.rows > 0 {
            self.writer.finish().map_err(write_failed)?;
        }
        let end = if self.rows > 0 { F::END } else { F::EMPTY };
        self.writer
            .get_mut()
            .write_all(end.as_bytes())
            .and_then(|()| self.writer.get_mut().flush())
            .map_err(write_failed)
    }
}

/// How objects follow each other.
pub(super) trait RowLayout: JsonFormat + Send {
    /// What is written when there was no row.
    const EMPTY: &'static str;
    /// What is written after the last row.
    const END: &'static str;
}

impl RowLayout for LineDelimited {
    const EMPTY: &'static str = "";
    const END: &'static str = "";
}

/// An array with a row on each line, so that it can be read by eye and cut by line.
#[derive(Debug, Default)]
pub(super) struct ArrayOfLines;

impl JsonFormat for ArrayOfLines {
    fn start_stream<W: Write>(&self, writer: &mut W) -> std::result::Result<(), ArrowError> {
        Ok(writer.write_all(b"[\n")?)
    }

    fn start_row<W: Write>(&self, writer: &mut W, is_first_row: bool) -> std::result::Result<(), ArrowError> {
        if !is_first_row {
            writer.write_all(b",\n")?;
        }
        Ok(())
    }

    fn end_stream<W: Write>(&self, writer: &mut W) -> std::result::Result<(), ArrowError> {
        Ok(writer.write_all(b"\n]")?)
    }
}

impl RowLayout for ArrayOfLines {
    const EMPTY: &'static str = "[]\n";
    const END: &'static str = "\n";
}

/// What arrow's own encoders do not do as [`encoder_options`] says.
#[derive(Debug)]
struct ExactEncoders;

impl EncoderFactory for ExactEncoders {
    fn make_default_encoder<'a>(
        &self,
        _field: &'a FieldRef,
        array: &'a dyn Array,
        options: &'a EncoderOptions,
    ) -> std::result::Result<Option<NullableEncoder<'a>>, ArrowError> {
        let encoder: Box<dyn Encoder + 'a> = match array.data_type() {
            DataType::Float16 => {
                Box::new(Floats(array.as_primitive::<Float16Type>(), |value| f64::from(value.to_f32())))
            }
            // Through text, so that 0.1 stays 0.1 and does not become 0.10000000149011612.
            DataType::Float32 => Box::new(Floats(array.as_primitive::<Float32Type>(), |value| {
                value.to_string().parse().unwrap_or_else(|_| f64::from(value))
            })),
            DataType::Float64 => Box::new(Floats(array.as_primitive::<Float64Type>(), |value| value)),
            DataType::Map(_, _) if !has_text_keys(array.as_map()) => {
                Box::new(AnyMap::try_new(array.as_map(), options)?)
            }
            DataType::Union(_, _) | DataType::RunEndEncoded(_, _) => {
                let options = FormatOptions::new().with_display_error(true);
                Box::new(AsText(ArrayFormatter::try_new(array, &options)?))
            }
            _ => return Ok(None),
        };
        Ok(Some(NullableEncoder::new(encoder, array.logical_nulls())))
    }
}

struct Floats<'a, T: ArrowPrimitiveType>(&'a PrimitiveArray<T>, fn(T::Native) -> f64);

impl<T: ArrowPrimitiveType> Encoder for Floats<'_, T> {
    fn encode(&mut self, idx: usize, out: &mut Vec<u8>) {
        let value = (self.1)(self.0.value(idx));
        if value.is_finite() {
            // Writing to a vector cannot fail, nor can a finite number.
            let _ = serde_json::to_writer(out, &value);
        } else {
            let name: &[u8] = match (value.is_nan(), value > 0.0) {
                (true, _) => b"\"NaN\"",
                (false, true) => b"\"Infinity\"",
                (false, false) => b"\"-Infinity\"",
            };
            out.extend_from_slice(name);
        }
    }
}

fn has_text_keys(map: &MapArray) -> bool {
    matches!(map.keys().data_type(), DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

/// A map whose keys are not text: an object all the same, with the keys written as text.
struct AnyMap<'a> {
    map: &'a MapArray,
    keys: ArrayFormatter<'a>,
    values: NullableEncoder<'a>,
}

impl<'a> AnyMap<'a> {
    fn try_new(map: &'a MapArray, options: &'a EncoderOptions) -> std::result::Result<Self, ArrowError> {
        let DataType::Map(entries, _) = map.data_type() else {
            return Err(ArrowError::JsonError("a map without entries".to_owned()));
        };
        let DataType::Struct(fields) = entries.data_type() else {
            return Err(ArrowError::JsonError("a map whose entries are no pairs".to_owned()));
        };
        let values: &ArrayRef = map.values();
        Ok(Self {
            map,
            keys: ArrayFormatter::try_new(map.keys(), &FormatOptions::new().with_display_error(true))?,
            values: make_encoder(&fields[1], values, options)?,
        })
    }
}

impl Encoder for AnyMap<'_> {
    fn encode(&mut self, idx: usize, out: &mut Vec<u8>) {
        let offsets = self.map.value_offsets();
        out.push(b'{');
        for (position, entry) in (offsets[idx] as usize..offsets[idx + 1] as usize).enumerate() {
            if position > 0 {
                out.push(b',');
            }
            // Writing to a vector cannot fail.
            let _ = serde_json::to_writer(&mut *out, &self.keys.value(entry).to_string());
            out.push(b':');
            if self.values.is_null(entry) {
                out.extend_from_slice(b"null");
            } else {
                self.values.encode(entry, out);
            }
        }
        out.push(b'}');
    }
}

struct AsText<'a>(ArrayFormatter<'a>);

impl Encoder for AsText<'_> {
    fn encode(&mut self, idx: usize, out: &mut Vec<u8>) {
        // Writing to a vector cannot fail.
        let _ = serde_json::to_writer(out, &self.0.value(idx).to_string());
    }
}
