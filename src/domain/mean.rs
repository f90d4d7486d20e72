//! The mean of repeated experiments.

/// A mean over repeated experiments with its 95 % interval and its range.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mean {
    /// Mean of the values.
    pub value: f64,
    /// Half the width of the 95 % interval; infinite for a single value.
    pub spread: f64,
    /// Smallest value.
    pub least: f64,
    /// Largest value.
    pub most: f64,
}

/// Mean of `values` with Student's interval, mean ± t s / sqrt(n) with n - 1 degrees of freedom; none of no values.
///
/// It is over experiments (seeds): it tells how far another draw of the whole experiment may lie, which the images
/// within one experiment cannot tell.
#[must_use]
pub fn mean(values: &[f64]) -> Option<Mean> {
    let (&first, count) = (values.first()?, values.len() as f64);
    let value = values.iter().sum::<f64>() / count;
    let squares: f64 = values.iter().map(|x| (x - value).powi(2)).sum();
    let spread = match values.len() {
        1 => f64::INFINITY,
        n => student_t(n - 1) * (squares / (count - 1.0) / count).sqrt(),
    };
    Some(Mean {
        value,
        spread,
        least: values.iter().copied().fold(first, f64::min),
        most: values.iter().copied().fold(first, f64::max),
    })
}

/// The 97.5 % quantile of Student's distribution for a number of degrees of freedom; above 30 the one of the normal
/// distribution, which is at most 4 % smaller.
fn student_t(freedom: usize) -> f64 {
    const QUANTILES: [f64; 30] = [
        12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160,
        2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056,
        2.052, 2.048, 2.045, 2.042,
    ];
    QUANTILES.get(freedom - 1).copied().unwrap_or(1.960)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_of_a_mean_is_students() {
        // Mean 3, s^2 = 2.5, t of 4 degrees of freedom 2.776: 2.776 * sqrt(2.5 / 5) = 1.963.
        let found = mean(&[1.0, 2.0, 3.0, 4.0, 5.0]).unwrap();
        assert_eq!((found.value, found.least, found.most), (3.0, 1.0, 5.0));
        assert!((found.spread - 1.963).abs() < 1e-3, "{found:?}");
        assert_eq!(mean(&[]), None);
        assert_eq!(mean(&[7.0]).unwrap().spread, f64::INFINITY);
    }
}
