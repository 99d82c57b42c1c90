use std::collections::{BTreeMap, HashMap};

use pdf_writer::types::{CidFontType, FontFlags, SystemInfo, UnicodeCmap};
use pdf_writer::{Filter, Finish, Name, Pdf, Rect, Ref, Str};
use subsetter::GlyphRemapper;
use tombolo_connector::{ErrorCode, Result, ResultExt};
use ttf_parser::{Face, GlyphId};
use unicode_segmentation::UnicodeSegmentation;

use super::compressed;

/// DejaVu Sans Condensed: Latin, Greek, Cyrillic, Armenian, Georgian, Hebrew, Arabic, mathematics, arrows and boxes. Free to
/// redistribute and to embed; its licence lies beside it.
const FONT: &[u8] = include_bytes!("DejaVuSansCondensed.ttf");

const CHARACTER_COLLECTION: SystemInfo<'static> =
    SystemInfo { registry: Str(b"Adobe"), ordering: Str(b"Identity"), supplement: 0 };

/// The one font of a PDF: measures text, and keeps the glyphs that were used, since only those are put into the file.
pub(super) struct Font {
    face: Face<'static>,
    glyphs: HashMap<char, Glyph>,
    used: GlyphRemapper,
    /// New glyph → the character that it stands for, so that text can be copied out of the file.
    characters: BTreeMap<u16, char>,
    /// Graphemes that have no glyph, or that the font cannot set as their script asks.
    pub(super) unshown: u64,
}

#[derive(Clone, Copy)]
struct Glyph {
    id: GlyphId,
    /// In thousandths of the size.
    advance: f32,
    is_missing: bool,
}

impl Font {
    pub(super) fn try_new() -> Result<Self> {
        let face = Face::parse(FONT, 0).or_error(ErrorCode::Internal, || "the PDF font cannot be read".to_owned())?;
        Ok(Self { face, glyphs: HashMap::new(), used: GlyphRemapper::new(), characters: BTreeMap::new(), unshown: 0 })
    }

    fn glyph(&mut self, character: char) -> Glyph {
        let Self { face, glyphs, .. } = self;
        *glyphs.entry(character).or_insert_with(|| {
            let own = face.glyph_index(character);
            let id = own.or_else(|| face.glyph_index('\u{fffd}')).unwrap_or_default();
            let advance = f32::from(face.glyph_hor_advance(id).unwrap_or(0));
            let advance = advance * 1000.0 / f32::from(face.units_per_em());
            Glyph { id, advance, is_missing: own.is_none() }
        })
    }

    /// How wide the text is at a size.
    pub(super) fn width(&mut self, text: &str, size: f32) -> f32 {
        text.chars().map(|character| self.glyph(character).advance).sum::<f32>() * size / 1000.0
    }

    /// The text as the PDF's show operator takes it.
    pub(super) fn encode(&mut self, text: &str) -> Vec<u8> {
        let mut encoded = Vec::with_capacity(text.len() * 2);
        for grapheme in text.graphemes(true) {
            let mut unshown = grapheme.chars().any(needs_shaping);
            for character in grapheme.chars() {
                let glyph = self.glyph(character);
                unshown |= glyph.is_missing;
                let id = self.used.remap(glyph.id.0);
                self.characters.entry(id).or_insert(character);
                encoded.extend_from_slice(&id.to_be_bytes());
            }
            self.unshown += u64::from(unshown);
        }
        encoded
    }

    /// Puts the font into the file: the glyphs that were used, their widths, and which characters they stand for.
    pub(super) fn write(&mut self, pdf: &mut Pdf, font: Ref, next: &mut impl FnMut() -> Ref) -> Result<()> {
        let (cid_font, descriptor, cmap, data) = (next(), next(), next(), next());
        // Six letters and a plus sign mark a subset.
        let name = Name(b"TOMBOL+DejaVuSansCondensed");
        pdf.type0_font(font)
            .base_font(name)
            .encoding_predefined(Name(b"Identity-H"))
            .descendant_font(cid_font)
            .to_unicode(cmap);

        let widths: Vec<f32> = self
            .used
            .remapped_gids()
            .map(|glyph| {
                let advance = f32::from(self.face.glyph_hor_advance(GlyphId(glyph)).unwrap_or(0));
                advance * 1000.0 / f32::from(self.face.units_per_em())
            })
            .collect();
        let mut cid = pdf.cid_font(cid_font);
        cid.subtype(CidFontType::Type2)
            .base_font(name)
            .system_info(CHARACTER_COLLECTION)
            .font_descriptor(descriptor)
            .default_width(0.0)
            .cid_to_gid_map_predefined(Name(b"Identity"));
        cid.widths().consecutive(0, widths);
        cid.finish();

        let scale = |value: i16| f32::from(value) * 1000.0 / f32::from(self.face.units_per_em());
        let bbox = self.face.global_bounding_box();
        pdf.font_descriptor(descriptor)
            .name(name)
            .flags(FontFlags::SYMBOLIC)
            .bbox(Rect::new(scale(bbox.x_min), scale(bbox.y_min), scale(bbox.x_max), scale(bbox.y_max)))
            .italic_angle(0.0)
            .ascent(scale(self.face.ascender()))
            .descent(scale(self.face.descender()))
            .cap_height(scale(self.face.capital_height().unwrap_or(self.face.ascender())))
            .stem_v(80.0)
            .font_file2(data);

        let mut unicode = UnicodeCmap::new(Name(b"Tombolo"), CHARACTER_COLLECTION);
        for (glyph, character) in &self.characters {
            unicode.pair(*glyph, *character);
        }
        pdf.cmap(cmap, &unicode.finish());

        let subset = subsetter::subset(FONT, 0, &self.used)
            .or_error(ErrorCode::Internal, || "the PDF font cannot be cut to size".to_owned())?;
        let mut stream = compressed(&subset)?;
        let length = i32::try_from(subset.len()).unwrap_or(i32::MAX);
        let mut written = pdf.stream(data, &stream);
        written.filter(Filter::FlateDecode).pair(Name(b"Length1"), length);
        written.finish();
        stream.clear();
        Ok(())
    }
}

/// Scripts that read from right to left or join their letters. The font may have the letters; setting them right takes a
/// shaper, which is not worth its weight here.
fn needs_shaping(character: char) -> bool {
    matches!(u32::from(character), 0x0590..=0x08ff | 0x0900..=0x0dff | 0x0e00..=0x0eff | 0x1780..=0x17ff | 0xfb1d..=0xfdff | 0xfe70..=0xfeff)
}
