//! Small charts of latencies: a column of characters for each sample, its age below it.
//!
//! ```text
//!    _#
//!  _o||
//! o||||
//! _||||
//!
//! 54321
//! sssss
//! ```

use super::Sample;

const COLUMNS: usize = 80;
const ROWS: usize = 4;
/// Three steps of height within a row.
const STEPS: [char; 3] = ['_', 'o', '#'];

/// Draws samples, oldest first; `now_s` tells their age.
pub fn draw<'s>(samples: impl Iterator<Item = &'s Sample>, now_s: i64) -> String {
    let samples: Vec<Sample> = samples.copied().collect();
    let chart: Vec<String> =
        samples.chunks(COLUMNS).map(|part| draw_part(part, &samples, now_s)).collect();
    chart.join("\n")
}

fn draw_part(part: &[Sample], all: &[Sample], now_s: i64) -> String {
    let latencies = || all.iter().map(|sample| sample.latency_ms);
    let (min, max) = (latencies().min().unwrap_or(0), latencies().max().unwrap_or(0));
    let height = |sample: &Sample| {
        let share = (sample.latency_ms - min) as f64 / (max - min).max(1) as f64;
        ((share * (ROWS * STEPS.len()) as f64) as usize).min(ROWS * STEPS.len() - 1)
    };
    let mut lines: Vec<String> = (0..ROWS)
        .rev()
        .map(|row| {
            let column = |sample| match height(sample).checked_sub(row * STEPS.len()) {
                None => ' ',
                Some(step) => STEPS.get(step).copied().unwrap_or('|'),
            };
            part.iter().map(column).collect()
        })
        .collect();
    lines.push(String::new());
    let labels: Vec<String> = part.iter().map(|sample| age(now_s - sample.at_s)).collect();
    let label_len = labels.iter().map(String::len).max().unwrap_or(0);
    lines.extend((0..label_len).map(|row| {
        labels.iter().map(|label| label.chars().nth(row).unwrap_or(' ')).collect::<String>()
    }));
    lines.iter().map(|line| format!("{}\n", line.trim_end())).collect()
}

/// How long ago, in the largest unit that fits.
fn age(seconds: i64) -> String {
    match seconds {
        ..60 => format!("{seconds}s"),
        60..3600 => format!("{}m", seconds / 60),
        3600..86_400 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn charts() {
        let sample = |at_s, latency_ms| Sample { at_s, latency_ms };
        let samples = [sample(0, 100), sample(86_340, 140), sample(86_395, 200)];
        let expected = "  #\n  |\n o|\n_||\n\n115\ndms\n";
        assert_eq!(draw(samples.iter(), 86_400), expected);
        let one = [sample(86_388, 7)];
        assert_eq!(draw(one.iter(), 86_400), "\n\n\n_\n\n1\n2\ns\n");
        let many: Vec<Sample> = (0..100).map(|n| sample(n, 5)).collect();
        let chart = draw(many.iter(), 100);
        assert!(
            chart.contains(&"_".repeat(80)) && chart.contains(&format!("{}\n", "_".repeat(20)))
        );
    }
}
