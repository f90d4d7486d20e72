//! Alarms: what the last answers have in common that harmless images would not.
//!
//! Two signs of a backdoor in use. More inputs are flagged than on clean validation images; and B gives most of the
//! flagged ones the same class, the likely target label. Both are read off a window of the last answers of each rule (a policy,
//! with its drop where it has one) and shown as metrics; rules over them are in `deploy/alerts.yml`.

use crate::defence::Policy;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Answers that a window holds at most.
const MAX_ANSWERS: usize = 1000;
/// How long an answer stays in a window at most.
const MAX_AGE: Duration = Duration::from_secs(10 * 60);

/// What decided: a policy, and the position of its drop where it looks at one.
pub(crate) type PolicyAndDrop = (Policy, Option<usize>);

/// The windows of a bundle in service, one a rule.
#[derive(Debug)]
pub(crate) struct Alarms(Mutex<BTreeMap<PolicyAndDrop, Window>>);

/// The last answers of one rule.
#[derive(Debug, Default)]
struct Window {
    /// When, and B's class where the answer was flagged.
    answers: VecDeque<(Instant, Option<u32>)>,
}

/// What a window shows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct WindowStats {
    /// Answers in the window.
    pub(crate) answers: usize,
    /// Those that are flagged.
    pub(crate) flagged: usize,
    /// The class that B gives most of the flagged ones (the lowest of equals), and how many; `None` where none is flagged.
    pub(crate) target: Option<(u32, usize)>,
}

impl WindowStats {
    /// Share of the answers that are flagged; 0 where there are none.
    pub(crate) fn flagged_ratio(&self) -> f64 {
        ratio(self.flagged, self.answers)
    }

    /// Share of the flagged answers to which B gives the most frequent class; 0 where none is flagged.
    pub(crate) fn target_ratio(&self) -> f64 {
        ratio(self.target.map_or(0, |(_, count)| count), self.flagged)
    }
}

fn ratio(part: usize, whole: usize) -> f64 {
    part as f64 / whole.max(1) as f64
}

impl Alarms {
    /// Empty windows for `rules`.
    pub(crate) fn new(rules: impl Iterator<Item = PolicyAndDrop>) -> Self {
        let windows = rules.map(|rule| (rule, Window::default()));
        Self(Mutex::new(windows.collect()))
    }

    /// Takes note of an answer that `rule` decided: B's class where it is flagged.
    pub(crate) fn note(&self, rule: PolicyAndDrop, flagged_as: Option<u32>, now: Instant) {
        let mut windows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        windows.entry(rule).or_default().push(now, flagged_as);
    }

    /// What the windows show, in the order of the rules.
    pub(crate) fn stats(&self, now: Instant) -> Vec<(PolicyAndDrop, WindowStats)> {
        let mut windows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let stats = |(rule, window): (&PolicyAndDrop, &mut Window)| (*rule, window.stats(now));
        windows.iter_mut().map(stats).collect()
    }
}

impl Window {
    fn push(&mut self, now: Instant, flagged_as: Option<u32>) {
        if self.answers.len() == MAX_ANSWERS {
            self.answers.pop_front();
        }
        self.answers.push_back((now, flagged_as));
    }

    fn stats(&mut self, now: Instant) -> WindowStats {
        let old = |&(at, _): &(Instant, _)| now.saturating_duration_since(at) > MAX_AGE;
        let gone = self.answers.iter().take_while(|answer| old(answer)).count();
        self.answers.drain(..gone);
        let mut classes = BTreeMap::<u32, usize>::new();
        for class in self.answers.iter().filter_map(|&(_, class)| class) {
            *classes.entry(class).or_default() += 1;
        }
        let most = classes.iter().map(|(_, &count)| count).max();
        WindowStats {
            answers: self.answers.len(),
            flagged: classes.values().sum(),
            target: classes
                .iter()
                .find(|&(_, &count)| Some(count) == most)
                .map(|(&class, &count)| (class, count)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(answers: &[Option<u32>], now: Instant) -> Window {
        let mut window = Window::default();
        for &answer in answers {
            window.push(now, answer);
        }
        window
    }

    #[test]
    fn a_window_tells_the_share_flagged_and_the_class_that_b_gives_most_of_them() {
        let now = Instant::now();
        let check = |answers: &[Option<u32>], flagged: f64, target: Option<(u32, usize)>| {
            let stats = window(answers, now).stats(now);
            assert_eq!(stats.answers, answers.len());
            assert_eq!(stats.flagged_ratio(), flagged, "{answers:?}");
            assert_eq!(stats.target, target, "{answers:?}");
            stats.target_ratio()
        };
        assert_eq!(check(&[], 0.0, None), 0.0);
        assert_eq!(check(&[None, None], 0.0, None), 0.0);
        assert_eq!(check(&[Some(3), None], 0.5, Some((3, 1))), 1.0);
        let most_are_9 = [Some(9), Some(2), Some(9), None];
        assert_eq!(check(&most_are_9, 0.75, Some((9, 2))), 2.0 / 3.0);
        assert_eq!(check(&[Some(5), Some(4)], 1.0, Some((4, 1))), 0.5);
    }

    #[test]
    fn an_answer_leaves_the_window_by_number_and_by_age() {
        let start = Instant::now();
        let mut window = window(&[Some(1); MAX_ANSWERS], start);
        for _ in 0..MAX_ANSWERS - 1 {
            window.push(start + Duration::from_secs(1), None);
        }
        let stats = window.stats(start + Duration::from_secs(1));
        assert_eq!((stats.answers, stats.flagged), (MAX_ANSWERS, 1));
        let stats = window.stats(start + MAX_AGE + Duration::from_millis(500));
        assert_eq!((stats.answers, stats.flagged), (MAX_ANSWERS - 1, 0));
        let stats = window.stats(start + MAX_AGE + Duration::from_secs(2));
        assert_eq!((stats.answers, stats.target), (0, None));
    }
}
