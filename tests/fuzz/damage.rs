//! Inputs for the smoke test: every seed as it is, then damaged copies without end. Repeatable: the same target gets the same
//! inputs in the same order.

/// Longest input.
const MAX: usize = 16 << 10;

/// Pieces that parsers like to trip over.
const TOKENS: [&[u8]; 24] = [
    b"",
    b"\0",
    b"\n",
    b"\r\n",
    b":",
    b"=",
    b",",
    b"\"",
    b"'",
    b"\\",
    b"#",
    b"-",
    b"{",
    b"}",
    b"[",
    b"]",
    b"\xff\xfe",
    "é\u{2028}".as_bytes(),
    b"18446744073709551616",
    b"-1",
    b"1e309",
    b"NaN",
    b"\\134\\040",
    b"../",
];

pub struct Damage {
    seeds: Vec<Vec<u8>>,
    given: usize,
    state: u64,
}

impl Damage {
    pub fn new(name: &str, seeds: Vec<Vec<u8>>) -> Self {
        let state = name.bytes().fold(0x9e37_79b9_7f4a_7c15, |state: u64, byte| state.rotate_left(7) ^ u64::from(byte));
        Damage { seeds, given: 0, state }
    }

    /// Every seed is tried, however little time there is.
    pub fn has_seeds_left(&self) -> bool {
        self.given <= self.seeds.len()
    }

    /// A number below `limit` (xorshift64).
    fn below(&mut self, limit: usize) -> usize {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        (self.state % limit.max(1) as u64) as usize
    }

    fn seed(&mut self) -> Vec<u8> {
        let at = self.below(self.seeds.len());
        self.seeds[at].clone()
    }

    fn damaged(&mut self) -> Vec<u8> {
        let mut input = self.seed();
        for _ in 0..=self.below(6) {
            self.damage(&mut input);
        }
        input.truncate(MAX);
        input
    }

    fn damage(&mut self, input: &mut Vec<u8>) {
        let from = self.below(input.len() + 1);
        let to = (from + self.below(16)).min(input.len());
        match self.below(7) {
            0 => drop(input.drain(from..to)),
            1 => input.truncate(from),
            2 => insert(input, from, TOKENS[self.below(TOKENS.len())]),
            3 => input[from..to].iter_mut().for_each(|byte| *byte = byte.rotate_left(3) ^ 0x55),
            4 => {
                let piece = input[from..to].repeat(self.below(64));
                insert(input, from, &piece);
            }
            5 => {
                let other = self.seed();
                let at = self.below(other.len() + 1);
                insert(input, from, &other[at..]);
            }
            _ => {
                let noise: Vec<u8> = (0..self.below(32)).map(|_| self.below(256) as u8).collect();
                insert(input, from, &noise);
            }
        }
    }
}

fn insert(input: &mut Vec<u8>, at: usize, piece: &[u8]) {
    drop(input.splice(at..at, piece.iter().copied()));
}

impl Iterator for Damage {
    type Item = Vec<u8>;
    fn next(&mut self) -> Option<Vec<u8>> {
        self.given += 1;
        match self.seeds.get(self.given - 1) {
            Some(seed) => Some(seed.clone()),
            None => Some(self.damaged()),
        }
    }
}
