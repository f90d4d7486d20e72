//! The file that the service writes.

use super::clock::{Clock, Moment, millis};
use super::read::{Snapshot, snapshot};
use super::{
    CACHE_BYTES, CLOCK, COUNTERS, ENTRIES, Entry, Flagged, IMAGES, NEXT_ID, QuarantineError,
    RetentionLimits, SHARING, STAMPS, STORE_FILE, USED, WALL, unix_ms,
};
use redb::{Database, ReadableDatabase, ReadableTable, Table, WriteTransaction};
use std::fs::{DirBuilder, OpenOptions};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

/// The store, open for writing by one process.
#[derive(Debug)]
pub struct Store {
    path: PathBuf,
    database: Database,
    limits: RetentionLimits,
    clock: Clock,
    opened: Instant,
}

/// What came of a write.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Appended {
    /// Inputs that are now kept.
    pub stored: u64,
    /// Inputs that are too large to be kept.
    pub refused: u64,
    /// Entries that were removed for their age or for want of room.
    pub removed: u64,
}

impl Store {
    /// Opens the store in `dir`, making both where they are missing, readable by this user only.
    ///
    /// # Errors
    /// If the directory cannot be written to, holds another kind of file, or another process writes there.
    pub fn open(dir: &Path, limits: RetentionLimits) -> Result<Self, QuarantineError> {
        Self::open_at(dir, limits, SystemTime::now())
    }

    /// As [`Store::open`], when the wall clock says `wall`.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn open_at(
        dir: &Path,
        limits: RetentionLimits,
        wall: SystemTime,
    ) -> Result<Self, QuarantineError> {
        let path = dir.join(STORE_FILE);
        make_private(dir, &path)?;
        let database = Database::builder()
            .set_cache_size(CACHE_BYTES)
            .set_concurrency_mode(SHARING)
            .create(&path)
            .map_err(|error| QuarantineError::store(&path, error))?;
        let failed = |error| QuarantineError::store(&path, error);
        let last = last_clock(&database).map_err(failed)?;
        let store = Self {
            path,
            database,
            limits,
            clock: Clock::resume(last, wall, limits.age),
            opened: Instant::now(),
        };
        // Makes the tables, and keeps limits that were lowered since the last time.
        let open = Duration::ZERO;
        store.append_at(&[], Moment { wall, open })?;
        Ok(store)
    }

    /// The limits.
    #[must_use]
    pub fn limits(&self) -> RetentionLimits {
        self.limits
    }

    /// Keeps `inputs`, in order, and removes what is past the age limit or has to make room, oldest first.
    ///
    /// # Errors
    /// If the disk is full or fails: the store is as it was, or has the first of the inputs.
    pub fn append(&self, inputs: &[Flagged]) -> Result<Appended, QuarantineError> {
        self.append_at(inputs, Moment::now(self.opened))
    }

    /// As [`Store::append`], at the moment `now`.
    ///
    /// # Errors
    /// As [`Store::append`].
    pub fn append_at(&self, inputs: &[Flagged], now: Moment) -> Result<Appended, QuarantineError> {
        let mut outcome = Appended::default();
        let mut rest = inputs;
        loop {
            let (group, later) = rest.split_at(self.group(rest));
            let done = self
                .commit(group, now)
                .map_err(|error| QuarantineError::store(&self.path, error))?;
            outcome.stored += done.stored;
            outcome.refused += done.refused;
            outcome.removed += done.removed;
            rest = later;
            if rest.is_empty() {
                return Ok(outcome);
            }
        }
    }

    /// How many of `inputs` go into one commit: pages that it frees can be used again only after it.
    fn group(&self, inputs: &[Flagged]) -> usize {
        let mut cost = 0;
        let fits = |input: &&Flagged| {
            cost += RetentionLimits::cost(input.image.len());
            cost <= self.limits.largest() / 4
        };
        let count = inputs.iter().take_while(fits).count();
        count.max(1).min(inputs.len())
    }

    fn commit(&self, inputs: &[Flagged], now: Moment) -> Result<Appended, redb::Error> {
        let mut transaction = self.database.begin_write()?;
        // After a crash the file is as good as its last commit, without a pass over all of it.
        transaction.set_quick_repair(true);
        let clock = self.clock.at(now);
        let mut shelves = Shelves::open(&transaction)?;
        shelves.counters.insert(CLOCK, clock)?;
        shelves.counters.insert(WALL, unix_ms(now.wall))?;
        let outcome = shelves.update(inputs, clock, &self.limits)?;
        transaction.commit()?;
        Ok(outcome)
    }

    /// What is kept now.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn read(&self) -> Result<Snapshot, QuarantineError> {
        snapshot(&self.database, &self.path)
    }
}

/// The store's own clock and the wall clock at the last commit; `None` in a new store.
fn last_clock(database: &Database) -> Result<Option<(u64, u64)>, redb::Error> {
    let counters = match database.begin_read()?.open_table(COUNTERS) {
        Ok(counters) => counters,
        Err(redb::TableError::TableDoesNotExist(_)) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let (clock, wall) = (counters.get(CLOCK)?, counters.get(WALL)?);
    Ok(clock
        .zip(wall)
        .map(|(clock, wall)| (clock.value(), wall.value())))
}

/// The tables of a write.
struct Shelves<'a> {
    entries: Table<'a, u64, &'static [u8]>,
    images: Table<'a, u64, &'static [u8]>,
    stamps: Table<'a, u64, u64>,
    counters: Table<'a, &'static str, u64>,
    next_id: u64,
    used: u64,
}

impl<'a> Shelves<'a> {
    fn open(transaction: &'a WriteTransaction) -> Result<Self, redb::Error> {
        let counters = transaction.open_table(COUNTERS)?;
        let counter = |name: &str| -> Result<u64, redb::Error> {
            Ok(counters.get(name)?.map_or(0, |value| value.value()))
        };
        let (next_id, used) = (counter(NEXT_ID)?, counter(USED)?);
        Ok(Self {
            entries: transaction.open_table(ENTRIES)?,
            images: transaction.open_table(IMAGES)?,
            stamps: transaction.open_table(STAMPS)?,
            counters,
            next_id,
            used,
        })
    }

    fn update(
        mut self,
        inputs: &[Flagged],
        clock: u64,
        limits: &RetentionLimits,
    ) -> Result<Appended, redb::Error> {
        let mut outcome = Appended {
            removed: self.expire(clock, limits)? + self.make_room(0, limits)?,
            ..Appended::default()
        };
        for input in inputs {
            let entry = Entry::new(self.next_id, input);
            let text = serde_json::to_vec(&entry).map_err(std::io::Error::other)?;
            let cost = RetentionLimits::cost(input.image.len()) + RetentionLimits::cost(text.len());
            if cost > limits.largest() {
                outcome.refused += 1;
                continue;
            }
            outcome.removed += self.make_room(cost, limits)?;
            self.entries.insert(entry.id, text.as_slice())?;
            self.images.insert(entry.id, input.image.as_slice())?;
            self.stamps.insert(entry.id, clock)?;
            self.used += cost;
            self.next_id += 1;
            outcome.stored += 1;
        }
        self.counters.insert(NEXT_ID, self.next_id)?;
        self.counters.insert(USED, self.used)?;
        Ok(outcome)
    }

    /// Removes what came longer than the age limit before `clock`; an entry without a stamp is none of this store's.
    fn expire(&mut self, clock: u64, limits: &RetentionLimits) -> Result<u64, redb::Error> {
        let oldest_kept = clock.saturating_sub(millis(limits.age));
        let mut removed = 0;
        while self
            .oldest_stamp()?
            .is_some_and(|stamp| stamp < oldest_kept)
        {
            removed += self.remove_oldest()?;
        }
        Ok(removed)
    }

    /// When the oldest entry came, by the store's own clock.
    fn oldest_stamp(&self) -> Result<Option<u64>, redb::Error> {
        let Some((id, _)) = self.entries.first()? else {
            return Ok(None);
        };
        let stamp = self.stamps.get(id.value())?;
        Ok(Some(stamp.map_or(0, |stamp| stamp.value())))
    }

    fn make_room(&mut self, cost: u64, limits: &RetentionLimits) -> Result<u64, redb::Error> {
        let mut removed = 0;
        while self.used.saturating_add(cost) > limits.budget() {
            match self.remove_oldest()? {
                0 => break,
                count => removed += count,
            }
        }
        Ok(removed)
    }

    fn remove_oldest(&mut self) -> Result<u64, redb::Error> {
        let Some((id, text)) = self.entries.pop_first()? else {
            self.used = 0;
            return Ok(0);
        };
        let (id, text) = (id.value(), RetentionLimits::cost(text.value().len()));
        self.stamps.remove(id)?;
        let image = self.images.remove(id)?;
        let image = image.map_or(0, |image| RetentionLimits::cost(image.value().len()));
        self.used = self.used.saturating_sub(text + image);
        Ok(1)
    }
}

/// Makes the directory and the file where they are missing: faces are nobody else's business.
fn make_private(dir: &Path, path: &Path) -> Result<(), QuarantineError> {
    let mut folder = DirBuilder::new();
    folder.recursive(true);
    let mut file = OpenOptions::new();
    file.create(true).append(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
        folder.mode(0o700);
        file.mode(0o600);
    }
    let at = |path: &Path| {
        let path = path.to_owned();
        move |error| QuarantineError::Io(path, error)
    };
    folder.create(dir).map_err(at(dir))?;
    file.open(path).map_err(at(path))?;
    Ok(())
}
