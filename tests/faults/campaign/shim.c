/* Loaded into a program under trial, in front of the C library: numbers what the program opens, looks up, lists, reads,
 * writes, syncs, renames, cuts and removes below FAULT_ROOT, and lets number FAULT_AT go wrong as FAULT_KIND says: an
 * error, wrong bytes, or a signal that comes just then. With FAULT_TRACE, each point is a line of that file. Opening a
 * path with one of the words of FAULT_AWAY fails with FAULT_AWAY_ERROR, EIO or ENOENT, and is no point. FAULT_CLOCK is
 * how many seconds its clock is fast. Without any of these it does nothing.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define MOST 4096

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int points, due; /* a second SIGTERM, for the next point */
static char ended[MOST]; /* descriptors whose file was cut short */

static const char *kind(void) { const char *text = getenv("FAULT_KIND"); return text ? text : ""; }

/* Whether a path, as the kernel would follow it, lies below the root. */
static int below(const char *path) {
    const char *root = getenv("FAULT_ROOT");
    char target[PATH_MAX];
    if (!root) return 0;
    if (!strncmp(path, "/proc/self/fd/", 14)) {
        ssize_t size = readlink(path, target, sizeof target - 1);
        if (size < 0) return 0;
        target[size] = 0;
        path = target;
    }
    return !strncmp(path, root, strlen(root));
}

static const char *of_descriptor(int fd, char path[64]) { snprintf(path, 64, "/proc/self/fd/%d", fd); return path; }

static int open_below(int fd) { char path[64]; return getenv("FAULT_ROOT") && below(of_descriptor(fd, path)); }

/* Counts a point; true when it is the one that goes wrong. */
static int strikes(const char *what, const char *where) {
    const char *at = getenv("FAULT_AT"), *trace = getenv("FAULT_TRACE");
    pthread_mutex_lock(&lock);
    int number = ++points, mine = at && atoi(at) == number, again = due;
    due = mine && !strcmp(kind(), "SIGTERM twice");
    pthread_mutex_unlock(&lock);
    if (again) kill(getpid(), SIGTERM);
    if (trace) {
        char line[PATH_MAX + 64], target[PATH_MAX];
        if (!strncmp(where, "/proc/self/fd/", 14)) {
            ssize_t size = readlink(where, target, sizeof target - 1);
            if (size > 0) { target[size] = 0; where = target; }
        }
        int out = NEXT(open)(trace, O_WRONLY | O_CREAT | O_APPEND, 0600);
        int size = snprintf(line, sizeof line, "%s%s %s\n", mine ? "! " : "", what, where);
        if (out >= 0) { if (write(out, line, size) < 0) abort(); close(out); }
    }
    return mine;
}

/* The error to report, or 0; a hang never returns. A signal comes, and the call goes its way. */
static int failure(void) {
    if (!strcmp(kind(), "kill -9")) kill(getpid(), SIGKILL);
    if (!strncmp(kind(), "SIGTERM", 7)) kill(getpid(), SIGTERM);
    if (!strncmp(kind(), "SIGSTOP", 7)) kill(getpid(), SIGSTOP);
    if (!strcmp(kind(), "EIO")) return EIO;
    if (!strcmp(kind(), "ENOENT")) return ENOENT;
    if (!strcmp(kind(), "ESTALE")) return ESTALE;
    if (!strcmp(kind(), "ENOSPC")) return ENOSPC;
    if (!strcmp(kind(), "hang")) for (;;) pause();
    return 0;
}

/* Whether a path has one of the words, between commas, of FAULT_AWAY. */
static int away(const char *where) {
    const char *words = getenv("FAULT_AWAY");
    char one[PATH_MAX];
    while (words && *words) {
        size_t size = strcspn(words, ",");
        snprintf(one, sizeof one, "%.*s", (int)size, words);
        if (size && strstr(where, one)) return 1;
        words += size + (words[size] == ',');
    }
    return 0;
}

static int refused(const char *what, const char *where) {
    if (away(where)) { errno = strcmp(getenv("FAULT_AWAY_ERROR"), "EIO") ? ENOENT : EIO; return 1; }
    int saved = errno, found = strikes(what, where) ? failure() : 0;
    errno = found ? found : saved;
    return found != 0;
}

static int mode_of(int flags, va_list more) { return flags & (O_CREAT | O_TMPFILE) ? va_arg(more, int) : 0; }

static int remembered(int fd) { if (fd >= 0 && fd < MOST) ended[fd] = 0; return fd; }

#define OPENS(name) \
    int name(const char *path, int flags, ...) { \
        va_list more; va_start(more, flags); int mode = mode_of(flags, more); va_end(more); \
        if (below(path) && refused("open", path)) return -1; \
        return remembered(NEXT(name)(path, flags, mode)); \
    }
OPENS(open)
OPENS(open64)

/* The path of what is looked up in the open folder `folder`. */
static const char *inside(int folder, const char *path, char *whole) {
    char link[64];
    if (folder == AT_FDCWD || *path == '/') return path;
    snprintf(link, sizeof link, "/proc/self/fd/%d", folder);
    ssize_t size = readlink(link, whole, PATH_MAX);
    if (size < 0) return path;
    snprintf(whole + size, PATH_MAX, "/%s", path);
    return whole;
}

#define OPENS_IN(name) \
    int name(int folder, const char *path, int flags, ...) { \
        char whole[2 * PATH_MAX]; \
        va_list more; va_start(more, flags); int mode = mode_of(flags, more); va_end(more); \
        const char *where = inside(folder, path, whole); \
        if (below(where) && refused("open", where)) return -1; \
        return remembered(NEXT(name)(folder, path, flags, mode)); \
    }
OPENS_IN(openat)
OPENS_IN(openat64)

#define LOOKS(name, type) \
    int name(const char *path, struct type *found) { \
        if (below(path) && refused("lstat", path)) return -1; \
        return NEXT(name)(path, found); \
    }
LOOKS(lstat, stat)
LOOKS(lstat64, stat64)

#define STATS(name, type) \
    int name(int fd, struct type *found) { \
        char path[64]; \
        if (open_below(fd) && refused("fstat", of_descriptor(fd, path))) return -1; \
        return NEXT(name)(fd, found); \
    }
STATS(fstat, stat)
STATS(fstat64, stat64)

DIR *opendir(const char *path) {
    if (below(path) && refused("list", path)) return NULL;
    return NEXT(opendir)(path);
}

DIR *fdopendir(int fd) {
    char path[64];
    if (open_below(fd) && refused("list", of_descriptor(fd, path))) return NULL;
    return NEXT(fdopendir)(fd);
}

#define ENTRIES(name, type) \
    struct type *name(DIR *folder) { \
        char path[64]; \
        if (open_below(dirfd(folder)) && refused("entry", of_descriptor(dirfd(folder), path))) return NULL; \
        return NEXT(name)(folder); \
    }
ENTRIES(readdir, dirent)
ENTRIES(readdir64, dirent64)

ssize_t read(int fd, void *buffer, size_t size) {
    char path[64];
    if (!open_below(fd)) return NEXT(read)(fd, buffer, size);
    if (fd < MOST && ended[fd]) return 0;
    int saved = errno, mine = strikes("read", of_descriptor(fd, path)), found = mine ? failure() : 0;
    if (found) { errno = found; return -1; }
    errno = saved;
    ssize_t got = NEXT(read)(fd, buffer, size);
    if (!mine || got < 2 || (strcmp(kind(), "short read") && strcmp(kind(), "cut short"))) return got;
    if (!strcmp(kind(), "cut short")) { ended[fd] = 1; return got / 2; }
    lseek(fd, got / 2 - got, SEEK_CUR);
    return got / 2;
}

/* "half" writes half of the bytes, as the kernel may; "torn" kills the program after that half. */
ssize_t write(int fd, const void *buffer, size_t size) {
    char path[64];
    if (!open_below(fd)) return NEXT(write)(fd, buffer, size);
    int saved = errno, mine = strikes("write", of_descriptor(fd, path)), found = mine ? failure() : 0;
    if (found) { errno = found; return -1; }
    errno = saved;
    if (mine && !strcmp(kind(), "flipped bit")) {
        char *other = malloc(size);
        if (!other) abort();
        memcpy(other, buffer, size);
        other[size / 2] ^= 1;
        ssize_t done = NEXT(write)(fd, other, size);
        free(other);
        return done;
    }
    int torn = mine && !strcmp(kind(), "torn");
    if (size > 1 && (torn || (mine && !strcmp(kind(), "half")))) size /= 2;
    ssize_t done = NEXT(write)(fd, buffer, size);
    if (torn) kill(getpid(), SIGKILL);
    return done;
}

#define CHANGES_OPEN(name, what, parameters, ...) \
    int name parameters { \
        char path[64]; \
        if (open_below(fd) && refused(what, of_descriptor(fd, path))) return -1; \
        return NEXT(name)(__VA_ARGS__); \
    }
CHANGES_OPEN(fsync, "fsync", (int fd), fd)
CHANGES_OPEN(ftruncate, "truncate", (int fd, off_t size), fd, size)
CHANGES_OPEN(ftruncate64, "truncate", (int fd, off64_t size), fd, size)

int rename(const char *from, const char *to) {
    if (below(to) && refused("rename", to)) return -1;
    return NEXT(rename)(from, to);
}

int unlink(const char *path) {
    if (below(path) && refused("unlink", path)) return -1;
    return NEXT(unlink)(path);
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    const char *off = getenv("FAULT_CLOCK");
    int result = NEXT(clock_gettime)(clock, now);
    if (off && clock == CLOCK_REALTIME && !result) now->tv_sec += atol(off);
    return result;
}
