//! Finds the few steps that are needed for something to happen.

/// Removes steps, in ever smaller pieces, as long as `happens` holds for the rest.
pub(super) fn shrink<T: Clone>(mut steps: Vec<T>, mut happens: impl FnMut(&[T]) -> bool) -> Vec<T> {
    let mut len = steps.len() / 2;
    while len > 0 {
        let mut at = 0;
        let before = steps.len();
        while at < steps.len() {
            let end = (at + len).min(steps.len());
            let rest = [&steps[..at], &steps[end..]].concat();
            if !rest.is_empty() && happens(&rest) {
                steps = rest;
            } else {
                at = end;
            }
        }
        // Single steps are tried again until none can go.
        if len > 1 || steps.len() == before {
            len /= 2;
        }
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_needed_stays() {
        let needed = [3, 77, 78, 200];
        let steps: Vec<i32> = (0..300).collect();
        let rest = shrink(steps, |steps| needed.iter().all(|step| steps.contains(step)));
        assert_eq!(rest, needed);
    }
}
