//! A file that is read from its beginning to its end: buffered, counted, its checksum computed on the
//! way.

use crabcache_store::algorithms::crc64;
use std::io::{self, Read};

const BUFFER_BYTES: usize = 64 * 1024;

/// See the module's text.
pub(super) struct Source<R> {
    inner: R,
    buffer: Box<[u8]>,
    at: usize,
    end: usize,
    /// Bytes that came before the buffer.
    n_before: u64,
    /// The checksum of all bytes before `crc_at`.
    crc: u64,
    crc_at: usize,
}

impl<R: Read> Source<R> {
    /// A source that has read nothing yet.
    pub(super) fn new(inner: R) -> Source<R> {
        let buffer = vec![0; BUFFER_BYTES].into();
        Source { inner, buffer, at: 0, end: 0, n_before: 0, crc: 0, crc_at: 0 }
    }

    /// Bytes that were taken.
    pub(super) fn offset(&self) -> u64 {
        self.n_before + self.at as u64
    }

    /// The checksum of the bytes that were taken.
    pub(super) fn checksum(&mut self) -> u64 {
        self.crc = crc64::update(self.crc, &self.buffer[self.crc_at..self.at]);
        self.crc_at = self.at;
        self.crc
    }

    fn fill(&mut self) -> io::Result<()> {
        self.checksum();
        self.n_before += self.end as u64;
        (self.at, self.end, self.crc_at) = (0, 0, 0);
        loop {
            match self.inner.read(&mut self.buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => {
                    self.end = read?;
                    return Ok(());
                }
            }
        }
    }
}

impl<R: Read> Read for Source<R> {
    #[inline]
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.at == self.end {
            self.fill()?;
        }
        let len = out.len().min(self.end - self.at);
        out[..len].copy_from_slice(&self.buffer[self.at..self.at + len]);
        self.at += len;
        Ok(len)
    }

    #[inline]
    fn read_exact(&mut self, out: &mut [u8]) -> io::Result<()> {
        if let Some(bytes) = self.buffer[self.at..self.end].get(..out.len()) {
            out.copy_from_slice(bytes);
            self.at += out.len();
            return Ok(());
        }
        let mut rest = out;
        while !rest.is_empty() {
            match self.read(rest)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                len => rest = &mut rest[len..],
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_counted_and_summed_however_they_are_taken() {
        let bytes: Vec<u8> = (0..200_000u32).map(|number| (number % 251) as u8).collect();
        for step in [1, 7, 1000, BUFFER_BYTES, BUFFER_BYTES + 1, 150_000] {
            let mut source = Source::new(&bytes[..]);
            let mut taken = vec![0; step];
            let n_steps = (bytes.len() / step).min(1000);
            for number in 0..n_steps {
                source.read_exact(&mut taken).unwrap();
                assert_eq!(taken, bytes[number * step..(number + 1) * step]);
            }
            assert_eq!(source.offset(), (n_steps * step) as u64);
            assert_eq!(source.checksum(), crc64::checksum(&bytes[..n_steps * step]));
        }
        let mut source = Source::new(&bytes[..]);
        let error = source.read_exact(&mut vec![0; bytes.len() + 1]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }
}
