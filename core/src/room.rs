//! Room in vectors that may become long.

use alloc::vec::Vec;

/// Makes room for one more, a quarter of what there is at a time. Doubling
/// would leave half of the memory of a long queue unused.
#[inline]
pub(crate) fn make_room<T>(vec: &mut Vec<T>) {
    if vec.len() == vec.capacity() {
        vec.reserve_exact((vec.len() / 4).max(16));
    }
}
