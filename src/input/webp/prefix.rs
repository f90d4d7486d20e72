//! Prefix codes of a lossless WebP, and the images that stand before its pixels (RFC 9649, 3 to 6).

/// Codes of a group: green and lengths, red, blue, alpha, distances.
const GROUP: [usize; 5] = [280, 256, 256, 256, 40];

/// Blocks of 2^`bits` pixels that cover `length`.
pub(super) fn blocks(length: usize, bits: u32) -> usize {
    length.div_ceil(1 << bits)
}

/// Bits of a stream, the lowest of each byte first.
pub(super) struct Bits<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) at: usize,
}

impl Bits<'_> {
    /// The next `count` bits, 24 at most.
    pub(super) fn read(&mut self, count: u32) -> Option<u32> {
        let end = self.at + count as usize;
        if end > 8 * self.bytes.len() {
            return None;
        }
        let mut word = [0; 4];
        let rest = &self.bytes[self.at / 8..];
        let length = rest.len().min(4);
        word[..length].copy_from_slice(&rest[..length]);
        let value = u32::from_le_bytes(word) >> (self.at % 8) & ((1 << count) - 1);
        self.at = end;
        Some(value)
    }

    /// Width and height (RFC 9649, 3.4).
    pub(super) fn header(&mut self) -> Option<[usize; 2]> {
        let signature = self.read(8)?;
        let size = [self.read(14)?, self.read(14)?].map(|side| side as usize + 1);
        // Is there alpha, and a version, which is 0.
        let version = self.read(4)? >> 1;
        (signature == 0x2F && version == 0).then_some(size)
    }

    /// Passes over the transforms (RFC 9649, 4); gives the width of what is coded behind them.
    pub(super) fn transforms(&mut self, mut width: usize, height: usize) -> Option<usize> {
        let mut seen = [false; 4];
        while self.read(1)? == 1 {
            let kind = self.read(2)? as usize;
            if std::mem::replace(seen.get_mut(kind)?, true) {
                return None;
            }
            match kind {
                0 | 1 => {
                    let block = self.read(3)? + 2;
                    self.image(blocks(width, block), blocks(height, block))?;
                }
                3 => {
                    let colours = self.read(8)? as usize + 1;
                    self.image(colours, 1)?;
                    width = blocks(width, pixels_together(colours));
                }
                _ => {}
            }
        }
        Some(width)
    }

    /// Bits of the colour cache's size; 0 where there is none.
    pub(super) fn cache_bits(&mut self) -> Option<u32> {
        match self.read(1)? {
            0 => Some(0),
            _ => Some(self.read(4)?).filter(|bits| (1..=11).contains(bits)),
        }
    }

    /// The five codes of a group.
    pub(super) fn group(&mut self, cache: u32) -> Option<[Code; 5]> {
        let colours = match cache {
            0 => 0,
            bits => 1 << bits,
        };
        let [green, others @ ..] = GROUP;
        let green = self.code(green + colours)?;
        let [red, blue, alpha, distance] = others;
        Some([
            green,
            self.code(red)?,
            self.code(blue)?,
            self.code(alpha)?,
            self.code(distance)?,
        ])
    }

    /// A prefix code of `symbols` (RFC 9649, 6.2.1).
    fn code(&mut self, symbols: usize) -> Option<Code> {
        if self.read(1)? == 1 {
            let two = self.read(1)? == 1;
            let width = if self.read(1)? == 1 { 8 } else { 1 };
            let first = self.read(width)? as u16;
            let listed = match two {
                true => vec![first, self.read(8)? as u16],
                false => vec![first],
            };
            let known = listed.iter().all(|&symbol| usize::from(symbol) < symbols);
            return known.then(|| Code::listed(listed));
        }
        let mut lengths = [0; 19];
        for &place in ORDER.iter().take(4 + self.read(4)? as usize) {
            lengths[place] = self.read(3)? as u8;
        }
        let lengths = Code::new(&lengths)?;
        Code::new(&self.lengths(&lengths, symbols)?)
    }

    /// Lengths of the codes of `symbols`, themselves coded by `code`.
    fn lengths(&mut self, code: &Code, symbols: usize) -> Option<Vec<u8>> {
        let mut left = symbols;
        if self.read(1)? == 1 {
            let width = 2 + 2 * self.read(3)?;
            left = 2 + self.read(width)? as usize;
            if left > symbols {
                return None;
            }
        }
        let mut lengths = Vec::with_capacity(symbols);
        let mut last = 8;
        while lengths.len() < symbols && left > 0 {
            left -= 1;
            let (length, times) = match self.symbol(code)? {
                16 => (last, 3 + self.read(2)?),
                17 => (0, 3 + self.read(3)?),
                18 => (0, 11 + self.read(7)?),
                length => (length as u8, 1),
            };
            if length != 0 {
                last = length;
            }
            lengths.extend(std::iter::repeat_n(length, times as usize));
        }
        if lengths.len() > symbols {
            return None;
        }
        lengths.resize(symbols, 0);
        Some(lengths)
    }

    fn symbol(&mut self, code: &Code) -> Option<u16> {
        if let [only] = code.symbols[..] {
            return Some(only);
        }
        let (mut word, mut first, mut index) = (0, 0, 0);
        for &count in &code.counts[1..] {
            word |= self.read(1)? as usize;
            if word < first + count {
                return code.symbols.get(index + word - first).copied();
            }
            index += count;
            first = (first + count) << 1;
            word <<= 1;
        }
        None
    }

    /// An image of `width` x `height` that serves the picture: transforms, or groups of codes (RFC 9649, 5).
    pub(super) fn image(&mut self, width: usize, height: usize) -> Option<Vec<u32>> {
        let cache = self.cache_bits()?;
        let mut cache = Cache::new(cache);
        let [green, red, blue, alpha, distance] = self.group(cache.bits)?;
        let mut pixels: Vec<u32> = Vec::with_capacity(width * height);
        while pixels.len() < width * height {
            match self.symbol(&green)? {
                value @ ..256 => {
                    let (red, blue) = (self.symbol(&red)?, self.symbol(&blue)?);
                    let bytes = [blue, value, red, self.symbol(&alpha)?].map(|value| value as u8);
                    let pixel = u32::from_le_bytes(bytes);
                    cache.insert(pixel);
                    pixels.push(pixel);
                }
                length @ 256..280 => {
                    let length = self.number(length - 256)?;
                    let plane = self.symbol(&distance)?;
                    let back = distance_of(width, self.number(plane)?);
                    let start = pixels.len().checked_sub(back)?;
                    if length > width * height - pixels.len() {
                        return None;
                    }
                    for at in start..start + length {
                        let pixel = pixels[at];
                        cache.insert(pixel);
                        pixels.push(pixel);
                    }
                }
                colour => pixels.push(*cache.colours.get(usize::from(colour) - 280)?),
            }
        }
        Some(pixels)
    }

    /// A length or distance from its prefix.
    fn number(&mut self, prefix: u16) -> Option<usize> {
        let prefix = u32::from(prefix);
        if prefix < 4 {
            return Some(prefix as usize + 1);
        }
        let extra = (prefix - 2) >> 1;
        let base = (2 + (prefix & 1)) << extra;
        Some((base + self.read(extra)?) as usize + 1)
    }
}

/// Bits of the number of pixels that share one of a picture of so few colours.
fn pixels_together(colours: usize) -> u32 {
    match colours {
        ..=2 => 3,
        3..=4 => 2,
        5..=16 => 1,
        _ => 0,
    }
}

/// A prefix code.
pub(super) struct Code {
    /// Symbols in the order of their codes.
    pub(super) symbols: Vec<u16>,
    /// Codes of each length.
    pub(super) counts: [usize; 16],
}

impl Code {
    /// One symbol, or two of a bit each.
    fn listed(symbols: Vec<u16>) -> Self {
        let mut counts = [0; 16];
        counts[1] = symbols.len();
        Self { symbols, counts }
    }

    /// The canonical code of these lengths; none where they leave codes over or have too few.
    fn new(lengths: &[u8]) -> Option<Self> {
        let mut counts = [0; 16];
        let mut symbols: Vec<u16> = (0..).take(lengths.len()).collect();
        symbols.retain(|&symbol| lengths[usize::from(symbol)] > 0);
        symbols.sort_by_key(|&symbol| lengths[usize::from(symbol)]);
        for &symbol in &symbols {
            *counts.get_mut(usize::from(lengths[usize::from(symbol)]))? += 1;
        }
        let used: usize = (1..16).map(|length| counts[length] << (15 - length)).sum();
        (symbols.len() == 1 || used == 1 << 15).then_some(Self { symbols, counts })
    }
}

/// The last colours, by a hash (RFC 9649, 5.2.3).
struct Cache {
    bits: u32,
    colours: Vec<u32>,
}

impl Cache {
    fn new(bits: u32) -> Self {
        let colours = match bits {
            0 => Vec::new(),
            bits => vec![0; 1 << bits],
        };
        Self { bits, colours }
    }

    fn insert(&mut self, pixel: u32) {
        if self.bits > 0 {
            let place = 0x1E35_A7BD_u32.wrapping_mul(pixel) >> (32 - self.bits);
            self.colours[place as usize] = pixel;
        }
    }
}

/// In which order the lengths of the codes of lengths are written.
const ORDER: [usize; 19] = [
    17, 18, 0, 1, 2, 3, 4, 5, 16, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15,
];

/// How far back, in a row of `width`, the distance `code` leads: the first 120 name neighbours (RFC 9649, 5.2.2).
fn distance_of(width: usize, code: usize) -> usize {
    let Some(&(across, rows)) = NEIGHBOURS.get(code - 1) else {
        return code - NEIGHBOURS.len();
    };
    (usize::from(rows) * width)
        .saturating_add_signed(isize::from(across))
        .max(1)
}

/// Columns to the left, and rows up.
#[rustfmt::skip]
const NEIGHBOURS: [(i8, u8); 120] = [
    (0, 1),  (1, 0),  (1, 1),  (-1, 1), (0, 2),  (2, 0),  (1, 2),  (-1, 2),
    (2, 1),  (-2, 1), (2, 2),  (-2, 2), (0, 3),  (3, 0),  (1, 3),  (-1, 3),
    (3, 1),  (-3, 1), (2, 3),  (-2, 3), (3, 2),  (-3, 2), (0, 4),  (4, 0),
    (1, 4),  (-1, 4), (4, 1),  (-4, 1), (3, 3),  (-3, 3), (2, 4),  (-2, 4),
    (4, 2),  (-4, 2), (0, 5),  (3, 4),  (-3, 4), (4, 3),  (-4, 3), (5, 0),
    (1, 5),  (-1, 5), (5, 1),  (-5, 1), (2, 5),  (-2, 5), (5, 2),  (-5, 2),
    (4, 4),  (-4, 4), (3, 5),  (-3, 5), (5, 3),  (-5, 3), (0, 6),  (6, 0),
    (1, 6),  (-1, 6), (6, 1),  (-6, 1), (2, 6),  (-2, 6), (6, 2),  (-6, 2),
    (4, 5),  (-4, 5), (5, 4),  (-5, 4), (3, 6),  (-3, 6), (6, 3),  (-6, 3),
    (0, 7),  (7, 0),  (1, 7),  (-1, 7), (5, 5),  (-5, 5), (7, 1),  (-7, 1),
    (4, 6),  (-4, 6), (6, 4),  (-6, 4), (2, 7),  (-2, 7), (7, 2),  (-7, 2),
    (3, 7),  (-3, 7), (7, 3),  (-7, 3), (5, 6),  (-5, 6), (6, 5),  (-6, 5),
    (8, 0),  (4, 7),  (-4, 7), (7, 4),  (-7, 4), (8, 1),  (8, 2),  (6, 6),
    (-6, 6), (8, 3),  (5, 7),  (-5, 7), (7, 5),  (-7, 5), (8, 4),  (6, 7),
    (-6, 7), (7, 6),  (-7, 6), (8, 5),  (7, 7),  (-7, 7), (8, 6),  (8, 7),
];
