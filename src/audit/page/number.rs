//! Numbers as people write them.

/// Between a number and its unit.
pub(super) const NO_BREAK: char = '\u{a0}';
/// Between groups of three digits.
const THIN: char = '\u{202f}';

/// A count: `12 400`; four digits are not parted.
pub(super) fn count(number: impl TryInto<u64>) -> String {
    let digits = number.try_into().unwrap_or(u64::MAX).to_string();
    if digits.len() < 5 {
        return digits;
    }
    let mut parted = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            parted.push(THIN);
        }
        parted.push(digit);
    }
    parted
}

/// A share for a sentence: `97.3 %`, `60 %`, `0.0020 %`.
pub(super) fn percent(share: f64) -> String {
    let text = percent_column(share);
    match text.split_once(".0\u{a0}") {
        Some((whole, unit)) => format!("{whole}{NO_BREAK}{unit}"),
        None => text,
    }
}

/// A share for a column of a table: `97.3 %`, `60.0 %`. Only all is 100 % and only nothing is 0 %.
pub(super) fn percent_column(share: f64) -> String {
    let percent = 100.0 * share;
    let digits = match percent {
        _ if percent > 0.0 && percent < 0.095 => (1.0 - percent.log10().floor()).min(9.0) as usize,
        _ if percent > 99.94 && percent < 100.0 => 2,
        _ => 1,
    };
    let shown = if digits == 2 && percent > 1.0 {
        percent.min(99.99)
    } else {
        percent
    };
    format!("{shown:.digits$}{NO_BREAK}%")
}

/// A score. One below 1 is never shown as 1, which is suspect.
pub(super) fn score(score: f64) -> String {
    match score {
        _ if score <= 0.0 => "0".to_owned(),
        _ if score < 0.01 => "under 0.01".to_owned(),
        _ if score < 1.0 => format!("{:.2}", score.min(0.99)),
        _ if score < 9.95 => format!("{score:.1}"),
        _ => format!("{score:.0}"),
    }
}

/// A time: `8.4 s`, `12 min 3 s`.
pub(super) fn seconds(seconds: f64) -> String {
    if seconds < 9.95 {
        return format!("{seconds:.1}{NO_BREAK}s");
    }
    let whole = seconds.round() as u64;
    match whole {
        0..120 => format!("{whole}{NO_BREAK}s"),
        120..7200 => format!("{}{NO_BREAK}min {}{NO_BREAK}s", whole / 60, whole % 60),
        _ => format!(
            "{}{NO_BREAK}h {}{NO_BREAK}min",
            whole / 3600,
            whole / 60 % 60
        ),
    }
}

/// `1 image`, `3 images`.
pub(super) fn counted(number: impl TryInto<u64>, one: &str, several: &str) -> String {
    let number = number.try_into().unwrap_or(u64::MAX);
    let noun = if number == 1 { one } else { several };
    format!("{}{NO_BREAK}{noun}", count(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(text: &str) -> String {
        text.replace([NO_BREAK, THIN], " ")
    }

    #[test]
    fn long_counts_are_parted() {
        let counts: [u64; 4] = [7, 1283, 12_400, 1_234_567];
        assert_eq!(
            counts.map(|number| plain(&count(number))),
            ["7", "1283", "12 400", "1 234 567"]
        );
        assert_eq!(plain(&counted(1_u32, "image", "images")), "1 image");
        assert_eq!(plain(&counted(0_usize, "image", "images")), "0 images");
    }

    #[test]
    fn only_all_is_a_hundred_per_cent_and_only_nothing_is_none() {
        let shares = [0.0, 0.000_02, 0.009_4, 0.6, 0.973, 0.999_96, 1.0];
        let shown = shares.map(|share| plain(&percent(share)));
        assert_eq!(
            shown,
            [
                "0 %", "0.0020 %", "0.9 %", "60 %", "97.3 %", "99.99 %", "100 %"
            ]
        );
        assert_eq!(plain(&percent_column(0.6)), "60.0 %");
    }

    #[test]
    fn a_score_below_one_never_looks_suspect() {
        let scores = [0.0, 0.004, 0.999, 1.0, 4.06, 27.8].map(score);
        assert_eq!(scores, ["0", "under 0.01", "0.99", "1.0", "4.1", "28"]);
    }

    #[test]
    fn times_are_in_units_of_their_size() {
        let times = [8.41, 59.6, 723.0, 7384.0].map(|time| plain(&seconds(time)));
        assert_eq!(times, ["8.4 s", "60 s", "12 min 3 s", "2 h 3 min"]);
    }
}
