//! Work shared by several sessions of a network, one thread each.

use std::sync::atomic::{AtomicUsize, Ordering};

/// `work(network, i)` for i in 0..`count`, one thread a network; the results in order, whichever thread made them.
///
/// # Errors
/// The first error in order of i among those that were met before the threads stopped.
pub(crate) fn in_parallel<C: Send, T: Send, E: Send>(
    networks: &mut [C],
    count: usize,
    work: impl Fn(&mut C, usize) -> Result<T, E> + Sync,
) -> Result<Vec<T>, E> {
    let next = AtomicUsize::new(0);
    let (work, next) = (&work, &next);
    let mut done: Vec<(usize, Result<T, E>)> = std::thread::scope(|scope| {
        let threads: Vec<_> = networks
            .iter_mut()
            .map(|network| scope.spawn(move || take_turns(network, count, next, work)))
            .collect();
        threads
            .into_iter()
            .flat_map(|thread| match thread.join() {
                Ok(results) => results,
                Err(panic) => std::panic::resume_unwind(panic),
            })
            .collect()
    });
    done.sort_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, result)| result).collect()
}

fn take_turns<C, T, E>(
    network: &mut C,
    count: usize,
    next: &AtomicUsize,
    work: &(impl Fn(&mut C, usize) -> Result<T, E> + Sync),
) -> Vec<(usize, Result<T, E>)> {
    let mut results = Vec::new();
    loop {
        let index = next.fetch_add(1, Ordering::Relaxed);
        if index >= count {
            return results;
        }
        let result = work(network, index);
        let failed = result.is_err();
        results.push((index, result));
        if failed {
            next.store(count, Ordering::Relaxed);
            return results;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_order_and_an_error_is_not_lost() {
        let mut networks = [(), (), ()];
        let squares: Result<Vec<usize>, ()> = in_parallel(&mut networks, 50, |(), i| Ok(i * i));
        assert_eq!(squares.unwrap(), (0..50).map(|i| i * i).collect::<Vec<_>>());
        let failed: Result<Vec<()>, _> = in_parallel(&mut networks, 50, |(), i| {
            if i == 7 { Err("seven") } else { Ok(()) }
        });
        assert_eq!(failed, Err("seven"));
    }
}
