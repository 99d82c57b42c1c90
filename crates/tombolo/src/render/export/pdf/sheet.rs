use pdf_writer::types::TextRenderingMode;
use pdf_writer::{Content, Filter, Finish, Name, Pdf, Rect, Ref, Str, TextStr};
use tombolo_connector::Result;
use unicode_segmentation::UnicodeSegmentation;

use super::compressed;
use super::font::Font;

/// A4, in points.
const SHORT_SIDE: f32 = 595.28;
const LONG_SIDE: f32 = 841.89;
const MARGIN: f32 = 36.0;

/// What the line at the foot of each page takes.
const FOOT: f32 = 18.0;

const FONT_NAME: Name<'static> = Name(b"F");

/// How a text looks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Look {
    pub(super) size: f32,
    pub(super) bold: bool,
    /// 0 is black, 1 is white.
    pub(super) gray: f32,
}

impl Look {
    /// From one line to the next.
    pub(super) fn leading(self) -> f32 {
        self.size * 1.3
    }
}

/// Pages that are written from the top to the bottom.
pub(super) struct Sheets {
    pub(super) font: Font,
    pub(super) page_width: f32,
    page_height: f32,
    pages: Vec<Content>,
    /// The place of the next line's top, from the bottom of the page.
    top: f32,
}

impl Sheets {
    pub(super) fn try_new(landscape: bool) -> Result<Self> {
        let (page_width, page_height) = if landscape { (LONG_SIDE, SHORT_SIDE) } else { (SHORT_SIDE, LONG_SIDE) };
        let font = Font::try_new()?;
        let mut sheets = Self { font, page_width, page_height, pages: Vec::new(), top: 0.0 };
        sheets.new_page();
        Ok(sheets)
    }

    /// The width between the margins of a page.
    pub(super) fn width_of(landscape: bool) -> f32 {
        (if landscape { LONG_SIDE } else { SHORT_SIDE }) - 2.0 * MARGIN
    }

    pub(super) fn width(&self) -> f32 {
        self.page_width - 2.0 * MARGIN
    }

    pub(super) fn new_page(&mut self) {
        self.pages.push(Content::new());
        self.top = self.page_height - MARGIN;
    }

    /// Whether so much height is left on this page.
    pub(super) fn has_room(&self, height: f32) -> bool {
        self.top - height >= MARGIN + FOOT
    }

    /// Moves down.
    pub(super) fn skip(&mut self, height: f32) {
        self.top -= height;
    }

    /// Sets one line with its top where the sheet stands, `x` from the left margin. Does not move down.
    pub(super) fn text(&mut self, x: f32, down: f32, text: &str, look: Look) {
        if text.is_empty() {
            return;
        }
        let encoded = self.font.encode(text);
        let baseline = self.top - down - look.size;
        let Some(page) = self.pages.last_mut() else { return };
        page.begin_text();
        page.set_font(FONT_NAME, look.size).set_fill_gray(look.gray);
        if look.bold {
            // There is one font; a thin outline in the same ink makes it bold.
            page.set_text_rendering_mode(TextRenderingMode::FillStroke);
            page.set_stroke_gray(look.gray).set_line_width(look.size * 0.035);
        } else {
            page.set_text_rendering_mode(TextRenderingMode::Fill);
        }
        page.set_text_matrix([1.0, 0.0, 0.0, 1.0, MARGIN + x, baseline]).show(Str(&encoded)).end_text();
    }

    /// Draws a line across, `down` below where the sheet stands.
    pub(super) fn rule(&mut self, down: f32, width: f32, gray: f32) {
        let y = self.top - down;
        let Some(page) = self.pages.last_mut() else { return };
        page.set_stroke_gray(gray).set_line_width(0.5);
        page.move_to(MARGIN, y).line_to(MARGIN + width, y).stroke();
    }

    /// Sets a paragraph, on further pages if it must.
    pub(super) fn paragraph(&mut self, indent: f32, text: &str, look: Look) {
        let room = self.width() - indent;
        for line in wrap(&mut self.font, text, room, look.size) {
            if !self.has_room(look.leading()) {
                self.new_page();
            }
            self.text(indent, 0.0, &line, look);
            self.skip(look.leading());
        }
    }

    /// The file, with a line at the foot of each page.
    pub(super) fn finish(mut self, title: &str) -> Result<Vec<u8>> {
        self.write_feet(title);
        let mut last = 0;
        let mut next = || {
            last += 1;
            Ref::new(last)
        };
        let (catalog, tree, font, info) = (next(), next(), next(), next());
        let mut pdf = Pdf::new();
        pdf.catalog(catalog).pages(tree);
        let pages: Vec<(Ref, Ref)> = self.pages.iter().map(|_| (next(), next())).collect();
        let count = i32::try_from(pages.len()).unwrap_or(i32::MAX);
        pdf.pages(tree).kids(pages.iter().map(|(page, _)| *page)).count(count);
        for (content, (page, stream)) in std::mem::take(&mut self.pages).into_iter().zip(pages) {
            let mut written = pdf.page(page);
            written.media_box(Rect::new(0.0, 0.0, self.page_width, self.page_height)).parent(tree).contents(stream);
            written.resources().fonts().pair(FONT_NAME, font);
            written.finish();
            pdf.stream(stream, &compressed(&content.finish())?).filter(Filter::FlateDecode);
        }
        pdf.document_info(info).title(TextStr(title)).producer(TextStr("Tombolo"));
        self.font.write(&mut pdf, font, &mut next)?;
        Ok(pdf.finish())
    }

    fn write_feet(&mut self, title: &str) {
        let look = Look { size: 7.5, bold: false, gray: 0.4 };
        let count = self.pages.len();
        let pages = std::mem::take(&mut self.pages);
        let mut done = Vec::with_capacity(count);
        for (index, page) in pages.into_iter().enumerate() {
            self.pages = vec![page];
            self.top = MARGIN + FOOT;
            let number = format!("page {} of {count}", index + 1);
            let right = self.width() - self.font.width(&number, look.size);
            self.text(0.0, 6.0, title, look);
            self.text(right, 6.0, &number, look);
            done.append(&mut self.pages);
        }
        self.pages = done;
    }
}

/// The text in lines that are no wider than `room`, broken at blanks where there are any.
pub(super) fn wrap(font: &mut Font, text: &str, room: f32, size: f32) -> Vec<String> {
    let mut lines = Vec::new();
    for paragraph in text.split('\n') {
        let mut line = String::new();
        let mut used = 0.0;
        for piece in paragraph.split_word_bounds() {
            let wide = font.width(piece, size);
            if used + wide <= room {
                line.push_str(piece);
                used += wide;
                continue;
            }
            if !line.is_empty() {
                lines.push(std::mem::take(&mut line).trim_end().to_owned());
                used = 0.0;
            }
            if piece.trim().is_empty() {
                continue;
            }
            for grapheme in piece.graphemes(true) {
                let wide = font.width(grapheme, size);
                if used + wide > room && !line.is_empty() {
                    lines.push(std::mem::take(&mut line));
                    used = 0.0;
                }
                line.push_str(grapheme);
                used += wide;
            }
        }
        lines.push(line.trim_end().to_owned());
    }
    lines
}
