//! Waits until the workload's service answers, and tells PID 1 once.

use crate::service_probe;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use protocol::handover::{Message, Service};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};
use supervisor::HelperArgs;

/// The first pause between two questions, which doubles up to `PAUSE_MAX`: a server that starts quickly is told quickly, and a slow one
/// is not kept from its work.
const PAUSE: Duration = Duration::from_millis(25);
const PAUSE_MAX: Duration = Duration::from_millis(400);

/// Asks the service until it answers, `within` is over, or PID 1 closes the pipe, which it does when the workload has ended.
pub(super) fn wait(task: &HelperArgs<'_>, within: Duration) {
    let Some(service) = &task.policy.service else { return };
    let over = |pause| hangs_up(task.finish.as_fd(), pause);
    if let Some(answer) = answer(service, within, &over) {
        task.handover.send(&Message::Answers(answer));
    }
}

/// Returns the service's answer, or why there is none; `None` if the wait was `over` before. `over` also makes the pause.
fn answer(service: &Service, within: Duration, over: &dyn Fn(Duration) -> bool) -> Option<Result<(), String>> {
    let (began, mut pause) = (Instant::now(), PAUSE);
    loop {
        let why = match service_probe::is_up(service) {
            Ok(()) => return Some(Ok(())),
            Err(why) => why,
        };
        let left = within.saturating_sub(began.elapsed());
        if over(pause.min(left)) {
            return None;
        }
        if left.is_zero() {
            return Some(Err(why.to_string()));
        }
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

/// Waits for this time; returns whether the other end of the pipe was closed by then.
fn hangs_up(pipe: BorrowedFd<'_>, time: Duration) -> bool {
    let millis = u16::try_from(time.as_millis()).unwrap_or(u16::MAX);
    let mut fds = [PollFd::new(pipe, PollFlags::POLLIN)];
    poll(&mut fds, PollTimeout::from(millis)).is_ok_and(|ready| ready > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use std::net::TcpListener;

    /// Waits for a service that begins to listen at the pause of this number, if at all.
    fn waited(listens_at: Option<u32>, within: Duration, over_at: Option<u32>) -> Option<Result<(), String>> {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let (pauses, listener) = (Cell::new(0), Cell::new(None));
        let over = |pause| {
            pauses.set(pauses.get() + 1);
            if listens_at == Some(pauses.get()) {
                listener.set(TcpListener::bind(("127.0.0.1", port)).ok());
            }
            std::thread::sleep(pause);
            over_at == Some(pauses.get())
        };
        let answer = answer(&Service::on(port), within, &over)?;
        Some(answer.map_err(|why| why.replace(&port.to_string(), "PORT")))
    }

    #[test]
    fn a_service_is_asked_until_it_answers_the_time_is_over_or_the_workload_has_ended() {
        assert_eq!(waited(Some(2), Duration::from_secs(60), None), Some(Ok(())));
        let silent = Err("port PORT: no process listens there".to_owned());
        assert_eq!(waited(None, Duration::from_millis(50), None), Some(silent));
        assert_eq!(waited(None, Duration::from_secs(60), Some(3)), None);
    }

    #[test]
    fn a_closed_pipe_ends_a_pause() {
        let (reader, writer) = nix::unistd::pipe().unwrap();
        assert!(!hangs_up(reader.as_fd(), Duration::from_millis(1)));
        drop(writer);
        assert!(hangs_up(reader.as_fd(), Duration::from_secs(60)));
    }
}
