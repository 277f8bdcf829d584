/* Two roles in one program without a C library, whose own start would make calls that a fault could hit.
 *   launcher launch PADDING NUMBER TRAINIT WORDS...   starts trainit as PID 1 of new namespaces
 *   launcher quit|run|save|leave                      the workload
 * Every call is made again when it fails, because a fault is meant for trainit and hits one call only. */
#include <asm/unistd.h>

#if defined(__x86_64__)
static long call(long number, long a, long b, long c, long d, long e) {
    register long r10 __asm__("r10") = d, r8 __asm__("r8") = e, r9 __asm__("r9") = 0;
    long result;
    __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
}
__asm__(".globl _start\n_start: mov %rsp, %rdi\n and $-16, %rsp\n call enter\n");
#elif defined(__aarch64__)
static long call(long number, long a, long b, long c, long d, long e) {
    register long x8 __asm__("x8") = number, x0 __asm__("x0") = a, x1 __asm__("x1") = b, x2 __asm__("x2") = c;
    register long x3 __asm__("x3") = d, x4 __asm__("x4") = e, x5 __asm__("x5") = 0;
    __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory");
    return x0;
}
__asm__(".globl _start\n_start: mov x0, sp\n bl enter\n");
#else
#error "the launcher knows x86_64 and aarch64"
#endif

enum { ECHILD = 10, SIGKILL = 9, SIGTERM = 15, SIGCHLD = 17, PR_SET_PDEATHSIG = 1 };
enum { CLONE_NEWNS = 0x20000, CLONE_NEWPID = 0x20000000, MS_REC_PRIVATE = 0x44000 };

static long again(long number, long a, long b, long c, long d, long e) {
    long result = -1;
    for (int i = 0; i < 5 && result < 0; i++) result = call(number, a, b, c, d, e);
    return result;
}
static void leave(int code) { for (;;) call(__NR_exit_group, code, 0, 0, 0, 0); }
static int length(const char *text) { int n = 0; while (text[n]) n++; return n; }
static void say(const char *text) { again(__NR_write, 1, (long)text, length(text), 0, 0); }
static long number_of(const char *text) { long n = 0; while (*text) n = n * 10 + (*text++ - '0'); return n; }
static void nap(long milliseconds) {
    long time[2] = {0, milliseconds * 1000000};
    again(__NR_nanosleep, (long)time, 0, 0, 0, 0);
}
static long fork_with(long flags) { return again(__NR_clone, flags | SIGCHLD, 0, 0, 0, 0); }

static void say_pid(long pid) {
    char text[16] = "pid ", digits[8];
    int n = 0, at = 4;
    for (; pid; pid /= 10) digits[n++] = '0' + pid % 10;
    while (n) text[at++] = digits[--n];
    text[at] = '\n';
    say(text);
}

/* What a call does with these arguments: nothing. */
static void pad(long times, long number) {
    for (long i = 0; i < times; i++) call(number, -1, 0, number == __NR_ppoll ? -1 : 0, 0, 0);
}

static void become_first(char **words, char **environment) {
    again(__NR_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    again(__NR_mount, (long)"none", (long)"/", 0, MS_REC_PRIVATE, 0);
    again(__NR_mount, (long)"proc", (long)"/proc", (long)"proc", 0, 0);
    again(__NR_mount, (long)"tmpfs", (long)"/run", (long)"tmpfs", 0, (long)"mode=755");
    pad(number_of(words[0]), number_of(words[1]));
    call(__NR_execve, (long)words[2], (long)(words + 2), (long)environment, 0, 0);
    leave(99);
}

static void launch(char **words, char **environment) {
    int status = 0;
    again(__NR_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    long pid = fork_with(CLONE_NEWPID | CLONE_NEWNS);
    if (pid == 0) become_first(words, environment);
    if (pid < 0) leave(99);
    say_pid(pid);
    while (call(__NR_wait4, pid, (long)&status, 0, 0, 0) != pid) {}
    leave(status & 0x7f ? 128 + (status & 0x7f) : status >> 8 & 255);
}

/* Until it is told to stop, then ends well, as a training that saves. */
static void save(void) {
    unsigned long term = 1UL << (SIGTERM - 1);
    again(__NR_rt_sigprocmask, 0, (long)&term, 0, 8, 0);
    say("ready\n");
    while (call(__NR_rt_sigtimedwait, (long)&term, 0, 0, 8, 0) != SIGTERM) {}
    leave(0);
}

/* Some processes that end without a parent, as data loaders do. */
static void run(void) {
    for (int i = 0; i < 3; i++)
        if (fork_with(0) == 0) { if (fork_with(0) == 0) nap(20); leave(0); }
    nap(150);
    leave(7);
}

/* One that outlives the main process until it is told to end. */
static void leave_one(void) {
    if (fork_with(0) == 0) for (;;) nap(900);
    leave(7);
}

__attribute__((used)) static void enter(long *stack) {
    char **words = (char **)(stack + 1), **environment = words + stack[0] + 1;
    switch (words[1][0] == 'l' && words[1][1] == 'a' ? 'L' : words[1][0]) {
    case 'L': launch(words + 2, environment); break;
    case 's': save(); break;
    case 'r': run(); break;
    case 'l': leave_one(); break;
    }
    leave(7);
}
