//! Profiles as bytes: a version, then numbers of variable length. The same profile gives the same bytes on every machine.

use super::category::{CategoryProfile, DISTINCT_REGISTERS, Distinct};
use super::cell::Cell;
use super::moments::Moments;
use super::numeric::NumericProfile;
use crate::key::key_of;

/// Most bytes of one feature.
pub const MAX_FEATURE_BYTES: usize = 8192;

/// The format; the first byte of every feature.
const VERSION: u8 = 1;
const NUMERIC: u8 = b'n';
const CATEGORICAL: u8 = b'c';

/// Most rows that stored counts may claim, so that sums of positions do not overflow.
const MAX_ROWS: u64 = 1 << 40;

/// Why bytes are not a profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProfileError {
    /// Written by a version that this one does not know.
    #[error("profile of format {0} where 1 is known")]
    Version(u8),
    /// The profile of another kind of feature.
    #[error("profile of another kind of feature")]
    Kind,
    /// The bytes contradict themselves.
    #[error("profile is damaged at byte {at}")]
    Damaged {
        /// How far they could be read.
        at: usize,
    },
}

/// Appends a number, seven bits a byte, the lowest first.
pub(super) fn push_number(bytes: &mut Vec<u8>, mut number: u64) {
    while 0x80 <= number {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

/// Reads what `push_number` and others wrote.
struct Bytes<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Bytes<'a> {
    /// The content of a profile of this kind.
    fn open(bytes: &'a [u8], kind: u8) -> Result<Bytes<'a>, ProfileError> {
        match bytes {
            [VERSION, it, ..] if *it == kind => Ok(Bytes { bytes, at: 2 }),
            [VERSION, NUMERIC | CATEGORICAL, ..] => Err(ProfileError::Kind),
            [VERSION, ..] | [] => Err(ProfileError::Damaged { at: bytes.len().min(1) }),
            [version, ..] => Err(ProfileError::Version(*version)),
        }
    }

    fn damaged(&self) -> ProfileError {
        ProfileError::Damaged { at: self.at }
    }

    #[inline]
    fn byte(&mut self) -> Result<u8, ProfileError> {
        let byte = self.bytes.get(self.at).copied().ok_or(self.damaged())?;
        self.at += 1;
        Ok(byte)
    }

    #[inline]
    fn number(&mut self) -> Result<u64, ProfileError> {
        // Most numbers of a profile are of one or two bytes.
        match self.bytes.get(self.at..self.at + 2) {
            Some([low @ 0..0x80, _]) => {
                self.at += 1;
                Ok(u64::from(*low))
            }
            Some([low, high @ 0..0x80]) => {
                self.at += 2;
                Ok(u64::from(*low & 0x7f) | u64::from(*high) << 7)
            }
            Some(_) | None => self.long_number(),
        }
    }

    fn long_number(&mut self) -> Result<u64, ProfileError> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let part = u64::from(byte & 0x7f);
            if shift == 63 && 1 < part {
                return Err(self.damaged());
            }
            number |= part << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(self.damaged())
    }

    /// A number of rows.
    #[inline]
    fn rows(&mut self) -> Result<u64, ProfileError> {
        self.number().and_then(|it| if it <= MAX_ROWS { Ok(it) } else { Err(self.damaged()) })
    }

    fn take(&mut self, n: usize) -> Result<&'a [u8], ProfileError> {
        let end = self.at.checked_add(n).ok_or(self.damaged())?;
        let taken = self.bytes.get(self.at..end).ok_or(self.damaged())?;
        self.at = end;
        Ok(taken)
    }

    fn double(&mut self) -> Result<f64, ProfileError> {
        let mut bits = [0; 8];
        bits.copy_from_slice(self.take(8)?);
        Ok(f64::from_le_bytes(bits))
    }

    fn end(&self) -> Result<(), ProfileError> {
        if self.at == self.bytes.len() { Ok(()) } else { Err(self.damaged()) }
    }
}

/// The bytes of a profile, whatever their number.
pub(super) fn numeric_bytes(profile: &NumericProfile) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(MAX_FEATURE_BYTES);
    bytes.extend([VERSION, NUMERIC]);
    let Moments { n, min, max, mean, mean_rest, squares } = profile.moments;
    for number in [profile.n_null, profile.n_nan, profile.n_infinite, n] {
        push_number(&mut bytes, number);
    }
    for double in [min, max, mean, mean_rest, squares] {
        bytes.extend(double.to_le_bytes());
    }
    push_number(&mut bytes, profile.cells.len() as u64);
    bytes.extend(profile.cells.iter().map(|it| it.level));
    let lengths = bytes.len();
    bytes.resize(lengths + profile.cells.len(), 0);
    let (mut low, mut level) = (0, 0);
    for (at, cell) in profile.cells.iter().enumerate() {
        // Both ends are multiples of what the finer level leaves free.
        let distance = (cell.low - low).checked_shr(64 - u32::from(level.max(cell.level))).unwrap_or(0);
        let (length, count_length) = (length(distance), length(cell.count));
        bytes[lengths + at] = length | count_length << 4;
        bytes.extend(&distance.to_le_bytes()[..usize::from(length)]);
        bytes.extend(&cell.count.to_le_bytes()[..usize::from(count_length)]);
        if cell.level < 64 {
            let (position, blur) = cell.steps();
            bytes.extend([position, blur]);
        }
        (low, level) = (cell.low, cell.level);
    }
    bytes
}

impl NumericProfile {
    /// Reads what [`NumericProfile::to_bytes`] gave.
    ///
    /// # Errors
    /// When the bytes are of another version or kind, or contradict themselves.
    pub fn from_bytes(bytes: &[u8]) -> Result<NumericProfile, ProfileError> {
        let opened = OpenedProfile::open(bytes)?;
        let mut cells = Vec::with_capacity(opened.n_cells);
        let profile = opened.read(|it| cells.push(it))?;
        Ok(NumericProfile { cells, ..profile })
    }
}

/// The lowest bytes of a word.
const LOWEST: [u64; 9] =
    [0, 0xff, 0xffff, 0x00ff_ffff, 0xffff_ffff, 0x00ff_ffff_ffff, 0xffff_ffff_ffff, 0x00ff_ffff_ffff_ffff, u64::MAX];

/// The most bytes of a number of rows.
const MOST_COUNT_BYTES: usize = 6;

/// How many bytes a number takes without its leading zeros.
fn length(number: u64) -> u8 {
    (u64::BITS - number.leading_zeros()).div_ceil(8) as u8
}

/// A profile as bytes, of which all but the cells was read.
pub(super) struct OpenedProfile<'a> {
    bytes: Bytes<'a>,
    /// Without its cells.
    profile: NumericProfile,
    n_cells: usize,
}

impl<'a> OpenedProfile<'a> {
    pub(super) fn open(bytes: &'a [u8]) -> Result<OpenedProfile<'a>, ProfileError> {
        let mut bytes = Bytes::open(bytes, NUMERIC)?;
        let [n_null, n_nan, n_infinite, n] = [bytes.rows()?, bytes.rows()?, bytes.rows()?, bytes.rows()?];
        let [min, max, mean] = [bytes.double()?, bytes.double()?, bytes.double()?];
        let [mean_rest, squares] = [bytes.double()?, bytes.double()?];
        let is_range = [min, max, mean, mean_rest].iter().all(|it| it.is_finite()) && min <= max && 0.0 <= squares;
        let n_cells = bytes.number()?;
        // A cell takes three bytes or more, so nothing is reserved that is not there.
        if !is_range || (bytes.bytes.len() as u64) < n_cells {
            return Err(bytes.damaged());
        }
        let moments = Moments { n, min, max, mean, mean_rest, squares };
        let profile = NumericProfile { n_null, n_nan, n_infinite, moments, cells: Vec::new() };
        Ok(OpenedProfile { bytes, profile, n_cells: n_cells as usize })
    }

    /// Hands every cell to `sink`, in order; then, if all is sound, returns the rest. Lengths of cells stand apart from their numbers, so that one need not
    /// be read to find the next.
    pub(super) fn read(mut self, mut sink: impl FnMut(Cell)) -> Result<NumericProfile, ProfileError> {
        let bytes = &mut self.bytes;
        let (levels, lengths) = (bytes.take(self.n_cells)?, bytes.take(self.n_cells)?);
        let start = bytes.at;
        let numbers = bytes.take(bytes.bytes.len() - start)?;
        let (least, greatest) = (key_of(self.profile.moments.min), key_of(self.profile.moments.max));
        // A level below all: the first cell has none before it.
        let (mut at, mut rows, mut last_low, mut last_level) = (0, 0_u64, 0_u64, -1_i8);
        for (level, lengths) in levels.iter().copied().zip(lengths.iter().copied()) {
            let (length, count_length) = (usize::from(lengths & 15), usize::from(lengths >> 4));
            let damaged = ProfileError::Damaged { at: start + at };
            if 64 < level || 8 < length || MOST_COUNT_BYTES < count_length {
                return Err(damaged);
            }
            let distance = word(numbers, at) & LOWEST[length];
            let counted = word(numbers, at + length);
            let count = counted & LOWEST[count_length];
            at += length + count_length;
            // At most 64, as was asked.
            let signed = level as i8;
            let free = 64 - signed.max(last_level) as u32;
            let shifted = distance.checked_shl(free).unwrap_or(0);
            let (low, has_wrapped) = last_low.overflowing_add(shifted);
            let inner = u64::MAX.checked_shr(level.into()).unwrap_or(0);
            rows = rows.saturating_add(count);
            let is_sound = shifted.checked_shr(free).unwrap_or(0) == distance
                && !has_wrapped
                && low & inner == 0
                && (0 < shifted || last_level < signed)
                && count.wrapping_sub(1) < MAX_ROWS
                // Each row is within the range and within its cell.
                && least <= low | inner
                && low <= greatest;
            if !is_sound {
                return Err(damaged);
            }
            if level == 64 {
                sink(Cell::somewhere(low, level, count));
            } else {
                let [position, blur, ..] = (counted >> (8 * count_length)).to_le_bytes();
                sink(Cell::of_steps(low, level, count, position, blur));
                at += 2;
            }
            (last_low, last_level) = (low, signed);
        }
        if at == numbers.len() && rows == self.profile.moments.n { Ok(self.profile) } else { Err(bytes.damaged()) }
    }
}

/// Eight bytes as a number. Behind the end there are zeros: nothing is believed that does not end within.
#[inline]
fn word(bytes: &[u8], at: usize) -> u64 {
    match bytes.get(at..).and_then(<[u8]>::first_chunk) {
        Some(word) => u64::from_le_bytes(*word),
        None => last_word(bytes, at),
    }
}

#[cold]
fn last_word(bytes: &[u8], at: usize) -> u64 {
    let mut word = [0; 8];
    for (to, from) in word.iter_mut().zip(bytes.get(at..).unwrap_or_default()) {
        *to = *from;
    }
    u64::from_le_bytes(word)
}
/// The bytes of a profile, whatever their number.
pub(super) fn category_bytes(profile: &CategoryProfile) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(MAX_FEATURE_BYTES);
    bytes.extend([VERSION, CATEGORICAL]);
    for number in [profile.n_null, profile.left_out, profile.largest_left_out, profile.counts.len() as u64] {
        push_number(&mut bytes, number);
    }
    for (text, count) in &profile.counts {
        push_number(&mut bytes, text.len() as u64);
        bytes.extend(text.as_bytes());
        push_number(&mut bytes, *count);
    }
    if let Some(distinct) = &profile.distinct {
        bytes.extend(distinct.registers());
    }
    bytes
}

impl CategoryProfile {
    /// Reads what [`CategoryProfile::to_bytes`] gave.
    ///
    /// # Errors
    /// When the bytes are of another version or kind, or contradict themselves.
    pub fn from_bytes(bytes: &[u8]) -> Result<CategoryProfile, ProfileError> {
        let mut counts = Vec::new();
        let rest = read_categories(bytes, |text, count| counts.push((text.to_owned(), count)))?;
        Ok(CategoryProfile { counts: counts.into_iter().collect(), ..rest })
    }
}

/// Hands every category and its rows to `sink`, in order; then, if all is sound, returns the rest.
pub(super) fn read_categories<'a>(
    bytes: &'a [u8],
    mut sink: impl FnMut(&'a str, u64),
) -> Result<CategoryProfile, ProfileError> {
    let mut bytes = Bytes::open(bytes, CATEGORICAL)?;
    let [n_null, left_out, largest_left_out] = [bytes.rows()?, bytes.rows()?, bytes.rows()?];
    let n_counts = bytes.number()?;
    let mut before: Option<&str> = None;
    for _ in 0..n_counts {
        let length = usize::try_from(bytes.number()?).map_err(|_| bytes.damaged())?;
        let text = std::str::from_utf8(bytes.take(length)?).map_err(|_| bytes.damaged())?;
        let count = bytes.rows()?;
        if count == 0 || before.is_some_and(|it| text <= it) {
            return Err(bytes.damaged());
        }
        sink(text, count);
        before = Some(text);
    }
    let has_distinct = 0 < left_out;
    let distinct = if has_distinct { Distinct::from_registers(bytes.take(DISTINCT_REGISTERS)?) } else { None };
    let is_sound = (left_out == 0) == (largest_left_out == 0) && has_distinct == distinct.is_some();
    if !is_sound {
        return Err(bytes.damaged());
    }
    bytes.end()?;
    Ok(CategoryProfile { n_null, left_out, largest_left_out, distinct, ..CategoryProfile::default() })
}
