//! LOLWUT: a picture and the version.
//!
//! The picture of version 5 is made of tiles, that of later ones grows from a single cell.

use crate::command::{Args, Command, CommandResult, Ctx, Flags, server};
use crate::error::CommandError;
use crate::start::arguments::REDIS_VERSION;

pub(super) const LOLWUT: Command = server("lolwut", lolwut)
    .arity(-1)
    .flags(Flags::READONLY.union(Flags::FAST))
    .doc("5.0.0", "", "[VERSION=version:int]", "Draws a picture and tells the version.");

/// LOLWUT [VERSION version] [columns [rows]]
fn lolwut(ctx: &mut Ctx, args: Args) -> CommandResult {
    let has_version = args.len() > 2 && args.is(1, "VERSION");
    let version = if has_version { args.int(2)? } else { i64::MAX };
    let mut sizes = args.from(if has_version { 3 } else { 1 });
    let mut size = |default: i64, max: i64| -> Result<usize, CommandError> {
        let asked = if sizes.remaining() > 0 { sizes.int()? } else { default };
        Ok(usize::try_from(asked.clamp(1, max)).unwrap_or(1))
    };
    let (n_columns, n_rows) = (size(66, 500)?, size(16, 200)?);
    let mut canvas = Canvas::new(n_columns, n_rows);
    let title = if version <= 5 { draw_tiles(&mut canvas) } else { draw_automaton(&mut canvas) };
    let picture = format!("{}\n{title} Redis ver. {REDIS_VERSION}\n", canvas.render());
    ctx.reply.verbatim("txt", picture.as_bytes());
    Ok(())
}

/// Dots, two by four in a character.
struct Canvas {
    width: usize,
    height: usize,
    dots: Vec<bool>,
}

impl Canvas {
    fn new(n_columns: usize, n_rows: usize) -> Canvas {
        let (width, height) = (n_columns * 2, n_rows * 4);
        Canvas { width, height, dots: vec![false; width * height] }
    }

    fn set(&mut self, x: usize, y: usize) {
        self.dots[y * self.width + x] = true;
    }

    /// The dots as characters of braille, a line for each row.
    fn render(&self) -> String {
        /// The bit of each dot of a character, row by row.
        const BITS: [[u32; 2]; 4] = [[1, 8], [2, 16], [4, 32], [64, 128]];
        let mut text = String::new();
        for top in (0..self.height).step_by(4) {
            for left in (0..self.width).step_by(2) {
                let mut code = 0x2800;
                for (y, row) in BITS.iter().enumerate() {
                    for (x, bit) in row.iter().enumerate() {
                        if self.dots[(top + y) * self.width + left + x] {
                            code |= bit;
                        }
                    }
                }
                text.extend(char::from_u32(code));
            }
            text.push('\n');
        }
        text
    }
}

/// Tiles with two quarter circles each, turned at random: their ends meet whatever the turn.
fn draw_tiles(canvas: &mut Canvas) -> &'static str {
    const TILE: usize = 12;
    for top in (0..canvas.height).step_by(TILE) {
        for left in (0..canvas.width).step_by(TILE) {
            let is_turned = rand::random::<bool>();
            for step in 0..=4 * TILE {
                let angle = step as f64 / (4 * TILE) as f64 * std::f64::consts::FRAC_PI_2;
                let radius = TILE as f64 / 2.0;
                let (dx, dy) = (radius * angle.cos(), radius * angle.sin());
                let edge = (TILE - 1) as f64;
                for (x, y) in [(dx, dy), (edge - dx, edge - dy)] {
                    let x = if is_turned { edge - x } else { x };
                    let (x, y) = (left + x.round() as usize, top + y.round() as usize);
                    if x < canvas.width && y < canvas.height {
                        canvas.set(x, y);
                    }
                }
            }
        }
    }
    "Tiles, turned at random."
}

/// A line of cells, and below it what a rule makes of each cell and its neighbours, and so on.
fn draw_automaton(canvas: &mut Canvas) -> &'static str {
    const RULES: &[(u8, &str)] = &[
        (30, "Rule 30, from one cell."),
        (45, "Rule 45, from one cell."),
        (73, "Rule 73, from one cell."),
        (90, "Rule 90, from one cell."),
        (105, "Rule 105, from one cell."),
        (150, "Rule 150, from one cell."),
    ];
    let (rule, title) = RULES[rand::random_range(0..RULES.len())];
    let width = canvas.width;
    canvas.set(width / 2, 0);
    for y in 1..canvas.height {
        for x in 0..width {
            let cell = |x: usize| u32::from(canvas.dots[(y - 1) * width + x % width]);
            let neighbours = cell(x + width - 1) << 2 | cell(x) << 1 | cell(x + 1);
            if rule >> neighbours & 1 == 1 {
                canvas.set(x, y);
            }
        }
    }
    title
}

#[cfg(test)]
mod tests {
    use crate::testing::TestServer;

    /// Columns and rows of a picture.
    fn size(t: &mut TestServer, line: &str) -> (usize, usize) {
        let text = t.run(line);
        assert!(text.contains("Redis ver. 8.2.3\\n"), "{text}");
        let lines: Vec<&str> = text.trim_matches('"').split("\\n").collect();
        // Three escaped bytes a character.
        (
            lines[0].len() / "\\xe2\\xa0\\x80".len(),
            lines.iter().take_while(|l| !l.is_empty()).count(),
        )
    }

    #[test]
    fn pictures_have_the_size_that_was_asked_for() {
        let mut t = TestServer::new();
        for version in ["", "VERSION 5", "version 6", "VERSION 99"] {
            assert_eq!(size(&mut t, &format!("LOLWUT {version}")), (66, 16), "{version}");
            assert_eq!(size(&mut t, &format!("LOLWUT {version} 3 7")), (3, 7));
            assert_eq!(size(&mut t, &format!("LOLWUT {version} -9 0")), (1, 1));
        }
        assert_eq!(size(&mut t, "LOLWUT 9999999 1"), (500, 1));
        t.check("LOLWUT VERSION x", "-ERR value is not an integer or out of range");
        t.check("LOLWUT x", "-ERR value is not an integer or out of range");
    }
}
