//! The compression of fields in HTTP/2 (HPACK, RFC 7541).
//!
//! ```text
//! decoder        a field block -> its fields
//! dynamic_table  the fields that field blocks have added
//! static_table   the fields that every connection has
//! huffman        the code of strings
//! integer        the code of numbers
//! encoder        fields -> a field block, without a dynamic table
//! ```

mod decoder;
mod dynamic_table;
pub(crate) mod encoder;
mod huffman;
mod integer;
mod static_table;

pub(crate) use decoder::Decoder;
