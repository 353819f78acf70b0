//! Records by id, under small numbers that other structures can use.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

/// Records under small numbers (handles) that are used again, and found by id.
#[derive(Clone, Debug)]
pub(crate) struct Table<K, R> {
    records: Vec<Option<(K, R)>>,
    free: Vec<u32>,
    handles: BTreeMap<K, u32>,
}

impl<K: Ord + Copy, R> Table<K, R> {
    pub(crate) const fn new() -> Self {
        Self { records: Vec::new(), free: Vec::new(), handles: BTreeMap::new() }
    }

    pub(crate) fn insert(&mut self, id: K, record: R) -> u32 {
        let handle = self.free.pop().unwrap_or_else(|| {
            self.records.push(None);
            u32::try_from(self.records.len() - 1).unwrap_or(u32::MAX)
        });
        self.handles.insert(id, handle);
        if let Some(place) = self.records.get_mut(handle as usize) {
            *place = Some((id, record));
        }
        handle
    }

    pub(crate) fn remove(&mut self, handle: u32) -> Option<R> {
        let (id, record) = self.records.get_mut(handle as usize)?.take()?;
        self.handles.remove(&id);
        self.free.push(handle);
        Some(record)
    }

    pub(crate) fn handle(&self, id: K) -> Option<u32> {
        self.handles.get(&id).copied()
    }

    pub(crate) fn get(&self, handle: u32) -> Option<&R> {
        self.records.get(handle as usize)?.as_ref().map(|(_, record)| record)
    }

    pub(crate) fn get_mut(&mut self, handle: u32) -> Option<&mut R> {
        self.records.get_mut(handle as usize)?.as_mut().map(|(_, record)| record)
    }

    /// In order of their ids.
    pub(crate) fn handles(&self) -> impl Iterator<Item = u32> {
        self.handles.values().copied()
    }
}
