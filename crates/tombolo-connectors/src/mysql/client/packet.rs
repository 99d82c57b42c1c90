//! The parts that packets are made of. Source: "MySQL Client/Server Protocol" in the documentation of MySQL's sources.

use std::io;

use super::failure::{broken, short};
use tombolo_connector::Result;

/// Reads a packet from its begin to its end.
#[derive(Debug, Clone, Copy)]
pub(in crate::mysql) struct Reader<'a>(pub(in crate::mysql) &'a [u8]);

impl<'a> Reader<'a> {
    pub(in crate::mysql) fn bytes(&mut self, count: usize) -> Result<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or_else(|| broken(short()))?;
        self.0 = rest;
        Ok(taken)
    }

    pub(in crate::mysql) fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk::<N>().ok_or_else(|| broken(short()))?;
        self.0 = rest;
        Ok(*taken)
    }

    pub(in crate::mysql) fn u8(&mut self) -> Result<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(in crate::mysql) fn u16(&mut self) -> Result<u16> {
        self.array().map(u16::from_le_bytes)
    }

    pub(in crate::mysql) fn u32(&mut self) -> Result<u32> {
        self.array().map(u32::from_le_bytes)
    }

    /// A number that says by its first byte how long it is; none where that byte stands for NULL.
    pub(in crate::mysql) fn length(&mut self) -> Result<Option<u64>> {
        Ok(Some(match self.u8()? {
            byte @ 0..=250 => u64::from(byte),
            251 => return Ok(None),
            252 => u64::from(self.u16()?),
            253 => {
                let [a, b, c] = self.array()?;
                u64::from(u32::from_le_bytes([a, b, c, 0]))
            }
            254 => u64::from_le_bytes(self.array()?),
            255 => {
                return Err(broken(io::Error::new(io::ErrorKind::InvalidData, "the server sent an impossible length")));
            }
        }))
    }

    /// Bytes with their length before them; none for NULL.
    pub(in crate::mysql) fn optional_text(&mut self) -> Result<Option<&'a [u8]>> {
        match self.length()? {
            Some(length) => self.bytes(usize::try_from(length).unwrap_or(usize::MAX)).map(Some),
            None => Ok(None),
        }
    }

    pub(in crate::mysql) fn text(&mut self) -> Result<&'a [u8]> {
        self.optional_text().map(Option::unwrap_or_default)
    }

    /// Bytes up to a zero, or up to the end where there is none.
    pub(in crate::mysql) fn until_zero(&mut self) -> &'a [u8] {
        let end = self.0.iter().position(|byte| *byte == 0).unwrap_or(self.0.len());
        let (taken, rest) = self.0.split_at(end);
        self.0 = rest.get(1..).unwrap_or_default();
        taken
    }
}

/// A column of a result, as far as it is looked at.
#[derive(Debug, Clone)]
pub(in crate::mysql) struct ColumnDefinition {
    pub(in crate::mysql) name: String,
    /// The number of its character set and collation; 63 is that of bytes.
    pub(in crate::mysql) collation: u16,
    /// The most bytes of a value as text.
    pub(in crate::mysql) length: u32,
    pub(in crate::mysql) flags: u16,
    /// Digits after the point.
    pub(in crate::mysql) decimals: u8,
    /// The number of the type; `enum_field_types` in MySQL's sources.
    pub(in crate::mysql) kind: u8,
    /// Whether numbers are without a sign.
    pub(in crate::mysql) is_unsigned: bool,
}

/// `UNSIGNED_FLAG` of a column's definition.
const UNSIGNED: u16 = 32;

impl ColumnDefinition {
    /// Reads `Protocol::ColumnDefinition41`.
    pub(in crate::mysql) fn read(packet: &[u8]) -> Result<Self> {
        let mut reader = Reader(packet);
        // Catalog, schema, table, the table's own name.
        for _ in 0..4 {
            reader.text()?;
        }
        let name = String::from_utf8_lossy(reader.text()?).into_owned();
        // The column's own name, and the length of what follows.
        reader.text()?;
        reader.u8()?;
        let (collation, length, kind) = (reader.u16()?, reader.u32()?, reader.u8()?);
        let (flags, decimals) = (reader.u16()?, reader.u8()?);
        Ok(Self { kind, is_unsigned: flags & UNSIGNED != 0, name, collation, length, flags, decimals })
    }
}

/// What ends a statement or its rows: an OK or EOF packet, as far as it is looked at.
#[derive(Debug, Clone, Copy)]
pub(in crate::mysql) struct Status(u16);

impl Status {
    /// Reads an OK packet: its mark, the rows it has changed and the last number it gave, then the status.
    pub(in crate::mysql) fn of_ok(packet: &[u8]) -> Result<Self> {
        let mut reader = Reader(packet);
        reader.u8()?;
        reader.length()?;
        reader.length()?;
        reader.u16().map(Self)
    }

    /// Reads an EOF packet: its mark, the number of warnings, then the status.
    pub(in crate::mysql) fn of_eof(packet: &[u8]) -> Result<Self> {
        let mut reader = Reader(packet);
        reader.bytes(3)?;
        reader.u16().map(Self)
    }

    /// `SERVER_STATUS_IN_TRANS`
    pub(in crate::mysql) fn is_in_transaction(self) -> bool {
        self.0 & 1 != 0
    }

    /// `SERVER_MORE_RESULTS_EXISTS`
    pub(in crate::mysql) fn has_more(self) -> bool {
        self.0 & 8 != 0
    }
}

/// Whether a packet is the EOF after rows or columns; a row may begin with the same byte, but is longer then.
pub(in crate::mysql) fn is_eof(packet: &[u8]) -> bool {
    packet.first() == Some(&0xfe) && packet.len() < 9
}

/// Whether a packet is an error.
pub(in crate::mysql) fn is_error(packet: &[u8]) -> bool {
    packet.first() == Some(&0xff)
}
