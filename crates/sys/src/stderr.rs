//! Writing to standard error without waiting for a reader that has stopped reading. Descriptor 2 is shared with the workload, so
//! its flags are never changed: either a single call is told not to wait, or the file is opened anew.

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::stat::{Mode, SFlag, fstat};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Bytes that a pipe takes without waiting where poll(2) promises room, which a pipe has by pages (pipe(7), PIPE_BUF).
const PIECE_OF_PIPE: usize = 4096;
/// Bytes that a terminal takes without waiting where poll(2) promises room; a terminal does not tell how much room it has.
const PIECE_OF_TERMINAL: usize = 128;

/// Attempts for one text. The kernel's answer may be one that passes (ENOMEM), and a line of PID 1 is worth a second attempt.
const ATTEMPTS: u32 = 3;

/// The pause where poll(2) promises room and the write finds none.
const PAUSE: Duration = Duration::from_millis(5);

/// How much a text matters. The urgency decides how long the reader is waited for, over all texts together and not for each line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Urgency {
    /// A text that is worth knowing.
    News,
    /// The reason why a start ends.
    Failure,
}

impl Urgency {
    /// Returns how long a process may wait at its first text.
    const fn patience(self) -> Duration {
        match self {
            Urgency::News => Duration::from_millis(300),
            Urgency::Failure => Duration::from_secs(2),
        }
    }
}

/// The time that this process has waited so far.
struct Waiting {
    /// When the first text was written.
    since: Option<Instant>,
    /// The time that texts of either urgency have waited.
    spent: Duration,
    /// Whether the last wait was in vain: then no text of `News` waits until there is room.
    in_vain: bool,
}

static WAITING: Mutex<Waiting> = Mutex::new(Waiting { since: None, spent: Duration::ZERO, in_vain: false });

impl Waiting {
    /// Returns how long a text may still wait. A tenth of the process's time is added, for a reader that is only slow.
    fn left(&self, urgency: Urgency, now: Instant) -> Duration {
        if self.in_vain && urgency == Urgency::News {
            return Duration::ZERO;
        }
        let passed = self.since.map_or(Duration::ZERO, |since| now.saturating_duration_since(since));
        (urgency.patience() + passed / 10).saturating_sub(self.spent)
    }
}

/// Writes as much as there is room for, and waits for more room as long as `urgency` allows. Returns how many bytes were written.
pub fn write(bytes: &[u8], urgency: Urgency) -> usize {
    let Ok(mut waiting) = WAITING.lock() else { return 0 };
    let stderr = std::io::stderr();
    write_to(stderr.as_fd(), bytes, urgency, &mut waiting)
}

fn write_to(fd: BorrowedFd<'_>, bytes: &[u8], urgency: Urgency, waiting: &mut Waiting) -> usize {
    let (mut written, mut refused) = (0, 0);
    while let Some(rest) = bytes.get(written..).filter(|rest| !rest.is_empty()) {
        match write_without_waiting_to(fd, rest) {
            Ok(length) => {
                written += length;
                waiting.in_vain = false;
            }
            Err(Errno::EINTR) => {}
            Err(Errno::EAGAIN) if wait(fd, urgency, waiting) => {}
            Err(errno) if may_pass(errno, &mut refused) => {}
            Err(_) => break,
        }
    }
    written
}

/// Waits for room, and tells whether another attempt is worth it.
fn wait(fd: BorrowedFd<'_>, urgency: Urgency, waiting: &mut Waiting) -> bool {
    let begun = Instant::now();
    waiting.since.get_or_insert(begun);
    let left = waiting.left(urgency, begun);
    if left.is_zero() {
        return false;
    }
    let room =
        poll(&mut [PollFd::new(fd, PollFlags::POLLOUT)], PollTimeout::try_from(left).unwrap_or(PollTimeout::ZERO));
    if room == Ok(1) && begun.elapsed() < PAUSE {
        std::thread::sleep(PAUSE.min(left));
    }
    waiting.spent += begun.elapsed();
    waiting.in_vain = room == Ok(0);
    !waiting.in_vain
}

/// Writes as much as there is room for now, and drops the rest.
pub fn write_without_waiting(mut bytes: &[u8]) {
    let (stderr, mut refused) = (std::io::stderr(), 0);
    while !bytes.is_empty() {
        match write_without_waiting_to(stderr.as_fd(), bytes) {
            Ok(length) => bytes = bytes.get(length..).unwrap_or_default(),
            Err(Errno::EINTR) => {}
            Err(errno) if may_pass(errno, &mut refused) => {}
            Err(_) => return,
        }
    }
}

/// Returns whether another attempt is worth it. A reader that is gone or late, and a closed descriptor, stay so.
fn may_pass(errno: Errno, refused: &mut u32) -> bool {
    *refused += 1;
    *refused < ATTEMPTS && ![Errno::EAGAIN, Errno::EPIPE, Errno::EBADF].contains(&errno)
}

fn write_without_waiting_to(fd: BorrowedFd<'_>, bytes: &[u8]) -> nix::Result<usize> {
    let kind = fstat(fd).map(|found| SFlag::from_bits_truncate(found.st_mode & SFlag::S_IFMT.bits()))?;
    match kind {
        // A write to a regular file needs no reader: the kernel takes the bytes, or the file system has no room for them.
        SFlag::S_IFREG => nix::unistd::write(fd, bytes),
        SFlag::S_IFSOCK => send_without_waiting(fd, bytes),
        SFlag::S_IFIFO => match write_with_nowait(fd, bytes) {
            Err(Errno::EOPNOTSUPP | Errno::ENOSYS | Errno::EPERM | Errno::EINVAL) => {
                write_anew(fd, bytes, PIECE_OF_PIPE)
            }
            written => written,
        },
        _ => write_anew(fd, bytes, PIECE_OF_TERMINAL),
    }
}

fn send_without_waiting(fd: BorrowedFd<'_>, bytes: &[u8]) -> nix::Result<usize> {
    // SAFETY: the bytes outlive the call, which only reads them.
    let sent = unsafe { libc::send(fd.as_raw_fd(), bytes.as_ptr().cast(), bytes.len(), libc::MSG_DONTWAIT) };
    Errno::result(sent).map(|length| usize::try_from(length).unwrap_or_default())
}

/// Makes one write that does not wait (RWF_NOWAIT; pipes have it since Linux 6.4).
fn write_with_nowait(fd: BorrowedFd<'_>, bytes: &[u8]) -> nix::Result<usize> {
    const RWF_NOWAIT: libc::c_long = 8;
    const NO_OFFSET: libc::c_long = -1;
    let piece = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
    // SAFETY: the piece and its bytes outlive the call, which only reads them.
    let written = unsafe {
        libc::syscall(libc::SYS_pwritev2, fd.as_raw_fd(), &raw const piece, 1, NO_OFFSET, NO_OFFSET, RWF_NOWAIT)
    };
    Errno::result(written).map(|length| usize::try_from(length).unwrap_or_default())
}

/// Writes by a descriptor of our own. Where the file may not be opened (another user's pipe, no /proc), only so much is written as
/// poll(2) promises room for.
fn write_anew(fd: BorrowedFd<'_>, bytes: &[u8], piece: usize) -> nix::Result<usize> {
    let flags = OFlag::O_WRONLY | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC | OFlag::O_NOCTTY;
    let path = ["/proc/self/fd/", &fd.as_raw_fd().to_string()].concat();
    if let Ok(own) = nix::fcntl::open(path.as_str(), flags, Mode::empty()) {
        return nix::unistd::write(own, bytes);
    }
    match poll(&mut [PollFd::new(fd, PollFlags::POLLOUT)], PollTimeout::ZERO) {
        Ok(0) => Err(Errno::EAGAIN),
        _ => nix::unistd::write(fd, bytes.get(..piece).unwrap_or(bytes)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::os::unix::net::UnixStream;

    const NOTHING_YET: Waiting = Waiting { since: None, spent: Duration::ZERO, in_vain: false };

    /// Writes until there is no room, and then once for each urgency; returns how long each of these waited.
    fn fill(fd: BorrowedFd<'_>, waiting: &mut Waiting) -> [Duration; 3] {
        // A part of a pipe's last page may still be free.
        for size in [4096, 1] {
            while write_without_waiting_to(fd, &vec![b'x'; size]).is_ok() {}
        }
        [Urgency::News, Urgency::News, Urgency::Failure].map(|urgency| {
            let before = waiting.spent;
            assert_eq!(write_to(fd, b"line\n", urgency, waiting), 0);
            waiting.spent - before
        })
    }

    /// Checks that the first line waits, the next does not, a failure waits again, and all is written when a reader reads.
    fn never_stops(fd: BorrowedFd<'_>, mut read: impl FnMut()) {
        let mut waiting = NOTHING_YET;
        let [first, second, failure] = fill(fd, &mut waiting);
        assert!(first >= Duration::from_millis(290), "{first:?}");
        assert!(second < Duration::from_millis(290), "{second:?}");
        assert!(failure >= Duration::from_millis(500), "{failure:?}");
        read();
        assert_eq!(write_to(fd, b"line\n", Urgency::News, &mut waiting), 5);
        assert!(!waiting.in_vain);
    }

    #[test]
    fn a_full_pipe_is_waited_for_once_and_its_flags_stay() {
        let (mut reader, writer) = std::io::pipe().unwrap();
        never_stops(writer.as_fd(), || {
            let _ = reader.read(&mut [0; 65536]).unwrap();
        });
        let flags = nix::fcntl::fcntl(&writer, nix::fcntl::FcntlArg::F_GETFL).unwrap();
        assert!(!OFlag::from_bits_truncate(flags).contains(OFlag::O_NONBLOCK));
    }

    #[test]
    fn a_pipe_is_written_without_waiting_by_an_older_kernel_too() {
        let (_reader, writer) = std::io::pipe().unwrap();
        for size in [4096, 1] {
            while write_anew(writer.as_fd(), &vec![b'x'; size], PIECE_OF_PIPE).is_ok() {}
        }
        assert_eq!(write_anew(writer.as_fd(), b"x", PIECE_OF_PIPE), Err(Errno::EAGAIN));
    }

    #[test]
    fn a_full_socket_is_waited_for_once() {
        let (mut reader, writer) = UnixStream::pair().unwrap();
        reader.set_nonblocking(true).unwrap();
        never_stops(writer.as_fd(), || while reader.read(&mut [0; 65536]).is_ok() {});
    }

    #[test]
    fn a_terminal_that_a_person_has_stopped_is_waited_for_once() {
        use nix::sys::termios::{FlowArg, tcflow};
        let pair = nix::pty::openpty(None, None).unwrap();
        let mut waiting = NOTHING_YET;
        tcflow(&pair.slave, FlowArg::TCOOFF).unwrap();
        let [first, second, _] = fill(pair.slave.as_fd(), &mut waiting);
        assert!(first < Duration::from_secs(2) && second < Duration::from_millis(290), "{first:?} {second:?}");
        tcflow(&pair.slave, FlowArg::TCOON).unwrap();
        assert_eq!(write_to(pair.slave.as_fd(), b"line\n", Urgency::News, &mut waiting), 5);
    }

    #[test]
    fn a_file_on_a_full_disk_and_a_pipe_without_a_reader_cost_nothing() {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        assert_eq!(write_to(full.as_fd(), b"line\n", Urgency::Failure, &mut { NOTHING_YET }), 0);
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        assert_eq!(write_to(writer.as_fd(), b"line\n", Urgency::Failure, &mut { NOTHING_YET }), 0);
    }

    #[test]
    fn a_reader_that_is_only_slow_costs_a_tenth_of_the_time() {
        let since = Instant::now();
        let waiting = Waiting { since: Some(since), spent: Duration::from_millis(300), in_vain: false };
        assert_eq!(waiting.left(Urgency::News, since), Duration::ZERO);
        assert_eq!(waiting.left(Urgency::News, since + Duration::from_secs(10)), Duration::from_secs(1));
    }
}
