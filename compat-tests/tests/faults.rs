//! Links that break and servers that end: the short form of `make faults`.

use compat_tests::faults::run;

#[test]
fn servers_agree_whatever_happens() {
    let seed = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(rand::random);
    eprintln!("SEED={seed}");
    run(seed, 8, |round, what| eprintln!("round {round}: {what}"))
        .unwrap_or_else(|failure| panic!("{failure}"));
}
