//! Just enough of Thrift's compact protocol to check what Parquet headers claim before the parquet crate allocates for it.
//!
//! See <https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md>. Every function returns `None` where the bytes do not
//! hold what they announce.

/// Type codes of the protocol.
/// A boolean field that is true.
pub(crate) const TRUE: u8 = 1;
const FALSE: u8 = 2;
const I8: u8 = 3;
const I16: u8 = 4;
/// A 32-bit integer.
pub(crate) const I32: u8 = 5;
const I64: u8 = 6;
const DOUBLE: u8 = 7;
const BINARY: u8 = 8;
/// A list.
pub(crate) const LIST: u8 = 9;
const SET: u8 = 10;
const MAP: u8 = 11;
/// A structure.
pub(crate) const STRUCT: u8 = 12;
const UUID: u8 = 13;

/// Parquet's headers nest less than ten levels.
const MAX_DEPTH: u32 = 32;

/// A cursor over compact Thrift.
pub(crate) struct Compact<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Compact<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Compact<'a> {
        Compact { bytes, at: 0 }
    }

    /// How many bytes have been read.
    pub(crate) fn position(&self) -> usize {
        self.at
    }

    fn byte(&mut self) -> Option<u8> {
        let byte = *self.bytes.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    fn advance(&mut self, n_bytes: u64) -> Option<()> {
        let at = self.at.checked_add(usize::try_from(n_bytes).ok()?)?;
        self.at = (at <= self.bytes.len()).then_some(at)?;
        Some(())
    }

    /// An unsigned variable-length integer.
    pub(crate) fn varint(&mut self) -> Option<u64> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    /// A signed variable-length integer.
    pub(crate) fn zigzag(&mut self) -> Option<i64> {
        let value = self.varint()?;
        Some((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    /// Raw bytes.
    pub(crate) fn take(&mut self, n_bytes: u64) -> Option<&'a [u8]> {
        let start = self.at;
        self.advance(n_bytes)?;
        self.bytes.get(start..self.at)
    }

    /// The element type and the length of a list.
    pub(crate) fn list(&mut self) -> Option<(u8, u64)> {
        let head = self.byte()?;
        let length = match head >> 4 {
            15 => self.varint()?,
            short => u64::from(short),
        };
        // Every element takes a byte or more.
        (length <= (self.bytes.len() - self.at) as u64).then_some((head & 0x0f, length))
    }

    /// Reads a structure; `visit` gets the id and type of each field and says whether it has read the value.
    pub(crate) fn fields(&mut self, visit: &mut dyn FnMut(&mut Self, i64, u8) -> Option<bool>) -> Option<()> {
        self.fields_within(0, visit)
    }

    fn fields_within(&mut self, depth: u32, visit: &mut dyn FnMut(&mut Self, i64, u8) -> Option<bool>) -> Option<()> {
        let mut id = 0_i64;
        loop {
            let head = self.byte()?;
            if head == 0 {
                return Some(());
            }
            id = match head >> 4 {
                0 => self.zigzag()?,
                delta => id.checked_add(i64::from(delta))?,
            };
            let kind = head & 0x0f;
            if !visit(self, id, kind)? {
                self.skip(kind, depth)?;
            }
        }
    }

    fn skip(&mut self, kind: u8, depth: u32) -> Option<()> {
        if MAX_DEPTH < depth {
            return None;
        }
        match kind {
            TRUE | FALSE => Some(()),
            I8 => self.advance(1),
            I16 | I32 | I64 => self.varint().map(|_| ()),
            DOUBLE => self.advance(8),
            UUID => self.advance(16),
            BINARY => {
                let length = self.varint()?;
                self.advance(length)
            }
            LIST | SET => {
                let (element, length) = self.list()?;
                (0..length).try_for_each(|_| self.skip_element(element, depth))
            }
            MAP => {
                let length = self.varint()?;
                if length == 0 {
                    return Some(());
                }
                let kinds = self.byte()?;
                (0..length).try_for_each(|_| {
                    self.skip_element(kinds >> 4, depth)?;
                    self.skip_element(kinds & 0x0f, depth)
                })
            }
            STRUCT => self.fields_within(depth + 1, &mut |_, _, _| Some(false)),
            _ => None,
        }
    }

    /// Inside a list a boolean takes a byte; as a field it is in the type.
    fn skip_element(&mut self, kind: u8, depth: u32) -> Option<()> {
        match kind {
            TRUE | FALSE => self.advance(1),
            other => self.skip(other, depth + 1),
        }
    }
}
