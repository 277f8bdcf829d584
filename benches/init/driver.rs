//! Measures inits from outside: starts each as PID 1 of a fresh pid namespace, one after the other in every round, and prints raw
//! samples for bench.py. The workloads that run below the inits are here, too. One file without dependencies: `rustc -O driver.rs`.

use std::ffi::{CString, c_char, c_int, c_long, c_uint, c_void};
use std::io::Write;
use std::os::fd::FromRawFd;

unsafe extern "C" {
    fn _exit(code: c_int) -> !;
    fn syscall(number: c_long, ...) -> c_long;
    fn clock_gettime(clock: c_int, time: *mut [i64; 2]) -> c_int;
    fn execv(path: *const c_char, argv: *const *const c_char) -> c_int;
    fn waitpid(pid: c_int, status: *mut c_int, options: c_int) -> c_int;
    fn kill(pid: c_int, number: c_int) -> c_int;
    fn fork() -> c_int;
    fn pipe(fds: *mut [c_int; 2]) -> c_int;
    fn dup2(from: c_int, to: c_int) -> c_int;
    fn close(fd: c_int) -> c_int;
    fn read(fd: c_int, buffer: *mut c_void, count: usize) -> isize;
    fn write(fd: c_int, buffer: *const c_void, count: usize) -> isize;
    fn signal(number: c_int, handler: usize) -> usize;
    fn pause() -> c_int;
    fn mount(from: *const c_char, at: *const c_char, kind: *const c_char, flags: u64, data: *const c_void) -> c_int;
    fn usleep(time: c_uint) -> c_int;
}

#[cfg(target_arch = "x86_64")]
const SYS_CLONE: c_long = 56;
#[cfg(target_arch = "aarch64")]
const SYS_CLONE: c_long = 220;
const NEWPID: c_long = 0x2000_0000;
const NEWUSER: c_long = 0x1000_0000;
const NEWNS: c_long = 0x2_0000;
/// MS_REC | MS_PRIVATE
const PRIVATE: u64 = 0x44000;
const CHILD_ENDS: c_long = 17;
const USR1: c_int = 10;
const TERM: c_int = 15;
const KILL: c_int = 9;

/// The descriptor on which a workload reports that it got a signal; away from 0 to 2.
const TOLD: c_int = 9;

/// Returns the time in nanoseconds, of a clock that is the same for every process.
fn now() -> i64 {
    let mut time = [0; 2];
    unsafe { clock_gettime(1, &raw mut time) };
    time[0] * 1_000_000_000 + time[1]
}

fn main() {
    let words: Vec<String> = std::env::args().collect();
    let number = |at: usize| words.get(at).and_then(|word| word.parse().ok()).unwrap_or(0u32);
    match words.get(1).map(String::as_str) {
        Some("true") => unsafe { _exit(0) },
        Some("pause") => loop {
            unsafe { pause() };
        },
        Some("receive") => receive(),
        Some("crowd") => crowd(number(2)),
        Some("stream") => stream(number(2)),
        Some("start") => start(number(2), &words[3..]),
        Some("latency") => latency(number(2), number(3), &words[4..]),
        Some("below") => below(&words[2..]),
        _ => eprintln!("see bench.py"),
    }
}

/// A command line as execv(3) takes it, made before the clock runs.
struct Line(Vec<CString>, Vec<*const c_char>);

impl Line {
    fn of(words: &[String]) -> Self {
        let strings: Vec<CString> = words.iter().map(|word| CString::new(word.as_str()).unwrap()).collect();
        let pointers = strings.iter().map(|word| word.as_ptr()).chain([std::ptr::null()]).collect();
        Line(strings, pointers)
    }

    /// Starts the command line as PID 1 of a fresh namespace.
    fn launch(&self) -> c_int {
        let spawn = |flags: c_long| unsafe { syscall(SYS_CLONE, flags | CHILD_ENDS, 0, 0, 0, 0) as c_int };
        let mut pid = spawn(NEWPID | NEWNS);
        if pid < 0 {
            pid = spawn(NEWPID | NEWNS | NEWUSER);
        }
        assert!(pid >= 0, "no pid namespace can be made here");
        if pid == 0 {
            own_places();
            unsafe { execv(self.0[0].as_ptr(), self.1.as_ptr()) };
            unsafe { _exit(99) };
        }
        pid
    }
}

/// Mounts a /proc and an empty /run of the namespace's own, as a container has them: an init that reads /proc pays for that.
fn own_places() {
    unsafe {
        mount(c"none".as_ptr(), c"/".as_ptr(), std::ptr::null(), PRIVATE, std::ptr::null());
        mount(c"proc".as_ptr(), c"/proc".as_ptr(), c"proc".as_ptr(), 0, std::ptr::null());
        mount(c"none".as_ptr(), c"/run".as_ptr(), c"tmpfs".as_ptr(), 0, std::ptr::null());
    }
}

/// Splits the words into the command lines between `--next` words.
fn lines(words: &[String]) -> Vec<Line> {
    words.split(|word| word == "--next").map(Line::of).collect()
}

fn wait(pid: c_int) -> c_int {
    let mut status = 0;
    unsafe { waitpid(pid, &raw mut status, 0) };
    status
}

/// Measures from clone(2) to the end of `… true`, and prints one line of samples (microseconds) for each round.
fn start(rounds: u32, words: &[String]) {
    let lines = lines(words);
    for _ in 0..rounds {
        let samples: Vec<String> = lines
            .iter()
            .map(|line| {
                let begun = now();
                let status = wait(line.launch());
                let took = now() - begun;
                assert_eq!(status, 0, "{:?}", line.0);
                format!("{:.1}", took as f64 / 1e3)
            })
            .collect();
        println!("{}", samples.join(" "));
    }
}

extern "C" fn tell(number: c_int) {
    let time = now();
    unsafe { write(TOLD, (&raw const time).cast(), 8) };
    if number == TERM {
        unsafe { _exit(0) };
    }
}

/// Runs the workload that reports when a signal reached it.
fn receive() {
    unsafe { signal(USR1, tell as extern "C" fn(c_int) as usize) };
    unsafe { signal(TERM, tell as extern "C" fn(c_int) as usize) };
    let ready = now();
    unsafe { write(TOLD, (&raw const ready).cast(), 8) };
    loop {
        unsafe { pause() };
    }
}

fn told(fd: c_int) -> i64 {
    let mut time = 0i64;
    assert_eq!(unsafe { read(fd, (&raw mut time).cast(), 8) }, 8, "the workload is gone");
    time
}

/// Measures from kill(2) at the init to the workload's handler: `launches` first signals (TERM), and after each `warm` later ones
/// (USR1).
fn latency(launches: u32, warm: u32, words: &[String]) {
    let lines = lines(words);
    for _ in 0..launches {
        for (at, line) in lines.iter().enumerate() {
            let mut fds = [0; 2];
            unsafe { pipe(&raw mut fds) };
            unsafe { dup2(fds[1], TOLD) };
            unsafe { close(fds[1]) };
            let pid = line.launch();
            unsafe { close(TOLD) };
            told(fds[0]);
            unsafe { usleep(20_000) };
            let sample = |kind: &str, number| {
                let sent = now();
                unsafe { kill(pid, number) };
                println!("{at} {kind} {:.1}", (told(fds[0]) - sent) as f64 / 1e3);
                unsafe { usleep(300) };
            };
            if warm == 0 {
                sample("first", TERM);
            }
            (0..warm).for_each(|_| sample("warm", USR1));
            unsafe { kill(pid, KILL) };
            wait(pid);
            unsafe { close(fds[0]) };
        }
    }
}

/// Waits until the namespace has no other process. kill(-1) with signal 0 counts zombies, too, and takes no other process's time.
fn alone() {
    while unsafe { kill(-1, 0) } == 0 {
        unsafe { usleep(500) };
    }
}

fn go(text: &str) {
    let mut out = unsafe { std::fs::File::from_raw_fd(TOLD) };
    out.write_all(text.as_bytes()).unwrap();
    std::mem::forget(out);
    let mut byte = 0u8;
    unsafe { read(0, (&raw mut byte).cast(), 1) };
}

/// Makes `count` orphans that all end at once. Reports when they are there, waits for a word, and reports when they are gone.
fn crowd(count: u32) {
    let mut gate = [0; 2];
    unsafe { pipe(&raw mut gate) };
    if unsafe { fork() } == 0 {
        unsafe { close(gate[1]) };
        for _ in 0..count {
            if unsafe { fork() } == 0 {
                let mut byte = 0u8;
                unsafe { read(gate[0], (&raw mut byte).cast(), 1) };
                unsafe { _exit(0) };
            }
        }
        unsafe { _exit(0) };
    }
    unsafe { waitpid(-1, std::ptr::null_mut(), 0) };
    go("there\n");
    let begun = now();
    unsafe { close(gate[1]) };
    alone();
    go(&format!("{}\n", (now() - begun) / 1000));
}

/// Makes `count` orphans, one after the other.
fn stream(count: u32) {
    go("there\n");
    let begun = now();
    for _ in 0..count {
        if unsafe { fork() } == 0 {
            if unsafe { fork() } == 0 {
                unsafe { _exit(0) };
            }
            unsafe { _exit(0) };
        }
        unsafe { waitpid(-1, std::ptr::null_mut(), 0) };
    }
    alone();
    go(&format!("{}\n", (now() - begun) / 1000));
}

/// Runs one command line as PID 1 and waits for its end. It prints the pid, and passes standard input and TOLD (as standard output)
/// on.
fn below(words: &[String]) {
    unsafe { dup2(1, TOLD) };
    let pid = Line::of(words).launch();
    eprintln!("{pid}");
    std::process::exit(i32::from(wait(pid) != 0));
}
