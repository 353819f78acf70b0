//! Records by id, under small numbers that other structures can use.

use alloc::vec::Vec;

use crate::index::Index;
use crate::room::make_room;

/// Records under small numbers (handles) that are used again, and found by id.
#[derive(Clone, Debug)]
pub(crate) struct Table<R> {
    records: Vec<Option<R>>,
    free: Vec<u32>,
    by_id: Index,
    /// How often a record was looked at: what a decision costs, for tests.
    #[cfg(test)]
    looks: core::cell::Cell<usize>,
}

/// What a [`Table`] keeps: it knows its id, which never changes.
pub(crate) trait Record {
    type Id: Copy + Ord;

    fn id(&self) -> Self::Id;

    /// The id as a number of its own.
    fn number(id: Self::Id) -> u64;
}

impl<R: Record> Table<R> {
    pub(crate) const fn new() -> Self {
        Self {
            records: Vec::new(),
            free: Vec::new(),
            by_id: Index::new(),
            #[cfg(test)]
            looks: core::cell::Cell::new(0),
        }
    }

    /// Adds the record of this id, which is not there yet. It is made in its
    /// place, since moving it there from where it was made takes as long again.
    #[inline]
    pub(crate) fn insert(&mut self, id: R::Id, record: impl FnOnce() -> R) -> u32 {
        let handle = self.free.pop().unwrap_or_else(|| self.grow());
        self.by_id.insert(R::number(id), handle);
        if let Some(place) = self.records.get_mut(handle as usize) {
            *place = Some(record());
        }
        handle
    }

    #[cold]
    fn grow(&mut self) -> u32 {
        make_room(&mut self.records);
        self.records.push(None);
        u32::try_from(self.records.len() - 1).unwrap_or(u32::MAX)
    }

    #[inline]
    pub(crate) fn remove(&mut self, handle: u32) -> Option<R> {
        let records = &self.records;
        let id = R::number(self.get(handle)?.id());
        self.by_id.remove(id, |other| number_of(records, other));
        self.free.push(handle);
        self.records.get_mut(handle as usize)?.take()
    }

    #[inline]
    pub(crate) fn handle(&self, id: R::Id) -> Option<u32> {
        self.by_id.find(R::number(id), |handle| number_of(&self.records, handle))
    }

    #[inline]
    pub(crate) fn get(&self, handle: u32) -> Option<&R> {
        #[cfg(test)]
        self.looks.set(self.looks.get() + 1);
        self.records.get(handle as usize)?.as_ref()
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, handle: u32) -> Option<&mut R> {
        #[cfg(test)]
        self.looks.set(self.looks.get() + 1);
        self.records.get_mut(handle as usize)?.as_mut()
    }

    /// How often a record was looked at since this was asked for last.
    #[cfg(test)]
    pub(crate) fn looks(&self) -> usize {
        self.looks.take()
    }

    /// Every record, in no particular order.
    pub(crate) fn records(&self) -> impl Iterator<Item = &R> {
        self.records.iter().flatten()
    }

    /// All handles in order of their ids. O(n log n): for people, and for what
    /// concerns every record, not for decisions.
    pub(crate) fn handles(&self) -> impl Iterator<Item = u32> + use<R> {
        let mut all: Vec<u32> = self.by_id.iter().collect();
        all.sort_unstable_by_key(|handle| number_of(&self.records, *handle));
        all.into_iter()
    }
}

/// The id of a record as a number. A number that no id has stands for one that
/// is not there.
fn number_of<R: Record>(records: &[Option<R>], handle: u32) -> u64 {
    let record = records.get(handle as usize).and_then(Option::as_ref);
    record.map_or(u64::MAX, |record| R::number(record.id()))
}
