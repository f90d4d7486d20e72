//! The file of flagged inputs: its size, and the age of entries by clocks that cannot be trusted.

use crate::service::{BLUE, CLASSES, png};
use goodnet::quarantine::{Flagged, Moment, RetentionLimits, STORE_FILE, Store};
use serde_json::json;
use std::time::{Duration, SystemTime};

fn flagged(image: Vec<u8>, time: SystemTime) -> Flagged {
    Flagged {
        image,
        time,
        badnet: 2,
        model_sha256: "aa".to_owned(),
        request_id: "r".to_owned(),
        answer: json!({"class": CLASSES}),
    }
}

#[test]
fn the_file_stays_within_its_size_and_the_oldest_go_first() {
    let dir = tempfile::tempdir().unwrap();
    let limits = RetentionLimits {
        bytes: 16 << 20,
        ..RetentionLimits::default()
    };
    let store = Store::open(dir.path(), limits).unwrap();
    let path = dir.path().join(STORE_FILE);
    let now = SystemTime::now();
    let mut removed = 0;
    // Lengths from a few bytes to half a megabyte, in a fixed but irregular order.
    let length = |number: usize| (number * 7919 * 131) % (500 << 10) + 1;
    for round in 0..40 {
        let inputs = [0, 1, 2].map(|input| flagged(vec![7; length(3 * round + input)], now));
        let outcome = store.append(&inputs).unwrap();
        assert_eq!((outcome.stored, outcome.refused), (3, 0));
        removed += outcome.removed;
        let size = std::fs::metadata(&path).unwrap().len();
        assert!(size <= limits.bytes, "{size} bytes after {round} rounds");
    }
    let snapshot = store.read().unwrap();
    let page = snapshot.page(None, 1000).unwrap();
    let ids: Vec<u64> = page.entries.iter().map(|entry| entry.id).collect();
    let newest: Vec<u64> = (removed..120).rev().collect();
    assert!(removed > 60, "only {removed} were removed");
    assert_eq!(ids, newest);
    assert!(snapshot.totals().unwrap().1 <= limits.budget());
    let huge = store.append(&[flagged(vec![7; 3 << 20], now)]).unwrap();
    assert_eq!((huge.stored, huge.refused, huge.removed), (0, 1, 0));
}

const HOUR: Duration = Duration::from_secs(3600);

const DAY: Duration = Duration::from_secs(24 * 3600);

fn aged(age: Duration) -> RetentionLimits {
    RetentionLimits {
        age,
        ..RetentionLimits::default()
    }
}

fn ids(store: &Store) -> Vec<u64> {
    let page = store.read().unwrap().page(None, 10).unwrap();
    page.entries.iter().map(|entry| entry.id).collect()
}

/// A moment whose wall clock is right.
fn after(start: SystemTime, open: Duration) -> Moment {
    Moment {
        wall: start + open,
        open,
    }
}

#[test]
fn old_entries_are_removed_and_a_lowered_limit_holds_from_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let start = SystemTime::now();
    let store = Store::open_at(dir.path(), aged(5 * HOUR), start).unwrap();
    for hours in [0, 2, 4, 6] {
        let now = after(start, hours * HOUR);
        store
            .append_at(&[flagged(png(BLUE), now.wall)], now)
            .unwrap();
    }
    assert_eq!(ids(&store), [3, 2, 1], "six hours are past five");
    assert!(store.read().unwrap().get(0).unwrap().is_none());
    drop(store);
    let now = start + 6 * HOUR;
    let store = Store::open_at(dir.path(), aged(HOUR), now).unwrap();
    assert_eq!(ids(&store), [3]);
    let later = store.append_at(&[], after(now, 2 * HOUR)).unwrap();
    assert_eq!(later.removed, 1);
    assert_eq!(store.read().unwrap().totals().unwrap(), (0, 0));
    store.append(&[flagged(png(BLUE), now)]).unwrap();
    assert_eq!(ids(&store), [4], "an id is never used twice");
}

#[test]
fn a_jump_of_the_wall_clock_removes_nothing_while_the_service_runs() {
    let dir = tempfile::tempdir().unwrap();
    let start = SystemTime::now();
    let store = Store::open_at(dir.path(), aged(30 * DAY), start).unwrap();
    store
        .append_at(&[flagged(png(BLUE), start)], after(start, HOUR))
        .unwrap();
    for wall in [start + 40 * DAY, start + 4000 * DAY, SystemTime::UNIX_EPOCH] {
        let open = 2 * HOUR;
        assert_eq!(
            store.append_at(&[], Moment { wall, open }).unwrap().removed,
            0
        );
    }
    // Thirty days of running are thirty days, whatever the wall clock says.
    let open = 31 * DAY;
    let wall = SystemTime::UNIX_EPOCH;
    assert_eq!(
        store.append_at(&[], Moment { wall, open }).unwrap().removed,
        1
    );
}

#[test]
fn a_start_with_a_clock_that_is_wrong_by_years_ages_entries_by_a_quarter_of_the_limit() {
    let dir = tempfile::tempdir().unwrap();
    let start = SystemTime::now();
    let open = |wall| Store::open_at(dir.path(), aged(28 * DAY), wall).unwrap();
    let store = open(start);
    store
        .append_at(&[flagged(png(BLUE), start)], after(start, HOUR))
        .unwrap();
    drop(store);
    for _ in 0..3 {
        assert_eq!(ids(&open(start + 4000 * DAY)), [0]);
    }
    // Back to the right time, which takes nothing back and adds nothing.
    assert_eq!(ids(&open(start + 2 * HOUR)), [0]);
    // Time that really went by counts: seven days of it already did, and 22 are past the limit with them.
    let store = open(start + 2 * HOUR);
    let removed = store
        .append_at(&[], after(start, 22 * DAY))
        .unwrap()
        .removed;
    assert_eq!(removed, 1);
}

#[test]
fn an_entry_dated_in_the_future_ages_from_the_day_it_came() {
    let dir = tempfile::tempdir().unwrap();
    let start = SystemTime::now();
    let store = Store::open_at(dir.path(), aged(5 * HOUR), start).unwrap();
    let future = flagged(png(BLUE), start + 4000 * DAY);
    store
        .append_at(&[future, flagged(png(BLUE), start)], after(start, HOUR))
        .unwrap();
    assert_eq!(
        store
            .append_at(&[], after(start, 5 * HOUR))
            .unwrap()
            .removed,
        0
    );
    assert_eq!(
        store
            .append_at(&[], after(start, 7 * HOUR))
            .unwrap()
            .removed,
        2
    );
}
