// What a fake library does at a call: FAKE_AT=name or name:gpu says where, FAKE_DO what (hang, hangterm, stuck: on the file FAKE_STUCK, slow, meet: see `meet`, crash, abort, exit, noise, or a code).
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int number_of(const char *name, int otherwise) {
    const char *text = getenv(name);
    return text ? atoi(text) : otherwise;
}

static int is_at(const char *name, int gpu) {
    const char *at = getenv("FAKE_AT");
    char with_gpu[128];
    snprintf(with_gpu, sizeof with_gpu, "%s:%d", name, gpu);
    return at && (!strcmp(at, name) || !strcmp(at, with_gpu));
}

static void note(const char *name, const char *line) {
    FILE *log = fopen(name, "a");
    if (!log) return;
    fprintf(log, "%s\n", line);
    fclose(log);
}

// Says in the file FAKE_MEET that it begins, and answers when that has the line "package served"; gives up after a minute.
static int meet(void) {
    const char *name = getenv("FAKE_MEET");
    note(name, "driver begins");
    for (int tries = 0; tries < 6000; tries++) {
        char text[4096] = "";
        FILE *log = fopen(name, "r");
        size_t length = log ? fread(text, 1, sizeof text - 1, log) : 0;
        if (log) fclose(log);
        text[length] = 0;
        if (strstr(text, "package served\n")) {
            note(name, "driver answers");
            return 0;
        }
        usleep(10000);
    }
    return 999;
}

// 0, or the code that the call has to give.
static int fault(const char *name, int gpu) {
    const char *what = getenv("FAKE_DO");
    if (!what || !is_at(name, gpu)) return 0;
    if (!strcmp(what, "hangterm")) signal(SIGTERM, SIG_IGN);
    if (!strncmp(what, "hang", 4))
        for (;;) pause();
    if (!strcmp(what, "stuck") && open(getenv("FAKE_STUCK"), O_RDONLY) < 0) return 999;
    if (!strcmp(what, "abort")) {
        fprintf(stderr, "libcuda: assertion failed\n");
        abort();
    }
    if (!strcmp(what, "meet")) return meet();
    if (!strcmp(what, "slow")) usleep(1500000);
    if (!strcmp(what, "crash")) raise(SIGSEGV);
    if (!strcmp(what, "exit")) exit(0);
    if (!strcmp(what, "noise")) {
        printf("end\n");
        fprintf(stderr, "noise\n");
        fflush(stdout);
    }
    return atoi(what);
}

// The first FAKE_LATER calls, counted in the file FAKE_COUNT, give this code; later ones do not.
static int fault_at_first(int code) {
    const char *file = getenv("FAKE_COUNT");
    if (!file) return 0;
    FILE *counter = fopen(file, "a");
    if (!counter) return 0;
    fputc('.', counter);
    long calls = ftell(counter);
    fclose(counter);
    return calls <= number_of("FAKE_LATER", 0) ? code : 0;
}
