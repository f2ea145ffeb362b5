//! All files of a page, in the order of their ids.

use super::event::FileId;
use super::upload::Upload;

/// A sorted list that grows at its end, as ids are given, and keeps the places of removed files until they are half
/// of it: so that clearing away a hundred thousand files one by one does not move the others each time.
#[derive(Debug)]
pub(super) struct Files {
    entries: Vec<(FileId, Option<Box<Upload>>)>,
    /// Places without a file.
    gone: usize,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "it is used as any map")]
impl Files {
    pub(super) const fn new() -> Self {
        Self { entries: Vec::new(), gone: 0 }
    }

    fn place(&self, file: FileId) -> Result<usize, usize> {
        self.entries.binary_search_by_key(&file, |entry| entry.0)
    }

    pub(super) fn get(&self, file: &FileId) -> Option<&Upload> {
        self.entries.get(self.place(*file).ok()?)?.1.as_deref()
    }

    pub(super) fn get_mut(&mut self, file: &FileId) -> Option<&mut Upload> {
        let place = self.place(*file).ok()?;
        self.entries.get_mut(place)?.1.as_deref_mut()
    }

    pub(super) fn contains_key(&self, file: &FileId) -> bool {
        self.get(file).is_some()
    }

    /// Adds a file whose id was never used before, most cheaply one that is higher than all others.
    pub(super) fn insert(&mut self, file: FileId, upload: Upload) {
        if let Err(place) = self.place(file) {
            self.entries.insert(place, (file, Some(Box::new(upload))));
        }
    }

    pub(super) fn remove(&mut self, file: &FileId) {
        let Ok(place) = self.place(*file) else { return };
        if self.entries.get_mut(place).and_then(|entry| entry.1.take()).is_some() {
            self.gone += 1;
        }
        if self.gone * 2 > self.entries.len() {
            self.entries.retain(|entry| entry.1.is_some());
            self.gone = 0;
        }
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &FileId> {
        self.entries.iter().filter(|entry| entry.1.is_some()).map(|(file, _)| file)
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (FileId, &mut Upload)> {
        self.entries.iter_mut().filter_map(|(file, upload)| Some((*file, upload.as_deref_mut()?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::event::NewUpload;
    use crate::machine::queue::Queue;

    fn upload(file: u32) -> Upload {
        Upload::new(NewUpload { file: FileId(file), ..NewUpload::default() }, Queue::new().back(0))
    }

    #[test]
    fn removed_files_leave_the_others_where_they_are() {
        let mut files = Files::new();
        for file in [1, 2, 3, 5, 8, 4] {
            files.insert(FileId(file), upload(file));
        }
        for file in [2, 9, 2, 5] {
            files.remove(&FileId(file));
        }
        let ids = |files: &Files| files.keys().map(|file| file.0).collect::<Vec<_>>();
        assert_eq!(ids(&files), [1, 3, 4, 8]);
        assert!(files.get(&FileId(2)).is_none() && files.get_mut(&FileId(4)).is_some());
        assert_eq!(files.iter_mut().map(|(_, upload)| upload.info.file.0).sum::<u32>(), 16);
        for file in 1..9 {
            files.remove(&FileId(file));
        }
        assert!(ids(&files).is_empty() && files.entries.is_empty());
    }
}
