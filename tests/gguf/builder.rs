//! Writes GGUF files, right or wrong: each method appends what it says and checks nothing.

/// A file being written.
#[derive(Clone)]
pub struct Gguf(Vec<u8>);

/// The numbers of the value types a test needs by name.
pub mod value_type {
    pub const U8: u32 = 0;
    pub const U32: u32 = 4;
    pub const BOOL: u32 = 7;
    pub const STRING: u32 = 8;
    pub const ARRAY: u32 = 9;
}

/// The numbers of the tensor types a test needs by name.
pub mod tensor_type {
    pub const F32: u32 = 0;
    pub const Q4_0: u32 = 2;
    pub const I8: u32 = 24;
}

impl Gguf {
    /// A file of version 3 with so many tensors and metadata pairs to come.
    pub fn new(n_tensors: u64, n_pairs: u64) -> Self {
        Self::version(3, n_tensors, n_pairs)
    }

    pub fn version(version: u32, n_tensors: u64, n_pairs: u64) -> Self {
        Self(b"GGUF".to_vec()).u32(version).u64(n_tensors).u64(n_pairs)
    }

    pub fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    pub fn u8(self, number: u8) -> Self {
        self.bytes(&[number])
    }

    pub fn u32(self, number: u32) -> Self {
        self.bytes(&number.to_le_bytes())
    }

    pub fn u64(self, number: u64) -> Self {
        self.bytes(&number.to_le_bytes())
    }

    /// A string: its length, its bytes.
    pub fn string(self, text: impl AsRef<[u8]>) -> Self {
        self.u64(text.as_ref().len() as u64).bytes(text.as_ref())
    }

    /// A key and the type of the value to come.
    pub fn key(self, key: &str, value_type: u32) -> Self {
        self.string(key).u32(value_type)
    }

    /// A key and the head of its array: the elements are to come.
    pub fn array(self, key: &str, element: u32, len: u64) -> Self {
        self.key(key, value_type::ARRAY).u32(element).u64(len)
    }

    /// An entry of the tensor directory; `dims` innermost first, as the file has them.
    pub fn tensor(mut self, name: &str, dims: &[u64], tensor_type: u32, offset: u64) -> Self {
        self = self.string(name).u32(dims.len() as u32);
        for &dim in dims {
            self = self.u64(dim);
        }
        self.u32(tensor_type).u64(offset)
    }

    /// So many bytes that belong to nothing.
    pub fn padding(self, len: usize) -> Self {
        self.bytes(&vec![0xee; len])
    }

    /// Padding up to the next multiple of `alignment`.
    pub fn pad(self, alignment: usize) -> Self {
        let len = self.0.len().next_multiple_of(alignment) - self.0.len();
        self.padding(len)
    }

    /// Closes the header with the default alignment's padding and `len` bytes of data.
    pub fn finish_with_data(self, len: usize) -> Vec<u8> {
        self.pad(32).bytes(&vec![0xda; len]).finish()
    }

    pub fn finish(self) -> Vec<u8> {
        self.0
    }
}

/// A valid file of version 2 or 3 with a value of each type, arrays of each kind, and three tensors whose order
/// in the directory is not the order of their offsets.
pub fn valid(version: u32) -> Vec<u8> {
    Gguf::version(version, 3, 17)
        .key("a.u8", 0)
        .u8(200)
        .key("a.i8", 1)
        .bytes(&(-100i8).to_le_bytes())
        .key("a.u16", 2)
        .bytes(&60_000u16.to_le_bytes())
        .key("a.i16", 3)
        .bytes(&(-30_000i16).to_le_bytes())
        .key("a.u32", 4)
        .u32(4_000_000_000)
        .key("a.i32", 5)
        .bytes(&(-2_000_000_000i32).to_le_bytes())
        .key("a.f32", 6)
        .bytes(&0.1f32.to_le_bytes())
        .key("a.bool", 7)
        .u8(1)
        .key("a.string", 8)
        .string("Grüße, 世界")
        .key("a.u64", 10)
        .u64(1 << 63)
        .key("a.i64", 11)
        .bytes(&i64::MIN.to_le_bytes())
        .key("a.f64", 12)
        .bytes(&0.1f64.to_le_bytes())
        .array("strings", 8, 4)
        .string("one")
        .string("")
        .string("three")
        .string("vier")
        .array("numbers", 5, 3)
        .u32(1)
        .u32(2)
        .u32(u32::MAX)
        .array("empty", 8, 0)
        // [[true, false, true], [], ["x", "y", "z"]]
        .array("nested", 9, 3)
        .u32(7)
        .u64(3)
        .bytes(&[1, 0, 1])
        .u32(4)
        .u64(0)
        .u32(8)
        .u64(3)
        .string("x")
        .string("y")
        .string("z")
        .key("general.alignment", value_type::U32)
        .u32(16)
        .tensor("last", &[32, 2], tensor_type::Q4_0, 64)
        .tensor("first", &[3, 2, 1], tensor_type::F32, 0)
        .tensor("middle", &[5], tensor_type::I8, 32)
        .pad(16)
        .bytes(&FIRST)
        .padding(8)
        .bytes(&MIDDLE)
        .padding(27) // more than the alignment asks for
        .bytes(&LAST)
        .padding(12)
        .finish()
}

/// The tensors' bytes in [`valid`].
pub const FIRST: [u8; 24] = *b"2 rows, 3 columns of f32";
pub const MIDDLE: [u8; 5] = *b"5 i8s";
pub const LAST: [u8; 36] = *b"two rows of one block of q4_0, 18 B.";
